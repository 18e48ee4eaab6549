"""Torrents: what is made can be loaded, and what is hostile can't."""

from __future__ import annotations

import base64
import hashlib
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.download.origin import serving

from parallelops.download import (
    Swarm,
    Torrent,
    TorrentWriter,
    torrent_from_instance_info,
    torrent_from_kernel,
    torrent_from_url,
)
from parallelops.download.bencode import decode, encode
from parallelops.download.torrent import LARGEST_TORRENT, piece_size_for
from parallelops.errors import TorrentRefused

PIECE = 1 << 14
TRACKER = "http://tracker.example/announce"
MUTANTS = 20_000 if os.environ.get("FULL") else 500


def make(data, piece_size=PIECE, trackers=(TRACKER,)):
    writer = TorrentWriter(len(data), piece_size=piece_size)
    writer.update(data)
    return writer.finish(trackers)


TORRENT = make(b"x" * (3 * PIECE + 1))
WHOLE = decode(TORRENT.dump())


@given(st.lists(st.binary(max_size=3 * PIECE), max_size=6))
def test_how_an_image_streams_by_does_not_matter(chunks):
    """The pieces are the same, and what is loaded is what was made."""
    data = b"".join(chunks) + b"x"
    writer = TorrentWriter(len(data), piece_size=PIECE)
    assert b"".join(writer.copy([*chunks, b"x"])) == data
    torrent = writer.finish([TRACKER])
    assert torrent.pieces == b"".join(
        hashlib.sha1(data[at : at + PIECE]).digest()
        for at in range(0, len(data), PIECE)
    )
    assert Torrent.load(torrent.dump(), size=len(data)) == torrent
    assert torrent.piece(len(torrent) - 1)[1] == len(data)


def test_libtorrent_understands_the_same():
    """It is its info-hash that others know the swarm by."""
    lt = pytest.importorskip("libtorrent")
    info = lt.torrent_info(lt.bdecode(TORRENT.dump()))
    assert info.info_hash().to_bytes() == TORRENT.info_hash
    assert info.total_size() == TORRENT.size
    assert info.num_pieces() == len(TORRENT) == 4


@pytest.mark.parametrize(
    ("size", "piece"),
    [
        (1, 1 << 16),
        (1 << 30, 2 << 20),
        (2 << 30, 4 << 20),
        (32 << 30, 4 << 20),
        (1 << 40, 1 << 24),
    ],
)
def test_pieces_are_many(size, piece):
    """Many more than a swarm has members, whatever the size."""
    assert piece_size_for(size) == piece


def test_an_image_of_another_size_has_no_torrent():
    """Who makes one must know."""
    writer = TorrentWriter(10)
    writer.update(b"123")
    with pytest.raises(ValueError, match="3 bytes came"):
        writer.finish()


def test_a_wrong_tracker_is_named_without_its_secret():
    """The error goes to a terminal, or a log."""
    with pytest.raises(ValueError, match=r"udp://u:\*\*\*@host") as caught:
        make(b"x", trackers=["udp://u:hunter2@host/?passkey=hunter2"])
    assert "hunter2" not in str(caught.value)


def info(**changes):
    changed = {**WHOLE[b"info"]}
    for name, value in changes.items():
        changed[name.replace("_", " ").encode()] = value
    return {**WHOLE, b"info": changed}


FILES = [{b"length": 1, b"path": [b"..", b"..", b"etc", b"passwd"]}]
HOSTILE = {
    "several files": info(files=FILES),
    "version 2": info(meta_version=2),
    "a link": info(attr=b"l"),
    "a root certificate": info(**{"ssl-cert": b"x"}),
    "no length": info(length=b"1"),
    "a length of 0": info(length=0),
    "a length below 0": info(length=-1),
    "a length that no disk has": info(length=1 << 60),
    "a piece of 1": info(piece_length=1),
    "a piece that is no power of two": info(piece_length=PIECE + 1),
    "a piece of 1 GiB": info(piece_length=1 << 30),
    "hashes cut off": info(pieces=b"x" * 79),
    "a hash too many": info(pieces=b"x" * 100),
    "no name": info(name=b""),
    "private, or not": info(private=0),
    "a web seed": {**WHOLE, b"url-list": b"http://10.0.0.1/"},
    "nodes of the DHT": {**WHOLE, b"nodes": [[b"10.0.0.1", 1]]},
    "a tracker by UDP": {**WHOLE, b"announce": b"udp://tracker/"},
    "a tracker in a file": {**WHOLE, b"announce": b"file:///etc/passwd"},
    "a tracker with a line end": {**WHOLE, b"announce": b"http://a/\r\nX: y"},
    "many trackers": {
        **WHOLE,
        b"announce-list": [[b"http://a/%d" % n] for n in range(30)],
    },
    "no info": {b"announce": b"http://a/"},
    "a list": [],
    "something unknown": {**WHOLE, b"similar": [b"x" * 20]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_torrent_is_refused(what):
    """And the field at fault is named."""
    with pytest.raises(TorrentRefused) as caught:
        Torrent.load(encode(HOSTILE[what]))
    assert caught.value.field


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"d",
        b"i-0e",
        b"i01e",
        b"i" + b"9" * 10000 + b"e",
        b"9999999999:x",
        b"d1:b0:1:a0:e",
        b"d1:a0:1:a0:e",
        b"l" * 100000,
        b"l" + b"i0e" * 100000 + b"e",
        TORRENT.dump() + b"x",
        TORRENT.dump()[:-1],
        b"x" * (LARGEST_TORRENT + 1),
    ],
    ids=repr,
)
def test_what_is_not_canonical_is_refused(data):
    """Before anybody looks at what it says."""
    with pytest.raises(TorrentRefused):
        Torrent.load(data)


