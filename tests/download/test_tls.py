"""Peers that talk by TLS, and to none but those of one CA (D9)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import ssl
from pathlib import Path

import pytest
from tests.cli.test_cli import command, refused
from tests.cli.test_swarm import running
from tests.download.authority import Authority
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    image_of,
    torrent_of,
)

from parallelops.download import HerdOptions, PeerTLS, Torrent
from parallelops.download.tls import SignedBy, read_ca
from parallelops.errors import (
    CertificateRefused,
    SwarmError,
    TorrentRefused,
    TransferError,
)

pytestmark = pytest.mark.once

ALERT = b"\x15"  # what TLS begins its refusals with
ALONE = HerdOptions(grace=0.1, stall=0.1, patience=1.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The CA of those who share."""
    return Authority(tmp_path_factory.mktemp("ours") / "ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Another one."""
    return Authority(tmp_path_factory.mktemp("theirs") / "ca")


class Intruder(PeerTLS):
    """Knows the CA of others, and shows what it has."""

    def load(self):
        return SignedBy(
            read_ca(self.ca),
            Path(self.certificate).read_text(),
            Path(self.key).read_text(),
        )


# -- who gets something


def test_those_of_one_ca_share(data, agents, authority):  # noqa: F811
    """Each with a certificate of its own; none needs the origin again."""
    herd = [
        *agents(1, tls=authority.issue()),
        *agents(1, first=1, tls=authority.issue("*")),
        *agents(
            1,
            first=2,
            tls=authority.issue(
                "host1", more="subjectAltName=DNS:host1,DNS:parallelops"
            ),
        ),
    ]
    with serving(data) as origin:
        herd[0].fetch(image_of(data, origin.url))
        for number in (1, 2):
            image = image_of(data, origin.url, others=herd[:number])
            result = herd[number].fetch(image, herd=TOGETHER)
            assert result.received["swarm"] >= SIZE
        assert origin.sent == SIZE
    assert [agent.path.read_bytes() for agent in herd] == [data] * 3


@pytest.mark.parametrize("calls", ["the intruders", "the others"])
def test_who_has_no_certificate_of_it_gets_nothing(
    data,
    agents,  # noqa: F811
    authority,
    stranger,
    calls,
):
    """One of another CA, one for another name, and one without any."""
    (seed,) = agents(1, tls=authority.issue())
    intruders = []
    for number, shown in enumerate(
        [stranger.issue(), authority.issue("host1"), None], 1
    ):
        tls = shown and Intruder(
            ca=authority.ca, certificate=shown.certificate, key=shown.key
        )
        intruders += agents(1, first=number, tls=tls)
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    (member,) = seed.swarm._members.values()
    image = image_of(data, others=[seed] if calls == "the intruders" else [])
    # All of them know which image it is.
    torrent = image.torrent.among(read_ca(authority.ca))
    for intruder in intruders:
        intruder.start(dataclasses.replace(image, torrent=torrent), herd=ALONE)
        if calls == "the others":
            member.connect(intruder.address)
    for intruder in intruders:
        intruder.thread.join()
        assert isinstance(intruder.error, TransferError)
        assert not intruder.path.exists()
    assert member.view().sent == 0


def heard(address, wanted, by):
    """What a stranger is told by a port when he asks for an image."""
    hello = b"\x13BitTorrent protocol" + bytes(8) + wanted + b"-" * 20
    context = ssl._create_unverified_context()
    answer = b""
    with (
        contextlib.suppress(ConnectionError, ssl.SSLError),
        socket.create_connection(address, timeout=10) as line,
    ):
        if by == "TLS":
            line = context.wrap_socket(line, server_hostname=wanted.hex())
        with line:
            line.sendall(hello)
            answer = line.recv(100)
    return answer


@pytest.mark.parametrize("by", ["TLS", "TCP"])
def test_the_port_says_nothing_to_a_stranger(
    data,
    agents,  # noqa: F811
    authority,
    by,
):
    """Not even that it has the image."""
    (seed,) = agents(1, tls=authority.issue())
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    (member,) = seed.swarm._members.values()
    answer = heard(seed.address, member.torrent.info_hash, by)
    assert b"BitTorrent" not in answer
    assert answer[:1] in (b"", ALERT)


def test_an_image_has_another_name_among_them(data, authority, stranger):
    """So nobody is told of those who would not talk to him."""
    torrent = torrent_of(data)
    ours, theirs = (
        torrent.among(read_ca(each.ca)) for each in (authority, stranger)
    )
    assert len({t.info_hash for t in (torrent, ours, theirs)}) == 3
    other = dataclasses.replace(torrent, name=b"whatever")
    assert other.among(ours.ca) == ours
    # Nobody else says whom to trust.
    with pytest.raises(TorrentRefused, match="ssl-cert"):
        Torrent.load(ours.dump())


def test_a_ca_is_the_same_however_it_is_written(authority, tmp_path):
    """Or those who have it would not find each other."""
    copy = tmp_path / "ca.pem"
    text = authority.ca.read_text()
    copy.write_bytes(
        b"Subject: \xe9\r\n" + text.replace("\n", "\r\n").encode()
    )
    assert read_ca(copy) == read_ca(authority.ca)


# -- files that can't be used


def missing(tls, folder, stranger):
    return dataclasses.replace(tls, key=folder / "none"), "none", "may read"


def no_certificate(tls, folder, stranger):
    path = folder / "empty"
    path.write_text("hunter2")
    return dataclasses.replace(tls, certificate=path), "empty", "0 cert"


def damaged(tls, folder, stranger):
    path = folder / "damaged"
    text = Path(tls.certificate).read_text().splitlines()
    path.write_text("\n".join([text[0], *text[2:]]))
    return dataclasses.replace(tls, certificate=path), "damaged", "damaged;"


def several(tls, folder, stranger):
    path = folder / "bundle"
    path.write_text(tls.ca.read_text() + stranger.ca.read_text())
    return dataclasses.replace(tls, ca=path), "bundle", "2 cert"


def another_key(tls, folder, stranger):
    key = stranger.issue().key
    return dataclasses.replace(tls, key=key), key.name, "not the key of"


def no_key(tls, folder, stranger):
    path = folder / "nokey"
    path.write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n")
    return dataclasses.replace(tls, key=path), "nokey", "one private key"


def of_another_ca(tls, folder, stranger):
    other = stranger.issue()
    files = {"certificate": other.certificate, "key": other.key}
    return (
        dataclasses.replace(tls, **files),
        other.certificate.name,
        "signed by",
    )


BAD_FILES = [
    *(missing, no_certificate, damaged, several, another_key, no_key),
    of_another_ca,
]


@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_file_that_is_bad_is_named(
    authority,
    stranger,
    tmp_path,
    agents,  # noqa: F811
    bad,
):
    """With the remedy, and with nothing that is in it."""
    tls, name, remedy = bad(authority.issue(), tmp_path, stranger)
    with pytest.raises(CertificateRefused) as caught:
        agents(1, tls=tls)
    assert isinstance(caught.value, SwarmError)
    assert Path(caught.value.path).name == name
    assert name in str(caught.value)
    assert remedy in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"name": "host1"}, "look for the name 'parallelops'"),
        ({"days": -1}, "expired"),
        ({"more": "extendedKeyUsage=serverAuth"}, "for clients and for"),
        ({"locked": True}, "passphrase; write it without"),
    ],
)
def test_a_certificate_that_peers_refuse_is_named(authority, options, remedy):
    """Before any of them does so, without a word."""
    with pytest.raises(CertificateRefused, match=remedy):
        authority.issue(**options).load()


