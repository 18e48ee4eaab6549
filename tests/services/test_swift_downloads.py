"""Images from a real Swift, by temporary URLs."""

from __future__ import annotations

import random

import pytest
from tests.download.conftest import digest_of
from tests.polling import until
from tests.services.swift import STRANGER

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image
from parallelops.errors import TransferError

EXTENT = 1 << 18
SIZE = 4 * EXTENT + 1


@pytest.fixture(scope="module")
def data():
    """An image of five extents."""
    return random.Random(2).randbytes(SIZE)


@pytest.fixture(scope="module")
def proxy(swift, data):
    """A Swift that has it, as one object and as one of segments."""
    swift.proxy.put("/images/plain", data)
    # No extent ends where a segment ends.
    swift.proxy.put_large("/images/large", data, 300_001)
    return swift.proxy


@pytest.fixture
def fetch(tmp_path, data):
    """Downloads the image from a source; where it is, and the result."""

    def fetch(source, connections=2, **options):
        path = tmp_path / "image"
        image = Image(size=SIZE, digest=digest_of(data), sources=[source])
        with load_executor("thread", max_workers=4) as executor:
            downloader = Downloader(
                executor, connections=connections, extent=EXTENT
            )
            return path, downloader.fetch(image, path, **options)

    return fetch


def expire(proxy, url):
    """Wait until a URL is refused."""
    until(lambda: proxy.status(url, Range="bytes=0-0") == 401)


class Once:
    """Progress that does something when the first part has come."""

    def __init__(self, what):
        self.what = what

    def __call__(self, progress):
        what, self.what = self.what, None
        if progress.done and what is not None:
            what()
        elif what is not None:
            self.what = what


@pytest.mark.parametrize("name", ["plain", "large"])
def test_an_image_is_read_in_ranges(proxy, data, fetch, name):
    """Of a large object they go across its segments."""
    path, result = fetch(HTTPSource(proxy.temporary(f"/images/{name}")))
    assert path.read_bytes() == data
    assert result.received["origin"] == SIZE
    assert not result.failures


@pytest.mark.parametrize("name", ["plain", "large"])
def test_a_url_that_expires_on_the_way_is_replaced(proxy, data, fetch, name):
    """What came by the first one stays."""
    urls = [proxy.temporary(f"/images/{name}", seconds=2)]
    asked = []

    def refresh():
        asked.append(proxy.temporary(f"/images/{name}"))
        return asked

    path, result = fetch(
        HTTPSource(urls, refresh=refresh),
        connections=1,
        progress=Once(lambda: expire(proxy, urls[0])),
    )
    assert path.read_bytes() == data
    assert len(asked) == 1
    assert result.received["origin"] == SIZE


def test_without_a_new_url_the_download_fails(proxy, fetch):
    """It is told why, and without the signature."""
    url = proxy.temporary("/images/plain", seconds=-1)
    with pytest.raises(TransferError, match="401 Unauthorized") as caught:
        fetch(HTTPSource(url))
    assert url.partition("temp_url_sig=")[2][:64] not in str(caught.value)


def test_new_urls_that_are_no_better_are_not_asked_for_without_end(
    proxy, fetch
):
    """Such as those of a key that Swift does not have any more."""
    asked = []

    def refresh():
        asked.append(proxy.temporary("/images/plain", key="another"))
        return asked[-1:]

    with pytest.raises(TransferError, match="401"):
        fetch(HTTPSource(refresh(), refresh=refresh))
    assert len(asked) <= 20


def test_a_transfer_that_is_open_survives_its_url(swift):
    """Only who asks anew is refused."""
    size = 1 << 25  # more than the sockets and the proxy hold
    swift.proxy.put("/images/long", bytes(size))
    url = swift.proxy.temporary("/images/long", seconds=3)
    with load_executor("serial") as executor:
        origin = HTTPSource(url).open(executor.runtime, size)
        parts = origin.stream(0, size)
        came = len(next(parts)[1])
        expire(swift.proxy, url)
        assert came + sum(len(part) for _, part in parts) == size
        origin.close()


def test_an_image_that_is_replaced_on_the_way_is_refused(proxy, fetch, data):
    """Swift answers 412, and nothing of it gets the name."""
    proxy.put("/images/moving", data)
    with pytest.raises(TransferError, match="412 Precondition Failed"):
        fetch(
            HTTPSource(proxy.temporary("/images/moving")),
            connections=1,
            progress=Once(lambda: proxy.put("/images/moving", data[::-1])),
        )


def test_swift_says_401_to_all_who_have_no_token(proxy):
    """403 is for those whom it knows, so a temporary URL never gets it."""
    path = "/images/plain"
    assert proxy.status(proxy.temporary(path, seconds=-1)) == 401
    assert proxy.status(proxy.temporary(path, key="another")) == 401
    assert proxy.status(proxy.url + proxy.path + path) == 401
    token = {"X-Auth-Token": proxy.token_of(STRANGER)}
    assert proxy.status(proxy.url + proxy.path + path, **token) == 403