def test_another_size_is_refused():
    """Ironic said which one it is."""
    with pytest.raises(TorrentRefused, match=r"info\.length"):
        Torrent.load(TORRENT.dump(), size=TORRENT.size + 1)


@pytest.mark.once
def test_a_mutated_torrent_is_refused_or_means_what_it_says(tmp_path):
    """FULL in the environment makes it 20,000 of them. Those that are taken
    are joined: nothing is written but the file that was named."""
    pytest.importorskip("libtorrent")
    chance = random.Random(6)
    whole = TORRENT.dump()
    words = [b"d", b"l", b"e", b"i0e", b"1:x", b"4:info", b"9999999:", b"i-1e"]
    words += [b"../", b"/etc/", b"\0", b"5:../..", b"1:/"]
    taken = 0
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    with Swarm("127.0.0.1:0") as swarm:
        for _ in range(MUTANTS):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(data) + 1)
                end = at + chance.choice([0, 1, 1, 1, 5, 50])
                word = chance.choice([*words, chance.randbytes(1)])
                data[at:end] = word
            try:
                torrent = Torrent.load(bytes(data))
            except TorrentRefused:
                continue
            taken += 1
            assert torrent.size == TORRENT.size
            assert torrent.info in data
            assert Torrent.load(torrent.dump()) == torrent
            member = swarm.join(torrent, folder / "data")
            for piece in range(len(torrent)):
                begin, end = torrent.piece(piece)
                member.add_piece(piece, b"x" * (end - begin))
            member.leave()
    assert taken
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert set(found) <= {folder / "data"}


# -- where it comes from


def test_the_look_up_answer_has_it():
    """With or without its digest."""
    text = base64.b64encode(TORRENT.dump()).decode()
    sha256 = hashlib.sha256(TORRENT.dump()).hexdigest()
    answer = {"image_torrent": text}
    assert torrent_from_instance_info({}) is None
    assert torrent_from_instance_info(answer) == TORRENT
    answer["image_torrent_sha256"] = sha256
    assert torrent_from_instance_info(answer) == TORRENT
    answer["image_torrent_sha256"] = "0" * 64
    with pytest.raises(TorrentRefused, match="sha256"):
        torrent_from_instance_info(answer)


@pytest.mark.parametrize("text", [7, "%", "YWI", base64.b64encode(b"x")])
def test_an_answer_that_is_damaged_is_refused(text):
    """Whatever it is."""
    with pytest.raises(TorrentRefused):
        torrent_from_instance_info({"image_torrent": text})


def test_the_kernel_knows_where_it_is():
    """And what it has to come to."""
    dump = TORRENT.dump()
    sha256 = hashlib.sha256(dump).hexdigest()
    with serving(dump) as origin:
        line = (
            f"ro quiet image-torrent-url={origin.url} "
            f"image-torrent-sha256={sha256} ipa-debug=1"
        )
        assert torrent_from_kernel(line) == TORRENT
        answer = {
            "image_torrent_url": origin.url,
            "image_torrent_sha256": sha256,
        }
        assert torrent_from_instance_info(answer) == TORRENT
    assert torrent_from_kernel("ro quiet") is None


@pytest.mark.parametrize(
    "line",
    [
        "image-torrent-url=http://a/",
        "image-torrent-url=http://a/ image-torrent-sha256=1",
        "image-torrent-url=file:///x image-torrent-sha256=" + "0" * 64,
        "image-torrent-url=http://a/ image-torrent-url=http://b/",
        "image-torrent-url='http://a/",
        "x" * 100_000,
    ],
    ids=lambda line: line[:60],
)
def test_a_kernel_that_is_misled_is_not_followed(line):
    """Nothing is asked for without a digest."""
    with pytest.raises(TorrentRefused):
        torrent_from_kernel(line)


def test_a_file_that_was_put_in_its_place_is_refused():
    """Its bytes are compared before they are looked at."""
    sha256 = hashlib.sha256(TORRENT.dump()).hexdigest()
    with serving(TORRENT.dump()[:-1] + b"x") as origin:
        line = f"image-torrent-url={origin.url} image-torrent-sha256={sha256}"
        with pytest.raises(TorrentRefused, match="another one"):
            torrent_from_kernel(line)


def test_a_torrent_comes_from_a_url():
    """If it is the one that was meant, and no larger than any may be."""
    data = TORRENT.dump()
    digest = hashlib.sha256(data).hexdigest()
    with serving(data) as origin:
        found = torrent_from_url(origin.url, digest)
        assert found.info_hash == TORRENT.info_hash
        with pytest.raises(TorrentRefused):
            torrent_from_url(origin.url, "0" * 64)
    with (
        serving(bytes(LARGEST_TORRENT + 1)) as origin,
        pytest.raises(TorrentRefused, match="length"),
    ):
        torrent_from_url(origin.url, digest)