def test_what_is_renewed_is_seen(data, agents, authority):  # noqa: F811
    """Files are read for each image; one that is gone stops no download."""
    tls = authority.issue()
    (agent,) = agents(1, tls=tls)
    Path(tls.key).write_text(Path(authority.issue().key).read_text())
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert result.decision == "origin"
    assert "not the key of" in result.reason


def test_a_key_is_shown_nowhere(authority):
    """Neither where it is loaded nor by what it is called."""
    tls = authority.issue()
    shown = tls.load()
    assert "PRIVATE" in shown.key
    assert shown.key not in repr(shown)
    assert "PRIVATE" not in repr(shown) + repr(tls)


# -- as processes


def flags(tls):
    """The arguments of a command."""
    fields = dataclasses.asdict(tls).items()
    return [word for k, v in fields for word in (f"--tls-{k}", str(v))]


def test_processes_share_by_tls(data, authority, stranger, tmp_path):
    """Three of one CA; one of another, and one without, wait for ever."""
    original, torrent = tmp_path / "original", tmp_path / "torrent"
    original.write_bytes(data)
    torrent.write_bytes(torrent_of(data).dump())
    ca = flags(authority.issue())[:2]

    with contextlib.ExitStack() as stack:

        def start(*arguments):
            return stack.enter_context(running(*arguments))

        tracker = start(
            *("tracker", "--listen", "127.0.0.1:0"),
            *("--torrent", str(torrent), *ca),
        )
        url = tracker.stdout.readline().strip()

        def get(number, *more):
            return [
                *("image", "get", "--torrent", str(torrent), "--json"),
                *("--digest", digest_of(data), "--listen", "127.0.0.62:0"),
                *("--tracker", url, "--out", str(tmp_path / f"{number}")),
                *more,
            ]

        seed = start(
            *("image", "seed", str(original), "--torrent", str(torrent)),
            *("--listen", "127.0.0.61:0", "--tracker", url),
            *flags(authority.issue()),
        )
        third = start(*get(3, *flags(stranger.issue())))
        fourth = start(*get(4))
        assert "is given to others" in seed.stdout.readline()
        for number in (1, 2):
            got = command(*get(number, *flags(authority.issue())))
            assert got.returncode == 0, got.stderr
            assert (tmp_path / f"{number}").read_bytes() == data
            assert json.loads(got.stdout)["decision"] == "swarm"
        status = ("swarm", "status", str(torrent), "--tracker", url)
        assert command(*status, *ca).returncode == 0
        assert "not served there" in command(*status).stdout
        for process in (third, fourth):
            assert process.poll() is None
    assert not (tmp_path / "3").exists()
    assert not (tmp_path / "4").exists()


def test_a_command_takes_all_files_or_none(authority, tmp_path):
    """And says in one line which is missing, or bad."""
    tls = authority.issue()
    torrent = tmp_path / "torrent"
    torrent.write_bytes(torrent_of(b"image").dump())
    arguments = [
        *("image", "get", "--torrent", str(torrent), "--out", "image"),
        *("--digest", digest_of(b"image"), "--listen", "127.0.0.64:0"),
    ]
    line = refused(command(*arguments, *flags(tls)[:4]))
    assert "--tls-key" in line
    bad = dataclasses.replace(tls, key=tls.certificate)
    line = refused(command(*arguments, *flags(bad)))
    assert f"{tls.certificate} cannot be used for TLS" in line
    shown = command("image", "torrent", "show", str(torrent), *flags(tls)[:2])
    among = torrent_of(b"image").among(read_ca(tls.ca))
    assert f"info_hash: {among.info_hash.hex()}" in shown.stdout
