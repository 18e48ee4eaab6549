"""The scrubber, interrupted, or with an executor that others use."""

from __future__ import annotations

import threading

import pytest
from tests.images.scrubs import (
    LIMIT,
    Faults,
    Scrubber,
    Unsynced,
    check_books,
    failing,
    outcomes,
)

from parallelops import load_executor
from parallelops.errors import (
    ExecutorSaturated,
    ExecutorShutdown,
)
from parallelops.images import Outcome

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

    store = Unsynced(place.store)
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
