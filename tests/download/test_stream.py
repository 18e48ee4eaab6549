"""Images that are handed on in order, while they come."""

from __future__ import annotations

import os
import threading

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving, slow_line
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    FAST,
    agents,
    torrent_of,
)
from tests.polling import until

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image, Swarm
from parallelops.errors import (
    DataMismatch,
    FetchCancelled,
    ParallelopsError,
    TransferError,
)

EXTENT = 1 << 18


@pytest.fixture
def stream(data, executor):
    """Makes a stream of the image, from URLs."""

    def stream(*urls, swarm=None, spool=None, cancelled=None, **options):
        image = Image(
            digest=digest_of(data),
            sources=[HTTPSource(url, timeout=2.0) for url in urls],
            **options,
        )
        downloader = Downloader(
            executor, extent=EXTENT, swarm=swarm, herd=FAST, timeout=30.0
        )
        return downloader.stream(image, spool=spool, cancelled=cancelled)

    return stream


@pytest.mark.parametrize("ranged", [True, False])
@pytest.mark.parametrize("size", [None, SIZE])
def test_all_of_it_comes_in_order(data, stream, ranged, size):
    """And is asked for once, in aligned ranges if there are any."""
    with serving(data, ranged=ranged) as origin:
        image = stream(origin.url, size=size)
        assert image.content_length == SIZE
        assert b"".join(image) == data
        assert origin.sent <= SIZE + (1 if ranged else SIZE)
    image.verify_image("/dev/sda")
    assert image.bytes_transferred == SIZE
    assert image.decision == "origin"


@pytest.mark.parametrize("name", ["serial", "thread"])
def test_an_executor_that_is_full_is_no_end(data, name):
    """Parts are then read by whoever iterates."""
    full = {"max_workers": 1, "max_queue": 0, "on_saturation": "reject"}
    options = full if name == "thread" else {}
    with serving(data) as origin, load_executor(name, **options) as executor:
        source = HTTPSource(origin.url)
        image = Image(digest=digest_of(data), sources=[source])
        stream = Downloader(executor, extent=EXTENT).stream(image)
        assert b"".join(stream) == data


def test_only_some_parts_are_ahead(data, stream):
    """However slow the one is who writes."""
    with serving(data) as origin:
        chunks = iter(stream(origin.url, size=SIZE))
        next(chunks)
        until(lambda: origin.sent >= 4 * EXTENT)
        assert origin.sent <= 6 * EXTENT
        chunks.close()
        assert origin.sent <= 6 * EXTENT


def test_another_source_goes_on_where_one_failed(data, stream):
    """Nothing comes twice."""

    def fail_late(request):
        begin = request.headers["Range"].partition("=")[2].partition("-")[0]
        return int(begin) > SIZE // 2 and request.refuse(404)

    with (
        serving(data, behave=fail_late) as bad,
        serving(data) as good,
    ):
        image = stream(bad.url, good.url, size=SIZE)
        assert b"".join(image) == data
        assert good.sent < SIZE * 3 / 4
    image.verify_image()
    assert len(image.failures) == 1
    assert "404" in image.failures[0]


def test_wrong_bytes_are_found_out_at_the_end(data, stream):
    """What was handed on cannot be taken back."""
    with serving(bytes(SIZE)) as origin:
        image = stream(origin.url)
        assert sum(map(len, image)) == SIZE
    with pytest.raises(DataMismatch, match="/dev/sda"):
        image.verify_image("/dev/sda")


def test_a_source_that_gives_nothing_is_an_error(data, stream):
    """At once if the size is asked for, or when it is iterated over."""
    with serving(data, behave=lambda request: request.refuse(404)) as origin:
        url = f"{origin.url}?temp_url_sig=hunter2"
        with pytest.raises(TransferError, match="404") as first:
            stream(url)
        with pytest.raises(TransferError, match="404") as second:
            list(stream(url, size=SIZE))
    for caught in (first, second):
        assert "hunter2" not in str(caught.value)


def test_a_stream_can_be_called_off(data, stream):
    """And is iterated over once."""
    with serving(data) as origin:
        image = stream(origin.url, size=SIZE, cancelled=lambda: True)
        with pytest.raises(FetchCancelled):
            list(image)
        with pytest.raises(FetchCancelled, match="once"):
            list(image)


# -- together with others


