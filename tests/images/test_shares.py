"""How the workers are shared among stores, in virtual time."""

from __future__ import annotations

import math
from concurrent.futures import Future

import pytest
from tests.images.simulated import Store, names

from parallelops import load_executor
from parallelops.images import Scrubber, StorePolicy
from parallelops.images.lane import Lane
from parallelops.images.shares import Shares
from parallelops.testing import MemoryCatalog, MemoryStore, explore

WORKERS = 8


class Slow(MemoryCatalog):
    """Takes its time for whatever it is asked."""

    def __init__(self, runtime, images, seconds, **options):
        super().__init__(runtime, images, **options)
        self.runtime = runtime
        self.seconds = seconds

    def due(self, *args, **options):
        self.runtime.sleep(self.seconds)
        return super().due(*args, **options)

    def claim(self, *args, **options):
        self.runtime.sleep(self.seconds)
        return super().claim(*args, **options)

    def settle(self, *args, **options):
        self.runtime.sleep(self.seconds)
        return super().settle(*args, **options)


def scrub(sim, catalog, stores):
    """One run; its report."""
    with sim.executor(WORKERS) as executor:
        report = Scrubber(executor, catalog=catalog, store=stores).run_once()
    assert report.ok
    return report


@explore(2)
def test_deletes_begin_before_all_is_listed(sim):
    """The first page is enough to begin with."""
    urls = names("a", 900)
    catalog = Slow(sim.runtime, {url: [url] for url in urls}, 1.0)
    store = Store(sim.runtime, urls, lambda url: sim.runtime.sleep(0.1))
    scrub(sim, catalog, store)
    assert store.times[0] < 2.1  # a page, and a claim


@explore(2)
def test_a_catalogue_that_takes_its_time_leaves_no_worker_idle(sim):
    """As long as it is faster than a delete: some wait in front of them."""
    urls = names("a", 400)
    catalog = Slow(sim.runtime, {url: [url] for url in urls}, 0.04)
    store = Store(sim.runtime, urls, lambda url: sim.runtime.sleep(0.05))
    report = scrub(sim, catalog, store)
    ideal = len(urls) * 0.05 / WORKERS
    # A page and a claim before the first, and two records after the last.
    assert report.seconds < ideal + 0.25
    assert store.most == WORKERS


class Pair(list):
    """Lanes of two stores, of which both have work."""

    def __init__(self, runtime):
        stores = [MemoryStore(runtime) for _ in "ab"]
        super().__init__(
            Lane(name, store, StorePolicy(), None)
            for name, store in zip("ab", stores, strict=True)
        )
        self.number = 2
        for lane in self:
            lane.running[Future()] = None


@pytest.mark.parametrize(
    ("seconds", "ahead"),
    [([], 0), ([0.05], 8), ([0.2], 4), ([0.05, 2.0], 0), ([2.0, 0.05], 0)],
)
def test_a_store_beside_another_has_tasks_that_wait_for_a_moment(
    seconds, ahead
):
    """No more than begin in a tenth of a second, as far as its deletes tell;
    one that is slow is not believed to be fast at once."""
    with load_executor("thread", max_workers=WORKERS) as executor:
        lanes = Pair(executor.runtime)
        shares = Shares(
            executor, lanes, (), (), stores=2, reads_ahead=lambda: False
        )
        lane = lanes[0]
        lane.answered = True
        for each in seconds:
            lane.took(each)
        assert shares.room() == WORKERS + WORKERS // 2 - 2
        assert shares.of(lane, 0.0) == WORKERS + ahead - 1


@explore(2)
def test_a_fast_store_is_found_behind_pages_of_a_slow_one(sim):
    """Until all is listed, that one does not get all workers."""
    urls = names("a", 500) + names("b", 20)
    stores = {
        "a": Store(sim.runtime, urls, lambda url: sim.runtime.sleep(1)),
        "b": Store(sim.runtime, urls),
    }
    catalog = MemoryCatalog(
        sim.runtime,
        {url: [url] for url in urls},
        store={url: url[0] for url in urls},
    )
    report = scrub(sim, catalog, stores)
    assert stores["b"].times[-1] < 0.1
    assert stores["a"].most == WORKERS
    assert report.seconds < 1.05 * math.ceil(500 / WORKERS) + 1


@explore(2)
def test_claims_grow_with_the_speed_of_the_store(sim):
    """A fast one costs few of them; a slow one has few images that others
    could have."""
    claimed = []

    class Claims(MemoryCatalog):
        def claim(self, images, limit, **times):
            found = super().claim(images, limit, **times)
            claimed.append(len(found.images))
            return found

    for seconds, most in ((0.0005, range(250, 501)), (0.1, range(33))):
        claimed.clear()
        urls = names("a", 900)
        catalog = Claims(sim.runtime, {url: [url] for url in urls})
        scrub(
            sim,
            catalog,
            Store(
                sim.runtime, urls, lambda url, s=seconds: sim.runtime.sleep(s)
            ),
        )
        assert sum(claimed) == 900
        assert max(claimed) in most
