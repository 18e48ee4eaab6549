"""Downloading from an origin that is good, bad or ugly."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from urllib.parse import urlsplit

import pytest
from tests.download.conftest import SECRET, SIZE, digest_of
from tests.download.origin import serving
from tests.download.silent import drops_packets, is_asked
from tests.polling import until

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image
from parallelops.errors import (
    DataMismatch,
    DestinationError,
    FetchCancelled,
    TransferError,
)
from parallelops.origin import Connections

EXTENT = 1 << 19


def image_of(data, *urls, size=SIZE, **options):
    options = {"timeout": 5.0, **options}
    return Image(
        size=size,
        digest=digest_of(data),
        sources=[HTTPSource(urls, **options)],
    )


@pytest.fixture
def fetch(executor, tmp_path, caplog):
    """Downloads, and sees that no secret comes out and no part stays."""
    path = tmp_path / "here" / "image"
    path.parent.mkdir()

    def run(image, **options):
        downloader = Downloader(
            executor, extent=EXTENT, **{"timeout": 30.0, **options}
        )
        result = None
        try:
            result = downloader.fetch(image, path)
        except Exception as error:
            told = "".join(traceback.format_exception(error))
            assert not path.exists()
            raise
        else:
            told = f"{result!r}"
            assert digest_of(path.read_bytes()) == str(image.digest)
            assert path.stat().st_mode & 0o777 == 0o600
            assert list(path.parent.iterdir()) == [path]
        finally:
            assert "hunter2" not in told + caplog.text
        return result

    run.path = path
    return run


@pytest.mark.parametrize("name", ["serial", "thread"])
def test_an_image_is_read_in_aligned_ranges(data, tmp_path, name):
    """Whatever runs the reads; each byte is sent once."""
    path = tmp_path / "image"
    seen = []
    with serving(data) as origin, load_executor(name) as executor:
        result = Downloader(executor, extent=EXTENT).fetch(
            image_of(data, origin.url), path, progress=seen.append
        )
    assert path.read_bytes() == data
    begins = sorted(int(r[6:].partition("-")[0]) for r, _ in origin.log)
    assert begins == list(range(0, SIZE, EXTENT))
    assert origin.sent == SIZE == result.received["origin"]
    assert seen[-1].done == seen[-1].total == SIZE
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_the_size_may_be_unknown(data, fetch):
    """The hosts are asked."""
    with serving(data) as origin:
        assert fetch(image_of(data, origin.url, size=None)).size == SIZE


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1])
def test_any_size_will_do(size, fetch):
    """Of nothing, nothing is asked."""
    data = os.urandom(size)
    with serving(data) as origin:
        fetch(image_of(data, origin.url, size=size))


def test_a_file_that_is_there_is_not_read_again(data, fetch):
    """What is there is compared, not believed."""
    fetch.path.write_bytes(data)
    fetch.path.chmod(0o600)
    with serving(data) as origin:
        assert fetch(image_of(data, origin.url)).decision == "disk"
        assert not origin.log
        fetch.path.write_bytes(data[:-1] + b"x")
        assert fetch(image_of(data, origin.url)).decision == "origin"


def test_a_host_without_ranges_is_read_once(data, fetch):
    """From begin to end, in one answer."""
    with serving(data, ranged=False) as origin:
        fetch(image_of(data, origin.url))
    assert len(origin.log) == 1


def test_a_host_with_ranges_is_better_than_one_without(data, fetch):
    """Once somebody knows."""
    with serving(data, ranged=False) as slow, serving(data) as good:
        result = fetch(image_of(data, good.url, slow.url))
    assert result.received["origin"] <= 2 * SIZE


def first(count, action):
    """Behave badly in the first requests."""
    return lambda request: request.number <= count and action(request)


TROUBLE = {
    "503": lambda r: r.refuse(503),
    "429 with a time": lambda r: r.refuse(429, Retry_After="0"),
    "reset": lambda r: r.reset(),
    "cut off": lambda r: r.answer(cut=100_000),
    "nothing": lambda r: r.answer(cut=0),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_passing_trouble_is_passed(trouble, data, fetch, monkeypatch):
    """It goes on where it was."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    with serving(data, behave=first(3, TROUBLE[trouble])) as origin:
        result = fetch(image_of(data, origin.url))
    assert origin.sent <= 1.1 * SIZE
    assert result.received["origin"] <= 1.1 * SIZE


def loop(request):
    return request.refuse(302, Location=request.path)


def endless(request):
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while True:
            request.send(bytes(1 << 20))
    request.close_connection = True
    return True


def short(request):
    return request.answer(request.server.data[:-1])


