"""An executor and a clock that move only when the test says so."""

from __future__ import annotations

import pytest

from parallelops import DeadlockError, ExecutorShutdown
from parallelops.images import (
    LocationStatus,
    Outcome,
    Scrubber,
    StorePolicy,
)
from parallelops.testing import (
    FakeClock,
    ManualExecutor,
    MemoryCatalog,
    MemoryStore,
)


def test_step_by_step():
    """Nothing runs before its step, and then in order."""
    executor = ManualExecutor()
    ran = []
    futures = [executor.submit(ran.append, n) for n in range(4)]
    assert ran == []
    assert executor.stats().queued == 4
    assert executor.step() == 1
    assert ran == [0]
    assert futures[0].done()
    assert not futures[1].done()
    assert futures[1].cancel()
    assert executor.step(2) == 2
    assert executor.step() == 0
    assert ran == [0, 2, 3]
    stats = executor.stats()
    assert (stats.succeeded, stats.cancelled, stats.queued) == (3, 1, 0)


def test_run_all():
    """Tasks that tasks submit are run as well."""
    executor = ManualExecutor()

    def more(n):
        if n:
            executor.submit(more, n - 1)

    executor.submit(more, 3)
    failed = executor.submit(int, "x")
    assert executor.run_all() == 5
    assert isinstance(failed.exception(), ValueError)
    assert executor.stats().failed == 1


def test_waiting_for_what_nobody_runs():
    """It is a mistake in the test, and said at once."""
    executor = ManualExecutor()
    future = executor.submit(int)
    for wait in (future.result, lambda: executor.wait([future])):
        with pytest.raises(DeadlockError, match="step"):
            wait()
    with pytest.raises(TimeoutError):
        future.result(timeout=5)
    assert executor.clock.monotonic() == 5
    executor.step()
    assert future.result() == 0
    assert executor.wait([future]).done == {future}


def test_shutdown():
    """It runs what is left, or cancels it, and takes nothing new."""
    with ManualExecutor() as executor:
        future = executor.submit(pow, 2, 3)
    assert future.result() == 8
    executor = ManualExecutor()
    future = executor.submit(int)
    executor.shutdown(cancel_futures=True)
    assert future.cancelled()
    with pytest.raises(ExecutorShutdown):
        executor.submit(int)


def test_clock():
    """It moves by hand, forwards."""
    clock = FakeClock(now=100.0)
    clock.advance(2.5)
    clock.sleep(1)
    assert (clock.monotonic(), clock.time()) == (3.5, 103.5)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_faults():
    """Each fault does what it says, once."""
    clock = FakeClock()
    planned = {
        "a": ["fail"],
        "b": ["lost_answer"],
        "c": ["not_found"],
        "d": ["unavailable"],
        "e": ["slow"],
    }
    store = MemoryStore(clock, planned, planned)
    catalog = MemoryCatalog(clock, {url: [url] for url in planned})

    def scrub():
        executor = ManualExecutor(runtime=clock)
        executor.submit = lambda fn: _run_now(executor, fn)
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=store,
            policy=StorePolicy(attempts=1),
            delete_timeout=1e6,
        )
        results = scrubber.run_once().results
        return {result.location.url: result.outcome for result in results}

    assert scrub() == {
        "a": Outcome.FAILED,
        "b": Outcome.FAILED,
        "c": Outcome.GONE,
        "d": Outcome.FAILED,
        "e": Outcome.DELETED,
    }
    assert store.data == {"a", "c", "d"}
    assert clock.monotonic() >= 3600
    assert scrub() == {
        "a": Outcome.DELETED,
        "b": Outcome.GONE,
        "d": Outcome.DELETED,
    }
    assert catalog.status("b") == LocationStatus.DELETED


def _run_now(executor, fn):
    future = ManualExecutor.submit(executor, fn)
    executor.run_all()
    return future
