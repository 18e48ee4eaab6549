"""The options for downloads, and what is made of them."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import pytest
from tests.download.origin import serving

from parallelops import config, load_executor
from parallelops.download import (
    HerdOptions,
    Image,
    Rendezvous,
    SeedLimits,
    TorrentWriter,
)
from parallelops.errors import CertificateRefused, ConfigError

DATA = bytes(range(256)) * 2000
DIGEST = "sha512:" + hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def conf(tmp_path):
    """Makes a configuration of a file with these options."""

    def conf(**options):
        lines = [
            f"download_{name} = {value}" for name, value in options.items()
        ]
        file = tmp_path / "service.conf"
        file.write_text("\n".join(["[parallelops]", *lines]))
        return config.read([str(file)])

    return conf


@pytest.fixture
def executor():
    """Some threads."""
    with load_executor("thread", max_workers=4) as executor:
        yield executor


def test_the_defaults_are_those_of_the_code(conf):
    """What is not set is as if nobody had options."""
    values = conf().parallelops
    herd, limits = HerdOptions(), SeedLimits()
    assert values.download_grace == herd.grace
    assert values.download_stall == herd.stall
    assert values.download_patience == herd.patience
    assert values.download_seed_time == limits.seconds
    assert values.download_seed_idle == limits.idle
    assert values.download_seed_free_memory == limits.free_memory
    assert values.download_seed_ratio is None
    assert limits.ratio == math.inf
    assert values.download_fetchers == Rendezvous()._fetchers


def test_all_of_a_download_comes_from_options(conf, executor, tmp_path):
    """The origin, the swarm, the gate and the limits."""
    pytest.importorskip("libtorrent")
    made = conf(
        listen="127.0.0.1:0",
        networks="127.0.0.0/8, ::1/128",
        rack="r12",
        gate="always",
        grace=0.1,
        seed_time=60,
        seed_ratio=3,
        upload_limit=1000000,
    )
    writer = TorrentWriter(len(DATA), piece_size=1 << 14)
    writer.update(DATA)
    torrent = writer.finish()
    with (
        serving(DATA) as origin,
        config.swarm_from(made, executor.runtime) as swarm,
    ):
        assert swarm._limits == SeedLimits(seconds=60, ratio=3, idle=600)
        image = Image(
            digest=DIGEST,
            torrent=torrent,
            sources=[config.source_from(made, origin.url)],
        )
        downloader = config.downloader_from(made, executor, swarm=swarm)
        result = downloader.fetch(image, tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == DATA
    assert result.decision == "origin"


def test_leases_need_a_tracker(conf, executor, tmp_path):
    """Of the options, or of the torrent; else the image is not shared."""
    pytest.importorskip("libtorrent")
    dead = "http://127.0.0.1:1/announce"
    writer = TorrentWriter(len(DATA), piece_size=1 << 14)
    writer.update(DATA)
    torrent = writer.finish()
    named = dataclasses.replace(torrent, trackers=(dead,))
    with (
        serving(DATA) as origin,
        config.swarm_from(conf(listen="127.0.0.1:0")) as swarm,
    ):
        for number, (options, known, shared) in enumerate(
            (
                ({}, torrent, False),
                ({"trackers": dead}, torrent, True),
                ({}, named, True),
            )
        ):
            made = conf(gate="lease", grace=0.1, **options)
            image = Image(
                digest=DIGEST,
                torrent=known,
                sources=[config.source_from(made, origin.url)],
            )
            downloader = config.downloader_from(made, executor, swarm=swarm)
            result = downloader.fetch(image, tmp_path / str(number))
            assert ("tracker" not in result.reason) == shared
            for member in list(swarm._members.values()):
                member.leave()


def test_an_option_can_be_said_again(conf):
    """By a program, for a source of its own."""
    made = conf(origin_timeout=7)
    url = "http://127.0.0.1/image"
    assert config.source_from(made, url)._options.timeout == 7
    source = config.source_from(made, [url], timeout=5.0, choose="measured")
    assert source._options.timeout == 5
    assert source._options.choose == "measured"


def test_tls_needs_all_of_its_files(conf):
    """Else images would be shared without it."""
    with pytest.raises(ConfigError, match="set all of") as caught:
        config.validate(conf(tls_ca="ca.pem", tls_key="key.pem"))
    assert caught.value.option == "[parallelops] download_tls_certificate"


def test_tls_comes_from_options(conf, executor, tmp_path):
    """What is in the files is looked at when the swarm is made."""
    pytest.importorskip("libtorrent")
    files = {
        f"tls_{name}": tmp_path / name for name in ("ca", "certificate", "key")
    }
    made = conf(listen="127.0.0.1:0", **files)
    with (
        pytest.raises(CertificateRefused, match="may read") as caught,
        config.swarm_from(made, executor.runtime),
    ):
        pass
    assert caught.value.path == str(tmp_path / "ca")


def test_a_plug_in_may_be_a_gate(conf):
    """One that is none is named at the start."""
    with pytest.raises(ConfigError, match="rendezvou") as caught:
        config.validate(conf(gate="rendezvou"))
    assert caught.value.option == "[parallelops] download_gate"
