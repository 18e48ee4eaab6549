"""Stores in virtual time, and scrubs of them."""

from __future__ import annotations

from parallelops.errors import StoreBusy
from parallelops.images import Scrubber
from parallelops.testing import MemoryCatalog, MemoryStore


def names(letter, number):
    """So many URLs, of an image each."""
    return [f"{letter}{n:03}" for n in range(number)]


class Store(MemoryStore):
    """Calls back at each delete, and notes when it was."""

    def __init__(self, runtime, urls=(), called=None):
        super().__init__(runtime, urls)
        self.runtime = runtime
        self.called = called
        self.times = []
        self.now = self.most = 0

    def delete(self, url):
        self.times.append(self.runtime.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.called is not None:
                self.called(url)
            super().delete(url)
        finally:
            self.now -= 1


def scrub(sim, store, urls, *, workers=8, **options):
    """One run over an image for each URL."""
    named = None
    if isinstance(store, dict):
        named = {url: url[0] for url in urls}
    catalog = MemoryCatalog(
        sim.runtime, {url: [url] for url in urls}, store=named
    )
    with sim.executor(workers) as executor:
        scrubber = Scrubber(executor, catalog=catalog, store=store, **options)
        return scrubber, scrubber.run_once()


class Bucket:
    """Lets through 20 calls a second, and 5 at once; refuses the rest."""

    def __init__(self, runtime, wait):
        self.runtime = runtime
        self.wait = wait
        self.tokens, self.since = 5.0, 0.0
        self.refused = 0

    def __call__(self, url):
        now = self.runtime.monotonic()
        self.tokens = min(self.tokens + (now - self.since) * 20, 5)
        self.since = now
        if self.tokens < 1:
            self.refused += 1
            wait = (1 - self.tokens) / 20 if self.wait else None
            raise StoreBusy("slow down", wait)
        self.tokens -= 1
