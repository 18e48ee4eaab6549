"""Plans that hypothesis makes, each under a few schedules."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import CatalogError, StoreError
from parallelops.images import LocationStatus, Scrubber
from parallelops.testing import MemoryCatalog, MemoryStore
from parallelops.testing.exploring import Exploration
from parallelops.testing.strategies import (
    images,
    operations,
    store_faults,
    write_faults,
)

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))
SEEDS = st.integers(0, 2**20)

planned = settings(deadline=None, max_examples=max(SCHEDULES // 10, 5))


def hold(test, seed, schedules=2):
    """The test passes under so many schedules, from that seed on."""
    finding = Exploration(schedules=schedules, seed=seed).find(test)
    if finding is not None:
        finding.failure.add_note(str(finding))
        raise finding.failure


@planned
@given(st.data(), SEEDS)
def test_the_scrubber_whatever_goes_wrong(data, seed):
    """Nothing is marked deleted that is still there, no run says what is
    not so, and when nothing goes wrong any more all is deleted."""
    wanted = data.draw(images())
    urls = [url for found in wanted.values() for url in found]
    faults = data.draw(store_faults(urls))
    writes = data.draw(write_faults())

    def scrub(sim):
        catalog = MemoryCatalog(sim.runtime, wanted, faults=writes)
        store = MemoryStore(sim.runtime, urls, faults)
        with sim.executor(2) as executor:
            scrubber = Scrubber(
                executor, catalog=catalog, store=store, delete_timeout=5
            )
            for _ in range(12):
                try:
                    scrubber.run_once()
                except CatalogError:
                    pass
                for url in store.data:
                    status = catalog.status(url)
                    lied = "not_found" in faults.get(url, ())
                    assert status != LocationStatus.DELETED or lied
                sim.runtime.sleep(4000)  # what hung has ended
        assert all(catalog.status(url) == "deleted" for url in urls)

    hold(scrub, seed)


@planned
@given(operations(), SEEDS)
def test_the_pool_whatever_is_submitted(submitted, seed):
    """Each future ends as its operation does, and no worker is lost."""

    def submit(sim):
        runtime = sim.runtime
        ended = []

        def run(operation):
            if operation.outcome == "hangs":
                runtime.sleep(3600)
            if operation.outcome == "raises":
                raise StoreError(operation.key)
            return operation.key

        with sim.executor(2, max_queue=1) as executor:

            def submitter(number):
                for operation in submitted:
                    if operation.submitter != number:
                        continue
                    future = executor.submit(run, operation)
                    if operation.outcome == "cancelled":
                        future.cancel()
                    ended.append((operation, future))

            sim.together(*[lambda n=n: submitter(n) for n in range(3)])
        assert len(ended) == len(submitted)
        for operation, future in ended:
            assert future.done()
            if operation.outcome == "raises":
                assert isinstance(future.exception(), StoreError)
            elif not future.cancelled():
                assert future.result() == operation.key
            else:
                assert operation.outcome == "cancelled"

    hold(submit, seed)
