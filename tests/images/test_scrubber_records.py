"""The scrubber: what is recorded, and when."""

from __future__ import annotations

import itertools
import threading

import pytest
from tests.images.scrubs import (
    LIMIT,
    Faults,
    Scrubber,
    check_books,
    failing,
    outcomes,
)
from tests.polling import until

from parallelops.errors import (
    CatalogError,
    StoreError,
)
from parallelops.images import Outcome
from parallelops.images.recorder import Recorder

# -- recording


def test_a_sync_comes_before_the_record(place, executor):
    """A row says deleted only when that survives a power cut, and a batch
    costs one sync and one transaction."""
    events = []

    class Books:
        def __getattr__(self, name):
            return getattr(place.catalog, name)

        def settle(self, images, **others):
            events.append(("settle", sum(len(x.locations) for x in images)))
            return place.catalog.settle(images, **others)

    class Logged(Faults):
        def sync(self):
            super().sync()
            events.append(("sync", 0))

    for n in range(12):
        place.add(f"i{n:02}")
    report = Scrubber(
        executor,
        catalog=Books(),
        store=Logged(place.store),
        batch_size=5,
        batch_seconds=LIMIT,
    ).run_once()
    assert report.ok
    # One record may be of two syncs, where the first of them took long.
    kinds = ["", *(kind for kind, _ in events)]
    assert all(
        before == "sync"
        for before, kind in itertools.pairwise(kinds)
        if kind == "settle"
    )
    sizes = [size for kind, size in events if kind == "settle"]
    assert sum(sizes) == 12
    assert len(sizes) <= 3
    assert all(size >= 5 for size in sizes[:-1])


def test_a_sync_that_fails_marks_nothing_deleted(place, executor):
    """The files are gone, but could come back after a power cut."""

    class Broken(Faults):
        def sync(self):
            raise StoreError("I/O error")

    place.add("i", 2)
    report = Scrubber(
        executor, catalog=place.catalog, store=Broken(place.store)
    ).run_once()
    assert set(outcomes(report).values()) == {"failed"}
    assert "not synced: I/O error" in report.failures[0].reason
    check_books(place, report)


def test_progress_tells_only_what_is_recorded(place, executor):
    """It grows to the total; each count is in the catalogue already."""
    for n in range(10):
        place.add(f"i{n}", 2)
    told = threading.Event()

    def wait():
        # The last one. In the calling thread some were recorded before.
        assert not executor.traits.parallel or told.wait(LIMIT)

    store = Faults(place.store, i3_0=failing(StoreError("no")), i7_1=wait)
    seen = []

    def progress(progress):
        recorded = place.catalog.counts()["deleted"]
        assert progress.counts[Outcome.DELETED] == recorded
        seen.append(progress)
        told.set()

    report = Scrubber(
        executor,
        catalog=place.catalog,
        store=store,
        batch_size=4,
        progress=progress,
    ).run_once(limit=8)
    assert {progress.total for progress in seen} == {8}
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == 8
    assert len(done) >= 2
    assert seen[-1].counts == report.counts


def test_a_location_is_recorded_before_its_image_is_done(place, pool):
    """An image of many slow locations is not repeated as a whole when
    somebody kills the scrubber."""
    place.add("i", 2)
    recorded = threading.Event()

    def wait():
        assert recorded.wait(LIMIT), "not recorded"

    def progress(progress):
        if progress.counts[Outcome.DELETED] == 1:
            assert place.statuses("i") == ["deleted", "pending_delete"]
            recorded.set()

    report = Scrubber(
        pool(1),
        catalog=place.catalog,
        store=Faults(place.store, i_1=wait),
        batch_seconds=0.01,
        progress=progress,
    ).run_once()
    assert report.ok, report.summary()


@pytest.mark.parametrize("other", [False, True])
def test_what_a_slow_sync_has_made_durable_is_recorded(
    place, pool, monkeypatch, other
):
    """Once it ends, though its batch was over before, and nothing more comes:
    the last delete of all waits for that."""
    executor, recorded = pool(2), threading.Event()
    look, looks = Recorder._look_at_syncs, []

    def counted(recorder, wait):
        looks.append(wait)
        look(recorder, wait)

    class Slow(Faults):
        def sync(self):
            # It takes until the recorder has looked at a batch that is over.
            executor.runtime.ahead += 10.0
            before = len(looks)
            until(lambda: len(looks) > before + 4)
            super().sync()

    def wait():
        assert recorded.wait(LIMIT), "not recorded"

    def progress(progress):
        if place.statuses("i")[0] == "deleted":
            recorded.set()

    monkeypatch.setattr(Recorder, "_look_at_syncs", counted)
    place.add("i", 2, store="slow")
    if other:
        place.add("j", store="fast")
    report = Scrubber(
        executor,
        catalog=place.catalog,
        store={"slow": Slow(place.store, i_1=wait), "fast": place.store},
        policy={},
        batch_seconds=0.05,
        progress=progress,
    ).run_once()
    assert report.ok, report.summary()


def test_a_progress_callable_that_fails_is_logged(place, executor, caplog):
    """The run goes on without it."""
    place.add("i")
    report = Scrubber(
        executor,
        catalog=place.catalog,
        store=place.store,
        progress=failing,  # returns a function: no failure
    ).run_once()
    assert report.ok
    place.add("j")

    def progress(_):
        raise ValueError("bad bar")

    report = Scrubber(
        executor, catalog=place.catalog, store=place.store, progress=progress
    ).run_once()
    assert report.ok
    assert "bad bar" in caplog.text


def test_a_catalogue_that_fails_stops_the_run(place, executor):
    """What was recorded stays; nothing more is deleted than was begun."""
    for n in range(40):
        place.add(f"i{n:02}")
    # Else all is deleted while the first sync takes its time.
    permits = threading.Semaphore(12)

    class Held(Faults):
        def delete(self, url):
            if threading.current_thread() is not threading.main_thread():
                assert permits.acquire(timeout=LIMIT)
            else:  # whoever deletes records, too
                for thread in threading.enumerate():
                    if thread.name == "scrubber-sync":
                        thread.join(LIMIT)
            super().delete(url)

    class Broken:
        left = 1

        def __getattr__(self, name):
            return getattr(place.catalog, name)

        def settle(self, images, **others):
            self.left -= 1
            permits.release(12)
            if self.left < 0:
                raise CatalogError("disk full")
            return place.catalog.settle(images, **others)

    store, catalog = Held(place.store), Broken()
    with pytest.raises(CatalogError, match="disk full"):
        Scrubber(
            executor, catalog=catalog, store=store, batch_size=5
        ).run_once()
    assert catalog.left == -1  # it was not asked again
    executor.shutdown(timeout=LIMIT)
    recorded = place.catalog.counts()["deleted"]
    assert 5 <= recorded < 40
    assert len(store.deleted) < 40
    assert len(place.files()) == 40 - len(store.deleted)
