"""What libtorrent does that one would not think, by its number in our notes.

Other traps are met elsewhere: 7, 13 and 16 are in test_swarm, 17 and 19 in
test_torrent, 12 in test_device, 18 in the tests of landings.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving
from tests.download.poisoner import poisoning
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    agents,
    image_of,
    torrent_of,
)
from tests.polling import until

from parallelops import download
from parallelops.download import Downloader, HerdOptions, HTTPSource, Image
from parallelops.download.member import Member
from parallelops.download.session import SETTINGS
from parallelops.errors import DestinationError, SwarmError

lt = pytest.importorskip("libtorrent")

LATE = HerdOptions(grace=2.0, stall=0.3, patience=20.0)


SOURCE = "".join(
    path.read_text() for path in Path(download.__path__[0]).glob("*.py")
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("url_seed", id="4, web seeds"),
        pytest.param("set_alert_notify", id="6, a function for alerts"),
        pytest.param("generate_buf", id="9, text of what is none"),
        pytest.param("write_torrent_file_buf", id="9, the same"),
        pytest.param("magnet", id="19, links that inject"),
    ],
)
def test_what_is_a_trap_is_not_used(name):
    """Traps 4, 6, 9 and 19: there is no way to use it well."""
    assert name not in SOURCE


@pytest.mark.once
def test_it_is_on_the_disk_before_it_is_verified(
    data,
    agents,  # noqa: F811
    monkeypatch,
):
    """Trap 1: that it is complete is said before it is written."""
    (agent,) = agents(1)
    flush = Member.flush
    found = []

    def spy(member, timeout):
        flush(member, timeout)
        (part,) = agent.path.parent.glob(".*/data")
        found.append((part.read_bytes() == data, agent.path.exists()))

    monkeypatch.setattr(Member, "flush", spy)
    with serving(data) as origin:
        agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert found == [(True, False)]


@pytest.mark.once
def test_a_limit_holds_between_neighbours(data, agents):  # noqa: F811
    """Trap 5: on a local network it would not."""
    (first,) = agents(1, upload_limit=2 * SIZE)
    (second,) = agents(1, first=1)
    with serving(data) as origin:
        first.fetch(image_of(data, origin.url))
    result = second.fetch(image_of(data, others=[first]), herd=LATE)
    # A slow machine makes it longer, and nothing makes it shorter.
    assert result.seconds > 0.25


def test_what_went_wrong_is_kept_as_text(data, agents, tmp_path):  # noqa: F811
    """Trap 8: an alert is gone with the next look at others."""
    (agent,) = agents(1)
    (tmp_path / "data").mkdir()
    member = agent.swarm.join(torrent_of(data), tmp_path / "data")
    until(lambda: member.error)
    assert "data" in member.error
    with pytest.raises(SwarmError):
        member.flush(10.0)
    assert member.error in member.view().error


def test_errors_of_libtorrent_have_our_names(data, agents, tmp_path):  # noqa: F811
    """Trap 11: it raises RuntimeError, or KeyError for a wrong setting."""
    assert SETTINGS.keys() <= lt.default_settings().keys()
    (agent,) = agents(1)
    member = agent.swarm.join(torrent_of(data), tmp_path / "data")
    agent.swarm.leave(member)
    until(lambda: not member.handle.is_valid())
    member.connect(("127.0.0.1", 1))
    for call in (
        member.view,
        lambda: member.flush(1.0),
        lambda: member.add_piece(0, bytes(1 << 14)),
    ):
        with pytest.raises(SwarmError):
            call()


def test_nobody_is_looked_for_or_talked_to_otherwise(data, agents, tmp_path):  # noqa: F811
    """Traps 14 and 20: TCP alone, no DHT, no opened doors, no exchange."""
    (agent,) = agents(1)
    settings = agent.swarm._session.get_settings()
    off = [
        *("enable_incoming_utp", "enable_outgoing_utp", "enable_dht"),
        *("enable_upnp", "enable_natpmp", "enable_lsd"),
    ]
    assert not any(settings[name] for name in off)
    assert settings["tick_interval"] <= 100
    member = agent.swarm.join(torrent_of(data), tmp_path / "data")
    flags = lt.torrent_flags
    for flag in (flags.disable_pex, flags.disable_dht):
        assert member.handle.flags() & flag


@pytest.mark.once
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_ends_it(data, agents):  # noqa: F811
    """Trap 2: nothing would be said, and it would hang."""
    (agent,) = agents(1)
    folder = agent.path.parent
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"it cannot be mounted: {mounted.stderr.decode()}")

    def fill(request):
        if request.number == 20:
            with (
                (folder / "other").open("wb", buffering=0) as file,
                contextlib.suppress(OSError),
            ):
                while file.write(bytes(1 << 12)):
                    pass
        return False

    try:
        with serving(data, behave=fill) as origin:
            agent.fetch(image_of(data, origin.url))
        assert isinstance(agent.error, (DestinationError, SwarmError))
        assert not agent.path.exists()
        agent.swarm.close()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.once
def test_a_tracker_that_is_dead_is_no_end(data, agents):  # noqa: F811
    """Trap 3: there is no error for it."""
    (agent,) = agents(1)
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=["http://127.0.0.1:1/announce"]),
            sources=[HTTPSource(origin.url)],
        )
        agent.fetch(image)
    assert agent.error is None
    assert origin.sent == SIZE


def test_an_image_is_joined_once(data, agents, tmp_path):  # noqa: F811
    """Trap 10: the second one would be the first, at its place."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    member = agent.swarm.join(torrent, tmp_path / "one")
    with pytest.raises(SwarmError, match="cannot be shared"):
        agent.swarm.join(torrent, tmp_path / "two")
    member.leave()
    agent.swarm.join(torrent, tmp_path / "two")


