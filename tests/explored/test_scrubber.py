"""The scrubber under many schedules, in virtual time, with faults."""

from __future__ import annotations

import contextlib
import os

import pytest

from parallelops.errors import (
    CatalogError,
    IllegalTransition,
    RestoreRefused,
)
from parallelops.images import (
    LocationStatus,
    Outcome,
    Scrubber,
    StorePolicy,
)
from parallelops.testing import MemoryCatalog, MemoryStore, explore

IMAGES = [
    f"parallelops/images/{name}.py"
    for name in (
        "answers",
        "attempt",
        "intake",
        "lane",
        "lanes",
        "recorder",
        "scheduler",
        "shares",
    )
]
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

# Its schedules are long.
explored = explore(max(SCHEDULES // 4, 20), preempt=IMAGES)

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
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=store,
            policy=StorePolicy(attempts=1),
        )
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
        sim.runtime.sleep(60)  # what it had claimed is free again
        agree(scrubber.run_once(), catalog, store)
    assert not store.data
    assert all(catalog.status(u) == LocationStatus.DELETED for u in URLS)


@explored
def test_two_scrubbers(sim):
    """They share the work: each location is deleted once, by one of them."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS)
    reports = []

    def scrub():
        with sim.executor(1) as executor:
            scrubber = Scrubber(executor, catalog=catalog, store=store)
            reports.append(scrubber.run_once())

    sim.together(scrub, scrub)
    assert not store.data
    assert sorted(store.deletes) == sorted(URLS)
    assert sorted(catalog.settled) == [1, 2, 3, 4, 5]
    assert all(report.ok for report in reports)
    assert sum(len(report.results) for report in reports) == 5


def no_image_without_data(catalog, store):
    """What is active has its data, and what was restored is active."""
    for image, urls in WANTED.items():
        statuses = {url: catalog.status(url) for url in urls}
        active = {u for u, s in statuses.items() if s == "active"}
        assert active <= store.data, statuses
        assert bool(active) == (image in catalog.restored)


@explored
def test_restore_races_a_scrub(sim):
    """It wins, and the data is there; or it is refused, and the data goes.
    Nothing in between, whatever the store does."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    faults = {"a1": ["lost_answer", "unavailable"], "b1": ["fail"] * 3}
    store = MemoryStore(sim.runtime, URLS, faults)

    def scrub():
        with sim.executor(2) as executor:
            Scrubber(
                executor,
                catalog=catalog,
                store=store,
                batch_size=1,
                policy=StorePolicy(attempts=2),
            ).run_once()

    def restore():
        for image in ("a", "c", "b"):
            sim.runtime.sleep(sim.runtime.random.choice([0, 0, 0.1, 5]))
            with contextlib.suppress(RestoreRefused, IllegalTransition):
                catalog.restore(image)

    sim.together(scrub, restore)
    no_image_without_data(catalog, store)


@explored
def test_stopped_past_its_lease(sim):
    """One scrubber stands still for an hour in the middle of a delete. The
    other takes over; what the first one does late is refused and told, and
    a restore in between never gets an image without data."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS, {"a1": ["slow"], "c1": ["slow"]})
    other = MemoryStore(sim.runtime, faults={"a1": ["blocked"]})
    other.data = store.data
    catalog.renew = lambda images, until: frozenset()
    reports = {}

    def scrub(name, store, after):
        sim.runtime.sleep(after)
        with sim.executor(2) as executor:
            reports[name] = Scrubber(
                executor,
                catalog=catalog,
                store=store,
                delete_timeout=1e5,
                batch_seconds=300,
            ).run_once()

    def restore():
        sim.runtime.sleep(sim.runtime.random.choice([50, 100, 1000]))
        for image in WANTED:
            with contextlib.suppress(RestoreRefused, IllegalTransition):
                catalog.restore(image)

    sim.together(
        lambda: scrub("first", store, 0),
        lambda: scrub("second", other, 90),
        restore,
    )
    no_image_without_data(catalog, store)
    late = agree_but_taken(reports["first"])
    assert late["a1"] == Outcome.TAKEN
    assert reports["first"].ok
    second = agree_but_taken(reports["second"])
    assert second["a1"] == Outcome.BLOCKED
    assert len(catalog.settled) == len(set(catalog.settled))


def agree_but_taken(report):
    """What became of each location, by URL."""
    outcomes = {r.location.url: r.outcome for r in report.results}
    assert len(outcomes) == len(report.results)
    return outcomes


@explored
def test_a_drain(sim):
    """Stopped at any time, it begins nothing more, and what has ended by
    then is recorded; the next run does the rest."""
    catalog = MemoryCatalog(sim.runtime, WANTED)
    store = MemoryStore(sim.runtime, URLS, {"b1": ["slow"]})
    stop = sim.runtime.event()
    reports, kept = [], set()

    def scrub():
        with sim.executor(2) as executor:
            scrubber = Scrubber(
                executor,
                catalog=catalog,
                store=store,
                delete_timeout=1e5,
                batch_seconds=300,
            )
            drain = sim.runtime.random.choice([0, 10])
            reports.append(scrubber.run_once(stop=stop, drain=drain))
            kept.update(store.data)
            assert sim.runtime.monotonic() < 400
            sim.runtime.sleep(2 * 3600)
            reports.append(scrubber.run_once())

    sim.together(scrub, stop.set)
    first, second = reports
    outcomes = agree_but_taken(first)
    deleted = {u for u, o in outcomes.items() if o == Outcome.DELETED}
    assert {u for u, o in outcomes.items() if o == "skipped"} <= kept
    assert {u for u in URLS if catalog.status(u) == "deleted"} == set(URLS)
    assert deleted.isdisjoint(agree_but_taken(second))
    assert second.ok
    assert not store.data


@explored
def test_busy_store(sim):
    """One that says "slow down" gets all its locations deleted in one run,
    and holds up no other store."""
    stores = {
        "busy": MemoryStore(
            sim.runtime,
            URLS,
            {"a1": ["busy", "busy"], "c1": ["busy", None, "busy"]},
        ),
        "idle": MemoryStore(sim.runtime, URLS),
    }
    where = {url: "idle" if url == "b1" else "busy" for url in URLS}
    catalog = MemoryCatalog(sim.runtime, WANTED, store=where)
    with sim.executor(2) as executor:
        report = Scrubber(executor, catalog=catalog, store=stores).run_once()
    assert report.ok
    assert report.counts[Outcome.DELETED] == 5


def slow_and_fast(sim):
    """60 images in a store that takes a second for each, and 100 behind
    them in one that does not; the times at which fast ones were deleted."""
    names = {f"a{n:03}": "slow" for n in range(60)}
    names |= {f"b{n:03}": "fast" for n in range(100)}
    catalog = MemoryCatalog(
        sim.runtime, {name: [name] for name in names}, store=names
    )
    times = []

    class Timed(MemoryStore):
        def delete(self, url):
            sim.runtime.sleep(1.0 if names[url] == "slow" else 0.01)
            super().delete(url)
            if names[url] == "fast":
                times.append(sim.runtime.monotonic())

    stores = {name: Timed(sim.runtime, names) for name in ("slow", "fast")}
    with sim.executor(8) as executor:
        report = Scrubber(executor, catalog=catalog, store=stores).run_once()
    assert report.ok
    return times, report.seconds


@explore(10)
def test_a_slow_store_holds_up_no_fast_one(sim):
    """The fast store's images begin at once, and get half of the workers;
    the slow one's take as long as they take."""
    times, seconds = slow_and_fast(sim)
    assert times[0] < 0.1
    assert times[-1] < 0.5
    assert seconds < 1.1 * 60 / 8 + 1
