"""The scrubber: what it deletes, records and reports, come what may."""

from __future__ import annotations

import functools
import json
import sqlite3
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import load_executor
from parallelops.backends.base import PoolExecutor
from parallelops.errors import (
    CatalogError,
    ExecutorSaturated,
    ExecutorShutdown,
    ImageDataNotFound,
    LocationBlocked,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import FileStore, Outcome, StorePolicy
from parallelops.images import Scrubber as PlainScrubber
from parallelops.runtime import ThreadRuntime

LIMIT = 60  # seconds that no test should take
# Tries again at once, so that no test waits for it.
QUICK = StorePolicy(backoff=1e-6, parking=1e-6)
Scrubber = functools.partial(PlainScrubber, policy=QUICK)


class Clock(ThreadRuntime):
    """A clock that a test can put ahead."""

    ahead = 0.0  # seconds
    step = 0.0  # seconds more at each look

    def monotonic(self):
        self.ahead += self.step
        return super().monotonic() + self.ahead


class Faults:
    """A store in front of another one, with a fault at some locations.

    Attributes:
        at: by the end of a URL, what to do before the delete, or instead
            of it if it raises.
        deleted: the URLs that a delete was tried for.
    """

    def __init__(self, store, **at):
        self.store = store
        self.at = at
        self.deleted = []
        self.synced = []

    def delete(self, url):
        self.deleted.append(url)
        for end, fault in self.at.items():
            if url.endswith(end.replace("_", ".")):
                fault()
        self.store.delete(url)

    def probe(self):
        self.store.probe()

    def sync(self):
        self.synced.append(list(self.deleted))
        self.store.sync()


def failing(error):
    """A fault that raises ``error``."""

    def fault():
        raise error

    return fault


def outcomes(report):
    """What became of the locations, by the ends of their URLs."""
    found = {
        result.location.url.rpartition("/")[2]: result.outcome.value
        for result in report.results
    }
    assert len(found) == len(report.results)
    return found


def check_books(place, report):
    """The report, the catalogue and the disk say the same."""
    images = dict(place.catalog.images())
    done = set()
    for result in report.results:
        (location,) = (
            location
            for location in place.catalog.locations(result.location.image_id)
            if location.id == result.location.id
        )
        gone = result.outcome in (Outcome.DELETED, Outcome.GONE)
        assert (location.status == "deleted") == gone, result
        if gone:
            assert location.url.rpartition("/")[2] not in place.files()
        else:
            assert result.reason
    for image_id, status in images.items():
        if set(place.statuses(image_id)) == {"deleted"}:
            assert status == "deleted"
        elif place.statuses(image_id):
            assert status != "deleted"
        if status == "deleted":
            done.add(image_id)
    assert set(report.images) <= done
    assert len(set(report.images)) == len(report.images)


# -- when all goes well


def test_everything_that_is_due_is_deleted(place, executor):
    """Files, rows and images; and what is not due stays."""
    for n in range(10):
        place.add(f"due{n}", 1 + n % 3)
    place.add("active", 2, deleted_at=None)
    place.add("late", 2, deleted_at=1e12)
    kept = {"active.0", "active.1", "late.0", "late.1"}
    assert place.files() > kept
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert report.ok
    assert report.failures == ()
    assert set(outcomes(report).values()) == {"deleted"}
    assert report.counts[Outcome.DELETED] == len(report.results) == 19
    assert sorted(report.images) == [f"due{n}" for n in range(10)]
    assert place.files() == kept
    assert place.statuses("active") == ["active"] * 2
    check_books(place, report)
    again = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert again.results == ()
    assert again.ok


def test_images_in_parallel_and_locations_in_turn(place):
    """Four images meet in their first delete; no image has two under way."""
    for n in range(4):
        place.add(f"i{n}", 3)
    meeting = threading.Barrier(4, timeout=LIMIT)
    under_way, overlaps = set(), []

    class Meeting(Faults):
        def delete(self, url):
            image, _, number = url.rpartition("/")[2].partition(".")
            if image in under_way:
                overlaps.append(url)
            under_way.add(image)
            if number == "0":
                meeting.wait()
            super().delete(url)
            under_way.discard(image)

    with load_executor("thread", max_workers=4) as executor:
        report = Scrubber(
            executor, catalog=place.catalog, store=Meeting(place.store)
        ).run_once()
    assert report.ok, report.summary()
    assert overlaps == []


def test_grace_is_how_long_it_waits(place, executor):
    """What was deleted less than that ago is left alone."""
    now = executor.runtime.time()
    place.add("old", deleted_at=now - 1000)
    place.add("young", deleted_at=now - 10)
    scrubber = Scrubber(
        executor, catalog=place.catalog, store=place.store, grace=500.0
    )
    assert outcomes(scrubber.run_once()) == {"old.0": "deleted"}
    assert place.files() == {"young.0"}


def test_a_limit_takes_the_oldest(place, executor):
    """And the next run goes on from there."""
    for n in range(5):
        place.add(f"i{n}", deleted_at=10.0 - n)
    scrubber = Scrubber(executor, catalog=place.catalog, store=place.store)
    assert set(outcomes(scrubber.run_once(2))) == {"i4.0", "i3.0"}
    assert set(outcomes(scrubber.run_once(2))) == {"i2.0", "i1.0"}
    assert set(outcomes(scrubber.run_once(2))) == {"i0.0"}


def test_more_images_than_a_page(place, executor):
    """They are read page by page, and none is left out or done twice."""
    for n in range(450):
        place.catalog.add_image(f"i{n}", [(f"file://{place.root}/{n}", None)])
        place.catalog.delete_image(f"i{n}", 1.0 + n % 7)
    store = Faults(place.store)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert report.counts[Outcome.GONE] == 450
    assert len(set(store.deleted)) == len(store.deleted) == 450
    assert len(report.images) == 450


def test_a_dry_run_touches_nothing(place, executor):
    """It says what would be deleted, and what could not be."""
    place.add("i", 2, store="here")
    place.add("lost", store="elsewhere")
    scrubber = Scrubber(
        executor, catalog=place.catalog, store={"here": place.store}
    )
    report = scrubber.run_once(dry_run=True)
    assert report.dry_run
    assert outcomes(report) == {
        "i.0": "would_delete",
        "i.1": "would_delete",
        "lost.0": "failed",
    }
    assert report.images == ()
    assert place.files() == {"i.0", "i.1", "lost.0"}
    assert place.statuses("i") == ["pending_delete"] * 2
    assert "dry run" in report.summary()[0]


def test_a_leftover_of_a_crash_is_finished(place, executor):
    """An image whose data is gone, but which nobody marked deleted."""
    place.add("i")
    place.catalog.add_image("never had any")
    place.catalog.delete_image("never had any", 1.0)
    connection = sqlite3.connect(place.path)
    with connection:
        connection.execute("UPDATE locations SET status = 'deleted'")
    connection.close()
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert report.results == ()
    assert sorted(report.images) == ["i", "never had any"]
    assert set(dict(place.catalog.images()).values()) == {"deleted"}


# -- stores by name


def test_each_location_goes_to_its_store(place, executor, tmp_path):
    """By the name in the catalogue; the report counts by store."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").touch()
    place.add("here", store="a")
    place.catalog.add_image("there", [((other / "x").as_uri(), "b")])
    place.catalog.delete_image("there", 1.0)
    stores = {"a": Faults(place.store), "b": Faults(FileStore(other))}
    report = Scrubber(executor, catalog=place.catalog, store=stores).run_once()
    assert outcomes(report) == {"here.0": "deleted", "x": "deleted"}
    assert [len(store.deleted) for store in stores.values()] == [1, 1]
    assert report.stores["a"][Outcome.DELETED] == 1
    assert report.stores["b"][Outcome.DELETED] == 1
    assert "store b: 1 deleted" in report.summary()


def test_a_store_that_nobody_knows_is_a_failure(place, executor):
    """It names the store and those that are known."""
    place.add("i", store="cpeh")
    place.add("j", store=None)
    stores = {"ceph": place.store, "file": place.store}
    report = Scrubber(executor, catalog=place.catalog, store=stores).run_once()
    reasons = [result.reason for result in report.failures]
    assert "no store called 'cpeh'; known: 'ceph', 'file'" in reasons
    assert any("does not say which store" in reason for reason in reasons)
    assert place.files() == {"i.0", "j.0"}
    check_books(place, report)


# -- stores with faults


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        (ImageDataNotFound("not there"), "gone", ""),
        (StoreError("in use"), "failed", "in use"),
        (LocationRefused("no"), "unsupported", "no"),
        (LocationBlocked("in use"), "blocked", "in use"),
        (TimeoutError("no answer"), "unknown", "no answer"),
        (StoreUnavailable("unmounted"), "failed", "unmounted"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        (SystemExit(1), "failed", "SystemExit: 1"),
        (GeneratorExit(), "failed", "GeneratorExit"),
        (MemoryError("no\nmemory"), "failed", "MemoryError: no memory"),
        (OSError("http://u:hunter2@h/?sig=hunter2"), "failed", "u:***@h"),
    ],
)
def test_a_fault_is_reported_as_what_it_is(
    place, executor, fault, outcome, words
):
    """The other locations and images go on; nothing is marked deleted that
    is still there; the next run puts it right."""
    place.add("i", 3)
    place.add("j", 1)
    store = Faults(place.store, i_1=failing(fault))
    if outcome == "gone":
        (place.root / "i.1").unlink()
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert outcomes(report) == {
        "i.0": "deleted",
        "i.1": outcome,
        "i.2": "deleted",
        "j.0": "deleted",
    }
    assert report.ok == (outcome == "gone")
    check_books(place, report)
    for result in report.failures:
        assert words in result.reason
        assert "hunter2" not in json.dumps(report.as_dict())
        assert words in "\n".join(report.summary())
    store.at.clear()
    again = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert again.ok
    assert place.files() == set()
    assert dict(place.catalog.images()) == {"i": "deleted", "j": "deleted"}


def test_an_unmounted_store_loses_nothing(place, executor):
    """Its images are not taken for deleted, and are when it is back."""
    for n in range(20):
        place.add(f"i{n}")
    away = place.root.rename(place.root.with_name("away"))
    for mount_point in (False, True):
        if mount_point:
            place.root.mkdir()  # and empty
        report = Scrubber(
            executor, catalog=place.catalog, store=FileStore(place.root)
        ).run_once()
        assert report.counts[Outcome.FAILED] == 20
        assert all("mounted" in result.reason for result in report.failures)
    place.root.rmdir()
    away.rename(place.root)
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert report.counts[Outcome.DELETED] == 20
    check_books(place, report)


def test_a_restore_that_was_too_late_is_shouted(place, executor, caplog):
    """The catalogue's new word stands, and the loss is no secret."""
    place.add("i")

    def restore():
        connection = sqlite3.connect(place.path)
        with connection:
            connection.execute("UPDATE locations SET status = 'active'")
        connection.close()

    store = Faults(place.store, i_0=restore)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    (result,) = report.failures
    assert "is deleted, but the catalogue has it as active" in result.reason
    assert place.statuses("i") == ["active"]
    assert report.images == ()
    assert "has it as active" in caplog.text


def test_what_one_scrubber_has_claimed_no_other_touches(place, executor):
    """The other one has nothing to do, and nothing to report."""
    place.add("i")

    def other_scrubber():
        with load_executor("serial") as serial:
            report = Scrubber(
                serial, catalog=place.catalog, store=place.store
            ).run_once()
        assert report.results == ()

    store = Faults(place.store, i_0=other_scrubber)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert outcomes(report) == {"i.0": "deleted"}
    assert report.images == ("i",)


# -- what hangs


@pytest.fixture
def pool():
    """Makes executors of threads with a clock that can be put ahead, and
    lets go of what hangs in them at the end."""
    executors = []

    def make(max_workers, **options):
        executor = PoolExecutor(Clock(), max_workers, **options)
        executor.release = threading.Event()
        executors.append(executor)
        return executor

    yield make
    for executor in executors:
        executor.release.set()
        executor.shutdown(timeout=LIMIT)


def test_a_delete_that_hangs_is_unknown(place, pool):
    """It alone; the rest of its image is skipped. When it ends late, that
    changes nothing, and the next run finds the data gone."""
    for n in range(6):
        place.add(f"i{n}", 1)
    place.add("hung", 3)
    executor = pool(2)
    clock = executor.runtime

    def hang():
        assert executor.release.wait(LIMIT)

    def progress(progress):
        if progress.done == 6:
            clock.ahead = 1000.0

    store = Faults(place.store, hung_1=hang)
    scrubber = Scrubber(
        executor,
        catalog=place.catalog,
        store=store,
        batch_seconds=0.01,
        progress=progress,
    )
    report = scrubber.run_once()
    assert {
        name: outcome
        for name, outcome in outcomes(report).items()
        if name.startswith("hung")
    } == {"hung.0": "deleted", "hung.1": "unknown", "hung.2": "skipped"}
    assert report.counts[Outcome.DELETED] == 7
    unknown, skipped = report.failures
    assert "has not ended after 300 s, and may still happen" in unknown.reason
    assert unknown.seconds >= 300
    assert "before it" in skipped.reason
    check_books(place, report)
    # While it hangs, nobody tries it again.
    again = scrubber.run_once()
    assert outcomes(again) == {"hung.1": "skipped", "hung.2": "skipped"}
    assert "earlier run" in again.failures[0].reason
    books = place.statuses("hung")
    executor.release.set()
    executor.shutdown(timeout=LIMIT)
    assert place.statuses("hung") == books
    assert place.files() == {"hung.2"}
    assert not any(url.endswith("hung.2") for url in store.deleted)
    with load_executor("serial") as serial:
        last = Scrubber(
            serial, catalog=place.catalog, store=place.store
        ).run_once()
    assert outcomes(last) == {"hung.1": "gone", "hung.2": "deleted"}
    assert last.images == ("hung",)


@pytest.mark.parametrize("max_queue", [0, 1, 1000, None])
def test_when_all_workers_hang_the_run_ends(place, pool, max_queue):
    """What waits for a worker is skipped, be it submitted or not."""
    for n in range(9):
        place.add(f"i{n}", 2)
    executor = pool(2, max_queue=max_queue)
    together = threading.Barrier(2, timeout=LIMIT)

    def hang():
        if together.wait() == 0:
            executor.runtime.ahead = 1000.0
        assert executor.release.wait(LIMIT)

    store = Faults(place.store, _0=hang)
    report = Scrubber(
        executor, catalog=place.catalog, store=store, batch_seconds=0.01
    ).run_once()
    assert report.counts[Outcome.UNKNOWN] == 2
    assert report.counts[Outcome.SKIPPED] == 16
    reasons = [result.reason for result in report.failures]
    assert sum("deletes do not end" in reason for reason in reasons) == 14
    assert list(report.closed) == [None]
    assert len(report.results) == 18
    check_books(place, report)
    assert executor.stats().queued == 0  # nobody finds it in their way
    executor.release.set()
    executor.shutdown(timeout=LIMIT)
    assert len(store.deleted) == 2  # what was cancelled stays so


def test_the_caller_does_not_go_where_all_workers_hang(place, pool):
    """A later run finds them so, and does not hang itself."""
    place.add("a")
    executor = pool(1, max_queue=0)

    def hang():
        executor.runtime.ahead = 1000.0
        assert executor.release.wait(LIMIT)

    store = Faults(place.store, a_0=hang)
    scrubber = Scrubber(
        executor, catalog=place.catalog, store=store, batch_seconds=0.01
    )
    assert outcomes(scrubber.run_once()) == {"a.0": "unknown"}
    place.add("b")
    executor.runtime.step = 100.0
    report = scrubber.run_once()
    executor.runtime.step = 0.0
    assert outcomes(report) == {"a.0": "skipped", "b.0": "skipped"}
    assert "do not end" in report.failures[1].reason
    assert place.files() == {"a.0", "b.0"}


def test_images_wait_for_workers_that_others_have_only_so_long(place, pool):
    """Others may fill the executor's workers for ever; the run ends."""
    place.add("i")
    executor = pool(1)
    executor.submit(executor.release.wait, LIMIT)
    executor.runtime.step = 3600.0
    report = Scrubber(
        executor,
        catalog=place.catalog,
        store=place.store,
        delete_timeout=36000.0,
        batch_seconds=0.01,
    ).run_once()
    executor.runtime.step = 0.0
    assert outcomes(report) == {"i.0": "skipped"}
    assert "no worker came free" in report.failures[0].reason
    assert place.files() == {"i.0"}


def test_a_sync_that_hangs_gives_the_store_up(place):
    """Nothing is recorded that may not be durable; the run ends; another
    store is none the worse."""
    release = threading.Event()

    class Hanging(Faults):
        def sync(self):
            super().sync()
            assert release.wait(LIMIT)

    for n in range(4):
        place.add(f"bad{n}", deleted_at=1.0, store="bad")
        place.add(f"good{n}", deleted_at=1.0, store="good")
    bad = Hanging(place.store)
    with load_executor("serial") as executor:
        report = Scrubber(
            executor,
            catalog=place.catalog,
            store={"bad": bad, "good": place.store},
            delete_timeout=0.05,
            batch_size=1,
        ).run_once()
    release.set()
    assert [len(urls) for urls in bad.synced] == [1]
    assert report.stores["bad"][Outcome.UNKNOWN] == 1
    left = report.stores["bad"]
    assert left[Outcome.FAILED] + left[Outcome.SKIPPED] == 3
    assert report.stores["good"][Outcome.DELETED] == 4
    assert "has not synced" in report.closed["bad"]
    check_books(place, report)


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
    assert [kind for kind, _ in events] == ["sync", "settle"] * (
        len(events) // 2
    )
    sizes = [size for kind, size in events if kind == "settle"]
    assert sum(sizes) == 12
    assert len(sizes) <= 3
    assert min(sizes[:-1]) >= 5


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
    store = Faults(place.store, i3_0=failing(StoreError("no")))
    seen = []

    def progress(progress):
        recorded = place.catalog.counts()["deleted"]
        assert progress.counts[Outcome.DELETED] == recorded
        seen.append(progress)

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

    class Broken:
        left = 1

        def __getattr__(self, name):
            return getattr(place.catalog, name)

        def settle(self, images, **others):
            self.left -= 1
            if self.left < 0:
                raise CatalogError("disk full")
            return place.catalog.settle(images, **others)

    store, catalog = Faults(place.store), Broken()
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


# -- interrupts, and executors that others use too


def test_an_interrupt_in_a_delete_ends_the_run(place, executor):
    """What ended before is recorded; nothing is begun after."""
    for n in range(30):
        place.add(f"i{n:02}", 2)
    store = Faults(place.store, i05_0=failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        Scrubber(executor, catalog=place.catalog, store=store).run_once()
    executor.shutdown(timeout=LIMIT)
    # Its image was the sixth to begin, of four at a time: of the five before
    # it three may have been under way.
    assert 2 <= place.catalog.counts()["deleted"] < 60
    assert place.statuses("i05") == ["pending_delete"] * 2
    assert {"i05.0", "i05.1", "i29.0"} <= place.files()


def test_an_interrupt_in_the_caller_ends_the_run(place, executor):
    """As Ctrl-C does, wherever it comes."""
    for n in range(60):
        place.add(f"i{n:02}")

    def progress(progress):
        if progress.done < 60:
            raise KeyboardInterrupt

    store = Faults(place.store)
    with pytest.raises(KeyboardInterrupt):
        Scrubber(
            executor,
            catalog=place.catalog,
            store=store,
            batch_size=5,
            progress=progress,
        ).run_once()
    executor.shutdown(timeout=LIMIT)
    assert 5 <= place.catalog.counts()["deleted"] <= len(store.deleted) < 60


def test_after_an_interrupt_no_delete_begins(place, pool):
    """Not even in an image that a worker is busy with."""
    place.add("slow", 2)
    place.add("quick")
    executor = pool(2)

    def hang():
        assert executor.release.wait(LIMIT)

    def progress(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scrubber(
            executor,
            catalog=place.catalog,
            store=Faults(place.store, slow_0=hang),
            batch_size=1,
            progress=progress,
        ).run_once()
    executor.release.set()
    executor.shutdown(timeout=LIMIT)
    assert place.files() == {"slow.1"}
    assert place.statuses("quick") == ["deleted"]
    assert place.statuses("slow") == ["pending_delete"] * 2


def test_an_executor_that_is_shut_down_ends_the_run(place):
    """With its own error, after recording what had ended."""
    for n in range(40):
        place.add(f"i{n:02}")
    executor = load_executor("thread", max_workers=2)
    store = Faults(place.store, i07_0=lambda: executor.shutdown(wait=False))
    with pytest.raises(ExecutorShutdown):
        Scrubber(executor, catalog=place.catalog, store=store).run_once()
    executor.shutdown(timeout=LIMIT)
    assert 6 <= place.catalog.counts()["deleted"] < 40


def tell_of_submits(executor, number):
    """An event that is set when so many tasks have been submitted."""
    submit, submitted, left = executor.submit, threading.Event(), [number]

    def told(fn):
        future = submit(fn)
        left[0] -= 1
        if not left[0]:
            submitted.set()
        return future

    executor.submit = told
    return submitted


def test_a_task_that_somebody_cancels_is_skipped(place):
    """It is not lost, and it is said who."""
    place.add("i", 2)
    executor = load_executor("thread", max_workers=1)
    submitted = tell_of_submits(executor, 2)

    def cancel():
        assert submitted.wait(LIMIT)
        executor.shutdown(wait=False, cancel_futures=True)

    executor.submit(cancel)
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    executor.shutdown(timeout=LIMIT)
    assert outcomes(report) == {"i.0": "skipped", "i.1": "skipped"}
    assert "cancelled" in report.failures[0].reason
    check_books(place, report)


@pytest.mark.parametrize("policy", ["block", "reject", "caller_runs"])
def test_a_full_executor_holds_nothing_up(place, pool, policy):
    """Others have all of it: the calling thread goes on by itself."""
    for n in range(5):
        place.add(f"i{n}", 2)
    executor = pool(1, max_queue=0, on_saturation=policy)
    executor.submit(executor.release.wait, LIMIT)
    threads = set()

    def here():
        threads.add(threading.current_thread())

    store = Faults(place.store, _0=here, _1=here)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert report.counts[Outcome.DELETED] == 10
    assert threads == {threading.current_thread()}
    check_books(place, report)
    assert executor.stats().blocked == 0


def test_a_submit_that_is_rejected_is_tried_again(place, executor):
    """Somebody else may be faster at any time; nothing is lost."""
    for n in range(20):
        place.add(f"i{n:02}")
    submit, turn = executor.submit, iter(range(10**6))

    def crowded(fn):
        if next(turn) % 3:
            raise ExecutorSaturated(executor.name, 1)
        return submit(fn)

    executor.submit = crowded
    store = Faults(place.store)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert report.counts[Outcome.DELETED] == 20
    assert len(store.deleted) == 20
    check_books(place, report)


def test_it_never_fills_the_executor(place, pool):
    """It takes its share of the queue: others are neither blocked nor
    rejected by it alone."""
    for n in range(60):
        place.add(f"i{n:02}")
    executor = pool(2, max_queue=10, on_saturation="reject")
    most = []

    class Watching(Faults):
        def delete(self, url):
            most.append(executor.stats().queued)
            super().delete(url)

    report = Scrubber(
        executor, catalog=place.catalog, store=Watching(place.store)
    ).run_once()
    assert report.ok
    assert max(most) < 4  # two running, and two that wait
    assert executor.stats().rejected == 0


def test_a_broken_executor_loses_no_image(place):
    """Its workers can't start: what was accepted is skipped, and said."""
    place.add("i", 2)
    executor = load_executor(
        "thread", max_workers=1, initializer=lambda: broken()
    )
    submitted = tell_of_submits(executor, 1)

    def broken():
        assert submitted.wait(LIMIT)
        raise RuntimeError("no driver")

    try:
        report = Scrubber(
            executor, catalog=place.catalog, store=place.store
        ).run_once()
    finally:
        executor.shutdown(timeout=LIMIT)
    assert outcomes(report) == {"i.0": "skipped", "i.1": "skipped"}
    assert "initializer" in report.failures[0].reason
    assert place.files() == {"i.0", "i.1"}


# -- options and reports


@pytest.mark.parametrize(
    "option",
    [
        {"grace": -1.0},
        {"grace": float("nan")},
        {"delete_timeout": 0.0},
        {"delete_timeout": float("inf")},
        {"batch_size": 0},
        {"batch_seconds": 0.0},
        {"batch_seconds": float("nan")},
    ],
)
def test_bad_options_are_refused_at_once(place, executor, option):
    """The error names the option."""
    with pytest.raises(ValueError, match=next(iter(option))):
        Scrubber(executor, catalog=place.catalog, store=place.store, **option)


def test_a_limit_has_to_be_a_number_of_images(place, executor):
    """None at all would be no run."""
    scrubber = Scrubber(executor, catalog=place.catalog, store=place.store)
    with pytest.raises(ValueError, match="limit"):
        scrubber.run_once(0)


def test_the_tasks_have_to_share_memory(place, executor):
    """On another machine nobody would see how far a delete has come."""

    class Remote(type(executor)):
        traits = type(executor.traits)(shared_memory=False)

    with Remote() as remote, pytest.raises(ValueError, match="share memory"):
        Scrubber(remote, catalog=place.catalog, store=place.store)


def test_a_report_is_json_and_lines(place, executor):
    """Without secrets, and with the first failures by name."""
    place.catalog.add_image(
        "i", [(f"s3://access:hunter2@host/{n}", None) for n in range(5)]
    )
    place.catalog.delete_image("i", 1.0)
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    text = json.dumps(report.as_dict())
    assert "hunter2" not in text
    assert json.loads(text)["counts"]["unsupported"] == 5
    assert json.loads(text)["ok"] is False
    assert len(json.loads(text)["results"]) == 5
    lines = report.summary(failures=3)
    assert len(lines) == 5
    assert "5 unsupported" in lines[0]
    name = "image i, location 1 (s3://access:***@host/0): unsupported"
    assert name in lines[1]
    assert lines[-1] == "and 2 more"
    assert "hunter2" not in "\n".join(lines)


# -- whatever happens

FAULTS = {
    "works": None,
    "missing": None,
    "not there": ImageDataNotFound("not there"),
    "fails": StoreError("no"),
    "refuses": LocationRefused("no"),
    "is away": StoreUnavailable("no"),
    "is broken": RuntimeError("bug"),
    "exits": SystemExit(3),
}
IMAGES = st.lists(
    st.tuples(
        st.sampled_from(["due", "late", "active"]),
        st.lists(st.sampled_from(sorted(FAULTS)), max_size=4),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    images=IMAGES,
    kind=st.sampled_from(["serial", "thread"]),
    batch_size=st.integers(1, 6),
    workers=st.integers(1, 4),
    max_queue=st.sampled_from([0, 1, 100]),
)
def test_the_report_the_catalogue_and_the_disk_agree(
    tmp_path_factory, place_at, images, kind, batch_size, workers, max_queue
):
    """For any images and faults: one result for each location that is due,
    none for any other, and each true."""
    with place_at(tmp_path_factory.mktemp("place")) as place:
        store = Faults(place.store)
        expected = {}
        for n, (state, faults) in enumerate(images):
            name = f"i{n:02}"
            times = {"due": 1.0, "late": 1e12, "active": None}
            place.add(name, len(faults), deleted_at=times[state])
            for number, fault in enumerate(faults):
                file = f"{name}.{number}"
                if FAULTS[fault] is not None:
                    store.at[file.replace(".", "_")] = failing(FAULTS[fault])
                if fault in ("missing", "not there"):
                    (place.root / file).unlink()
                if state == "due":
                    expected[file] = {
                        "works": "deleted",
                        "missing": "gone",
                        "not there": "gone",
                        "refuses": "unsupported",
                    }.get(fault, "failed")
        files = place.files()
        with load_executor(
            kind, max_workers=workers, max_queue=max_queue
        ) as executor:
            report = Scrubber(
                executor,
                catalog=place.catalog,
                store=store,
                batch_size=batch_size,
            ).run_once()
        assert outcomes(report) == expected
        gone = {
            file
            for file, outcome in expected.items()
            if outcome in ("deleted", "gone")
        }
        assert place.files() == files - gone
        check_books(place, report)
        assert set(report.images) == {
            f"i{n:02}"
            for n, (state, faults) in enumerate(images)
            if state == "due"
            and not any(
                expected[f"i{n:02}.{number}"] in ("failed", "unsupported")
                for number in range(len(faults))
            )
        }
        left = {image.id for image in place.catalog.due(1e9, None, 100)}
        assert left == {x.location.image_id for x in report.failures}