def test_a_piece_of_another_size_is_refused(data, agents, tmp_path):  # noqa: F811
    """Trap 15: it would be dropped, without a word."""
    (agent,) = agents(1)
    member = agent.swarm.join(torrent_of(data), tmp_path / "data")
    with pytest.raises(SwarmError, match="piece 3 has 5 bytes"):
        member.add_piece(3, b"12345")
    until(lambda: not member.view().checking)
    member.add_piece(3, data[3 << 14 : 4 << 14])
    until(lambda: member.view().have[3])
    member.flush(10.0)
    with (tmp_path / "data").open("rb") as file:
        file.seek(3 << 14)
        assert file.read(1 << 14) == data[3 << 14 : 4 << 14]


@pytest.mark.once
def test_one_who_poisons_is_sent_away(data, agents):  # noqa: F811
    """And what he gave is had from the origin; the result says so."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    with serving(data) as origin, poisoning(torrent, "127.0.0.9") as poison:
        port, visits = poison
        image = Image(
            digest=digest_of(data),
            torrent=torrent,
            sources=[HTTPSource(origin.url)],
            peers=[("127.0.0.9", port)],
        )
        result = agent.fetch(image, herd=LATE)
    assert agent.error is None
    assert agent.path.read_bytes() == data
    assert origin.sent <= 1.1 * SIZE
    assert 1 <= len(visits) <= 3
    assert any("from others were wrong" in f for f in result.failures)


@pytest.mark.once
def test_one_who_stands_still_is_no_end(data, agents, tmp_path):  # noqa: F811
    """He has everything, and gives nothing."""
    (agent,) = agents(1)
    torrent = tmp_path / "torrent"
    torrent.write_bytes(torrent_of(data).dump())
    with (
        serving(data) as origin,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "parallelops", "image", "get"),
                *("--url", origin.url, "--digest", digest_of(data)),
                *("--torrent", str(torrent), "--seed-for", "60"),
                *("--listen", "127.0.0.8:6881", "--json"),
                *("--out", str(tmp_path / "other")),
            ],
            stdout=subprocess.PIPE,
        ) as other,
    ):
        assert other.stdout.readline()
        other.send_signal(signal.SIGSTOP)
        before = origin.sent
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data),
            sources=[HTTPSource(origin.url)],
            peers=[("127.0.0.8", 6881)],
        )
        agent.fetch(image, herd=LATE)
        other.kill()
    assert agent.error is None
    assert origin.sent - before <= 1.1 * SIZE


@pytest.mark.once
def test_a_folder_that_is_read_only_is_named(data, executor, tmp_path):
    """Before anything is asked of the origin."""
    if not os.geteuid():
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)],
            check=False,
            capture_output=True,
        )
        if mounted.returncode:
            pytest.skip(f"it cannot be mounted: {mounted.stderr.decode()}")
    else:
        tmp_path.chmod(0o500)
    try:
        with serving(data) as origin, pytest.raises(DestinationError):
            Downloader(executor).fetch(
                image_of(data, origin.url), tmp_path / "image"
            )
        assert not origin.log
    finally:
        if not os.geteuid():
            subprocess.run(["umount", str(tmp_path)], check=True)