@pytest.fixture
def swarm():
    """One that is closed afterwards."""
    pytest.importorskip("libtorrent")
    with Swarm("127.0.0.1:0") as swarm:
        yield swarm


def test_what_others_give_is_handed_on_as_it_comes(
    data,
    stream,
    agents,  # noqa: F811
    swarm,
    tmp_path,
):
    """Then it is given to others, though no name of it is left."""
    (seed,) = agents(1)
    torrent = torrent_of(data)
    with serving(data) as origin:
        source = HTTPSource(origin.url)
        seed.fetch(
            Image(digest=digest_of(data), torrent=torrent, sources=[source])
        )
        before = origin.sent
        image = stream(
            torrent=torrent,
            peers=[seed.address],
            swarm=swarm,
            spool=tmp_path,
        )
        assert b"".join(image) == data
        image.verify_image()
        assert origin.sent == before
    assert image.decision == "swarm"
    (member,) = swarm._members.values()
    assert member.seeding
    names = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert names == []


@pytest.mark.once
def test_one_who_is_served_gets_the_first_pieces_first(
    data,
    stream,
    agents,  # noqa: F811
    swarm,
    tmp_path,
):
    """Else a quarter of it at the front is there when nearly all is."""
    (seed,) = agents(1, upload_limit=SIZE * 2 // 3)
    torrent = torrent_of(data)
    with serving(data) as origin:
        source = HTTPSource(origin.url)
        seed.fetch(
            Image(digest=digest_of(data), torrent=torrent, sources=[source])
        )
    image = stream(
        torrent=torrent, peers=[seed.address], swarm=swarm, spool=tmp_path
    )
    chunks = iter(image)
    while image.bytes_transferred < SIZE / 4:
        next(chunks)
    (member,) = swarm._members.values()
    there = sum(member.view().have)
    assert b"".join(chunks) != b""
    image.verify_image()
    assert there < len(torrent) * 0.75


def test_chunks_come_before_the_last_piece_has(data, stream, swarm, tmp_path):
    """What is at the front is handed on, though the origin says no more."""
    front, handed_on = threading.Event(), threading.Event()

    def hold(request):
        if front.is_set():
            assert handed_on.wait(20)
        if request.headers["Range"].startswith("bytes=0-"):
            front.set()
        return False

    torrent = torrent_of(data)
    with serving(data, behave=hold) as origin:
        chunks = iter(
            stream(origin.url, torrent=torrent, swarm=swarm, spool=tmp_path)
        )
        first = next(chunks)
        handed_on.set()
        assert first + b"".join(chunks) == data


def test_a_spool_that_cannot_be_used_is_not(data, stream, swarm, tmp_path):
    """The image is then read from the origin alone."""
    with serving(data) as origin:
        image = stream(
            origin.url,
            torrent=torrent_of(data),
            swarm=swarm,
            spool=tmp_path / "none",
        )
        assert b"".join(image) == data
    assert image.decision == "origin"
    assert "spool" in image.reason
    assert not swarm._members


def test_a_torrent_of_another_image_is_found_out(
    data, stream, swarm, tmp_path
):
    """By the digest; and it is given to nobody."""
    other = os.urandom(SIZE)
    with serving(other) as origin:
        image = stream(
            origin.url, torrent=torrent_of(other), swarm=swarm, spool=tmp_path
        )
        # Whoever reads the last piece first, the one or the other says so.
        with pytest.raises(DataMismatch):
            image.verify_image(len(b"".join(image)))
    assert not swarm._members


def test_who_stops_early_stops_the_download(data, stream, swarm, tmp_path):
    """What has come is kept for the next one."""
    torrent = torrent_of(data)
    options = {"torrent": torrent, "swarm": swarm, "spool": tmp_path}
    with serving(data, behave=slow_line(2 * SIZE)) as origin:
        chunks = iter(stream(origin.url, **options))
        next(chunks)
        chunks.close()
        assert not swarm._members
        sent = origin.sent
        assert sent < SIZE
        assert b"".join(stream(origin.url, **options)) == data
        assert origin.sent <= 1.2 * SIZE + (1 << 18)


def test_a_swarm_without_an_end_is_an_error(stream, swarm, tmp_path, data):
    """There is nobody, and no origin."""
    image = stream(torrent=torrent_of(data), swarm=swarm, spool=tmp_path)
    closing = iter(image)
    swarm.close()
    with pytest.raises(ParallelopsError):
        next(closing)
