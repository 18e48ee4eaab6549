"""The scrubber, where stores fail or hang."""

from __future__ import annotations

import json
import sqlite3
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

from parallelops import load_executor
from parallelops.errors import (
    ImageDataNotFound,
    LocationBlocked,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import FileStore, Outcome

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


def test_a_delete_that_hangs_is_unknown(place, pool):
    """It alone; the rest of its image is skipped. When it ends late, that
    changes nothing, and the next run finds the data gone."""
    for n in range(6):
        place.add(f"i{n}", 1)
    place.add("hung", 3)
    executor = pool(2)
    clock = executor.runtime

    others_done = threading.Event()

    def hang():
        assert others_done.wait(LIMIT)
        clock.ahead = 1000.0
        assert executor.release.wait(LIMIT)

    def progress(progress):
        if progress.done == 6:
            others_done.set()

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
            delete_timeout=0.5,
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
