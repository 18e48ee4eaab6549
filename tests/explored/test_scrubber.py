"""The scrubber under many schedules, in virtual time, with faults."""

from __future__ import annotations

import os

import pytest

from parallelops.errors import CatalogError
from parallelops.images import LocationStatus, Outcome, Scrubber
from parallelops.testing import MemoryCatalog, MemoryStore, explore

IMAGES = [
    f"parallelops/images/{name}.py"
    for name in ("coordinator", "deletion", "recorder", "scrubber")
]
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(SCHEDULES, preempt=IMAGES)

WANTED = {"a": ["a1", "a2"], "b": ["b1"], "c": ["c1", "c2"]}
URLS = [url for urls in WANTED.values() for url in urls]
NO_DATA = (Outcome.DELETED, Outcome.GONE)


def agree(report, catalog, store):
    """The report, the catalogue and the store tell the same story."""
    outcomes = {r.location.url: r.outcome for r in report.results}
    assert len(outcomes) == len(report.results), "a location came twice"
    for url, outcome in outcomes.items():
        deleted = catalog.status(url) == LocationStatus.DELETED
        assert deleted == (outcome in NO_DATA)
        if deleted:
            assert url not in store.data
    return outcomes


@explored
def test_all_is_well(sim):
    """Each location is deleted, once, and the locations of an image one
    after the other."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS)
    with sim.executor(2) as executor:
        report = Scrubber(executor, catalog=catalog, store=store).run_once()
    outcomes = agree(report, catalog, store)
    assert outcomes == dict.fromkeys(URLS, Outcome.DELETED)
    assert sorted(store.deletes) == sorted(URLS)
    assert store.deletes.index("a1") < store.deletes.index("a2")
    assert sorted(report.images) == ["a", "b", "c"]


@explored
def test_faults(sim):
    """Each failure is in the report, and the next run mends it."""
    faults = {
        "a1": ["fail"],
        "a2": ["lost_answer"],
        "b1": ["not_found"],
        "c1": ["unavailable"],
    }
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, set(URLS) - {"b1"}, faults)
    with sim.executor(2) as executor:
        scrubber = Scrubber(executor, catalog=catalog, store=store)
        first = agree(scrubber.run_once(), catalog, store)
        assert first == {
            "a1": Outcome.FAILED,
            "a2": Outcome.FAILED,
            "b1": Outcome.GONE,
            "c1": Outcome.FAILED,
            "c2": Outcome.DELETED,
        }
        second = agree(scrubber.run_once(), catalog, store)
    assert second == {
        "a1": Outcome.DELETED,
        "a2": Outcome.GONE,
        "c1": Outcome.DELETED,
    }
    assert not store.data


@explored
def test_hung_delete(sim):
    """A delete that does not end is unknown, and what it does later changes
    nothing that was said."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS, {"a1": ["slow"]})
    with sim.executor(2) as executor:
        scrubber = Scrubber(
            executor, catalog=catalog, store=store, delete_timeout=5
        )
        report = scrubber.run_once()
        assert sim.runtime.monotonic() < 3600
        outcomes = agree(report, catalog, store)
        assert outcomes["a1"] == Outcome.UNKNOWN
        assert outcomes["a2"] == Outcome.SKIPPED
        assert outcomes["b1"] == outcomes["c2"] == Outcome.DELETED
        again = agree(scrubber.run_once(), catalog, store)
        assert again == dict.fromkeys(["a1", "a2"], Outcome.SKIPPED)
        sim.runtime.sleep(2 * 3600)
        assert catalog.status("a1") == LocationStatus.PENDING_DELETE
        later = agree(scrubber.run_once(), catalog, store)
    assert later == {"a1": Outcome.GONE, "a2": Outcome.DELETED}


@explored
def test_all_workers_hang(sim):
    """A run ends though no worker ever comes free."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(
        sim.runtime, URLS, {url: ["slow"] for url in ("a1", "b1")}
    )
    with sim.executor(2) as executor:
        scrubber = Scrubber(
            executor, catalog=catalog, store=store, delete_timeout=5
        )
        outcomes = agree(scrubber.run_once(), catalog, store)
        assert sim.runtime.monotonic() < 3600
        assert outcomes["a1"] == outcomes["b1"] == Outcome.UNKNOWN
        assert outcomes["c1"] == outcomes["c2"] == Outcome.SKIPPED


@explored
def test_executor_that_others_fill(sim):
    """An executor that rejects for want of room costs time, no image."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS)
    with sim.executor(1, max_queue=0, on_saturation="reject") as executor:
        others = executor.submit(sim.runtime.sleep, 10)
        report = Scrubber(executor, catalog=catalog, store=store).run_once()
        others.result()
    assert agree(report, catalog, store) == dict.fromkeys(
        URLS, Outcome.DELETED
    )


@explored
def test_catalogue_that_fails(sim):
    """Nothing is said to be recorded that is not; the next run goes on."""
    catalog = MemoryCatalog(sim.runtime, WANTED, faults=["fail"])
    store = MemoryStore(sim.runtime, URLS)
    with sim.executor(2) as executor:
        scrubber = Scrubber(
            executor, catalog=catalog, store=store, batch_size=2
        )
        with pytest.raises(CatalogError):
            scrubber.run_once()
        report = scrubber.run_once()
    agree(report, catalog, store)
    assert not store.data
    assert all(catalog.status(u) == LocationStatus.DELETED for u in URLS)


@explored
def test_two_scrubbers(sim):
    """Two over one catalogue do the work twice at the worst, and lose
    nothing; each location is marked once."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS)
    reports = []

    def scrub():
        with sim.executor(1) as executor:
            scrubber = Scrubber(executor, catalog=catalog, store=store)
            reports.append(scrubber.run_once())

    sim.together(scrub, scrub)
    assert not store.data
    assert sorted(catalog.settled) == [1, 2, 3, 4, 5]
    assert all(report.ok for report in reports)