HOPELESS = {
    "403": lambda r: r.refuse(403),
    "404": lambda r: r.refuse(404),
    "500": lambda r: r.refuse(500),
    "redirect loop": loop,
    "redirect to a file": lambda r: r.refuse(
        302, Location="file:///etc/shadow"
    ),
    "redirect to nowhere": lambda r: r.refuse(302),
    "redirect to no URL": lambda r: r.refuse(302, Location="http://[::1"),
    "redirect to no name": lambda r: r.refuse(302, Location="http://a..b/i"),
    "endless": endless,
    "another size": lambda r: r.answer(size=SIZE + 1),
    "shorter": lambda r: r.answer(b"x" * (SIZE - 1)),
    "reset": lambda r: r.reset(),
    "a byte each time": lambda r: r.answer(cut=1),
    "no range after all": lambda r: r.refuse(416),
    "changing": lambda r: r.answer(tag=f'"{r.number}"'),
}


@pytest.mark.parametrize("trouble", HOPELESS)
def test_hopeless_trouble_ends_in_an_error(trouble, data, fetch, monkeypatch):
    """It is named, and no file is there."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    with (
        serving(data, behave=HOPELESS[trouble]) as origin,
        pytest.raises(TransferError),
    ):
        fetch(image_of(data, origin.url + SECRET))


@pytest.mark.parametrize("trouble", HOPELESS)
def test_another_copy_takes_over(trouble, data, fetch, monkeypatch):
    """Whatever is wrong with the first."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    with (
        serving(data, behave=HOPELESS[trouble]) as bad,
        serving(data) as good,
    ):
        fetch(image_of(data, bad.url + SECRET, good.url + SECRET))


def test_a_host_that_falls_silent_is_left(data, fetch):
    """After the time-out another one is asked."""
    release = threading.Event()

    def stall(request):
        request.send_response(206)
        request.send_header("Content-Range", f"bytes 0-{EXTENT - 1}/{SIZE}")
        request.send_header("Content-Length", str(EXTENT))
        request.end_headers()
        release.wait(20)
        return True

    with serving(data, behave=stall) as bad, serving(data) as good:
        fetch(image_of(data, bad.url, good.url, timeout=0.2))
        release.set()


def test_a_host_that_drips_is_left(data, fetch):
    """A byte now and then is as good as none."""
    release = threading.Event()

    def drip(request):
        request.send_response(206)
        request.send_header("Content-Range", f"bytes 0-{EXTENT - 1}/{SIZE}")
        request.send_header("Content-Length", str(EXTENT))
        request.end_headers()
        with contextlib.suppress(OSError):
            while not release.wait(0.02):
                request.send(b"x")
        request.close_connection = True
        return True

    with serving(data, behave=drip) as bad:
        with pytest.raises(TransferError):
            fetch(image_of(data, bad.url, timeout=0.2), timeout=2.0)
        release.set()


