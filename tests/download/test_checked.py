"""A download ends in time, or when it is called off, while it waits."""

from __future__ import annotations

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image
from parallelops.errors import FetchCancelled, TransferError
from parallelops.origin import open_source


def refuse(request):
    """A host that wants to be left alone for five minutes."""
    return request.refuse(503, Retry_After="300")


def fetch(downloader, image, path, cancelled=None):
    downloader.fetch(image, path / "image", cancelled=cancelled)


def stream(downloader, image, path, cancelled=None):
    list(downloader.stream(image, cancelled=cancelled))


@pytest.fixture(params=["serial", "thread"])
def downloader(request):
    """One that has but a moment."""
    with load_executor(request.param) as executor:
        yield Downloader(executor, timeout=0.3)


@pytest.mark.parametrize("way", [fetch, stream])
@pytest.mark.parametrize("size", [None, SIZE])
def test_a_busy_host_does_not_outlast_the_timeout(
    data, tmp_path, downloader, way, size
):
    """Whoever reads from it, and be it for the size. The next source does
    not begin."""
    with serving(data, behave=refuse) as busy, serving(data) as good:
        sources = [HTTPSource(busy.url), HTTPSource(good.url)]
        image = Image(digest=digest_of(data), size=size, sources=sources)
        with pytest.raises(TransferError, match=r"than 0\.3 seconds"):
            way(downloader, image, tmp_path)
        assert len(busy.log) <= 1
        assert not good.log


@pytest.mark.parametrize("way", [fetch, stream])
@pytest.mark.parametrize("size", [None, SIZE])
def test_a_busy_host_is_left_once_it_is_called_off(
    data, tmp_path, executor, way, size
):
    """It would be asked again minutes later."""
    with serving(data, behave=refuse) as busy:
        image = Image(
            digest=digest_of(data), size=size, sources=[HTTPSource(busy.url)]
        )
        with pytest.raises(FetchCancelled):
            way(
                Downloader(executor),
                image,
                tmp_path,
                lambda: bool(busy.log),
            )


class Plain:
    """A source as those write them who know nothing of checks."""

    def __init__(self, source):
        self.source = source

    def copies(self):
        return [self]

    def open(self, runtime, size):
        return self.source.open(runtime, size)


@pytest.mark.parametrize("way", [fetch, stream])
def test_a_source_needs_no_check(data, tmp_path, executor, way):
    """Those that were written before go on to work."""
    with serving(data) as origin:
        sources = [Plain(HTTPSource(origin.url))]
        image = Image(digest=digest_of(data), sources=sources)
        way(Downloader(executor), image, tmp_path)


def test_only_the_thread_that_opens_is_checked(data, executor):
    """What others are asked may be for that thread alone."""

    def check():
        raise FetchCancelled("here")

    with serving(data) as origin:
        opened = open_source(
            HTTPSource(origin.url), executor.runtime, SIZE, check
        )
        executor.submit(list, opened.stream(0, SIZE)).result()
        with pytest.raises(FetchCancelled):
            list(opened.stream(0, SIZE))
        opened.close()