@pytest.mark.parametrize(
    "drop",
    [b"x", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["in a line", "100 Continue"],
)
def test_a_host_that_never_begins_its_answer_is_left(
    data, fetch, monkeypatch, drop
):
    """Each byte of it comes in time."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    release = threading.Event()

    def drip(request):
        with contextlib.suppress(OSError):
            while not release.wait(0.02):
                request.wfile.write(drop)
        request.close_connection = True
        return True

    with serving(data, behave=drip) as bad, serving(data) as good:
        fetch(image_of(data, bad.url, good.url, timeout=0.2))
        release.set()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://[2001:db8::5]/x", "2001:db8::5", 80),
        ("https://[fe80::abcd]/x", "fe80::abcd", 443),
        ("http://[::1]:8080/x", "::1", 8080),
    ],
)
def test_an_address_of_ipv6_has_no_port_in_it(executor, url, host, port):
    """Though there are colons in it."""
    connections = Connections(executor.runtime, 1.0, 0.0, None)
    connection, _ = connections.take(urlsplit(url))
    assert (connection.host, connection.port) == (host, port)
    connections.close()


def test_an_expired_url_is_renewed(data, fetch):
    """Once, however many reads found it out."""
    asked = []

    def behave(request):
        return "sig=2" not in request.path and (
            request.number > 3 and request.refuse(401)
        )

    with serving(data, behave=behave) as origin:

        def refresh():
            asked.append(1)
            return [origin.url + "?sig=2"]

        fetch(image_of(data, origin.url + "?sig=1", refresh=refresh))
    assert len(asked) == 1
    assert origin.sent == SIZE


def test_a_refresh_that_fails_is_an_error(data, fetch):
    """The caller's own error is its cause."""

    def refresh():
        raise RuntimeError("no luck")

    with (
        serving(data, behave=lambda r: r.refuse(401)) as origin,
        pytest.raises(TransferError, match="RuntimeError"),
    ):
        fetch(image_of(data, origin.url, refresh=refresh))


def test_wrong_bytes_never_get_the_name(data, fetch):
    """Nor is anything kept to begin the next time with."""
    with serving(b"x" * SIZE) as origin:
        with pytest.raises(DataMismatch):
            fetch(image_of(data, origin.url))
        assert not list(fetch.path.parent.iterdir())


def test_wrong_bytes_at_one_copy_are_found_out(data, fetch):
    """Each copy is then read by itself."""
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    with serving(wrong) as bad, serving(data) as good:
        result = fetch(image_of(data, bad.url, bad.url, good.url))
    assert not result.failures or "digest" in result.failures[0]


def test_another_source_takes_over(data, executor, tmp_path):
    """And goes on where the first one stopped: what was on its way from there
    is waited for no longer, and is lost but for the blocks that are whole."""
    on_its_way, block = 300_000, 1 << 18
    written, over = threading.Event(), threading.Event()

    def behave(request):
        if request.number == 1:
            return False
        if request.number > 2:
            assert written.wait(20)
            return request.refuse(404)
        begin, end = request.headers["Range"][6:].split("-")
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {begin}-{end}/{SIZE}")
        request.send_header("Content-Length", str(int(end) + 1 - int(begin)))
        request.send_header("ETag", bad.tag)
        request.end_headers()
        request.send(data[int(begin) :][:on_its_way])
        assert over.wait(20)
        return request.reset()

    def look(progress):
        if progress.done >= EXTENT + block:
            written.set()

    path = tmp_path / "image"
    with serving(data, behave=behave) as bad, serving(data) as good:
        image = Image(
            size=SIZE,
            digest=digest_of(data),
            sources=[HTTPSource(bad.url), HTTPSource(good.url)],
        )
        Downloader(executor, extent=EXTENT).fetch(image, path, progress=look)
        over.set()
    assert path.read_bytes() == data
    assert bad.sent == EXTENT + on_its_way
    assert good.sent == SIZE - EXTENT - block


def test_a_download_takes_no_longer_than_it_may(data, fetch):
    """All of it, whatever each wait is allowed."""
    release = threading.Event()

    def behave(request):
        release.wait(20)
        return request.reset()

    began = time.monotonic()
    with serving(data, behave=behave) as origin:
        with pytest.raises(TransferError, match="more than"):
            fetch(image_of(data, origin.url, timeout=15.0), timeout=0.3)
        release.set()
    assert time.monotonic() - began < 10


def test_a_connect_is_ended_by_closing():
    """Whoever reads is waited for, and is not to wait for the host."""
    with (
        drops_packets() as port,
        load_executor("thread", max_workers=1) as executor,
    ):
        source = HTTPSource(f"http://127.0.0.1:{port}/", timeout=60.0)
        origin = source.open(executor.runtime, SIZE)
        read = executor.submit(list, origin.stream(0, SIZE))
        until(lambda: is_asked(port))
        origin.close()
        with pytest.raises(TransferError):
            read.result(20)


def test_a_download_can_be_called_off(data, executor, tmp_path):
    """What came so far is used the next time."""
    path = tmp_path / "image"
    held = threading.Event()
    arrived = threading.Event()

    def behave(request):
        if request.number > 3 and not held.is_set():
            arrived.set()
            held.wait(20)
        return False

    with serving(data, behave=behave) as origin:
        downloader = Downloader(executor, extent=EXTENT, connections=2)
        image = image_of(data, origin.url)
        with pytest.raises(FetchCancelled):
            downloader.fetch(image, path, cancelled=arrived.is_set)
        held.set()
        assert not path.exists()
        before = origin.sent
        result = downloader.fetch(image, path)
    assert path.read_bytes() == data
    assert result.received["disk"] > 0
    assert result.received["origin"] + result.received["disk"] == SIZE
    assert before


def test_a_progress_that_fails_is_logged(data, executor, tmp_path, caplog):
    """It only looks on."""
    with serving(data) as origin:
        Downloader(executor).fetch(
            image_of(data, origin.url),
            tmp_path / "image",
            progress=lambda progress: 1 / 0,
        )
    assert "ZeroDivisionError" in caplog.text


def test_a_folder_that_is_not_there_is_named(data, executor, tmp_path):
    """Before anything is asked of the origin."""
    with (
        serving(data) as origin,
        pytest.raises(DestinationError, match="No such file"),
    ):
        Downloader(executor).fetch(
            image_of(data, origin.url), tmp_path / "no" / "image"
        )
    assert not origin.log
