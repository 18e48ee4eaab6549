"""The future: what the contract of executors does not reach."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import sys
import threading
import weakref

import pytest

from parallelops import load_executor
from parallelops.naming import describe

LIMIT = 20


@pytest.fixture
def pending():
    """A future that nobody begins while the test runs."""
    with load_executor("thread", max_workers=1) as executor:
        gate = threading.Event()
        executor.submit(gate.wait, LIMIT)
        yield executor.submit(int)
        gate.set()


def test_completed_by_hand(pending):
    """It can be completed by hand, once."""
    assert pending.set_running_or_notify_cancel()
    assert pending.running()
    pending.set_result(3)
    assert pending.result(0) == 3
    for late in (
        functools.partial(pending.set_result, 1),
        functools.partial(pending.set_exception, ValueError()),
        pending.set_running_or_notify_cancel,
    ):
        with pytest.raises(concurrent.futures.InvalidStateError):
            late()


def test_completed_by_hand_gives_its_room_back():
    """A queued task that is completed by hand is out of the queue."""
    with load_executor(
        "thread", max_workers=1, max_queue=1, on_saturation="reject"
    ) as executor:
        gate = threading.Event()
        executor.submit(gate.wait)
        executor.submit(int).set_result(7)
        executor.submit(int).set_exception(ValueError())
        begun = executor.submit(int)
        assert begun.set_running_or_notify_cancel()
        last = executor.submit(abs, -1)
        gate.set()
        assert last.result() == 1
        begun.set_result(3)
        assert begun.result() == 3


def test_failed_by_hand(pending):
    """A failure given by hand is raised like any other."""
    pending.set_exception(LookupError("gone"))
    for _ in range(2):
        with pytest.raises(LookupError, match="gone"):
            pending.result(0)


def test_cancelled_cannot_be_completed(pending):
    """What was cancelled stays so."""
    called = []
    pending.add_done_callback(called.append)
    assert pending.cancel()
    assert pending.cancel()
    assert not pending.set_running_or_notify_cancel()
    with pytest.raises(concurrent.futures.InvalidStateError):
        pending.set_result(1)
    for ask in (pending.result, pending.exception):
        with pytest.raises(concurrent.futures.CancelledError):
            ask(0)
    assert called == [pending]
    assert "cancelled" in repr(pending)


def test_repr_in_each_state():
    """Its representation says what became of it."""
    with load_executor("serial") as executor:
        good, bad = executor.submit(int), executor.submit(int, "x")
    assert "finished returned int" in repr(good)
    assert "finished raised ValueError" in repr(bad)
    assert isinstance(bad.exception(), ValueError)


def test_no_other_attribute():
    """A misspelt attribute is an error, as on any object."""
    with load_executor("serial") as executor:
        future = executor.submit(int)
    with pytest.raises(AttributeError, match="reslut"):
        _ = future.reslut


def test_describe():
    """Functions of all kinds have a name for logs."""

    class Callable:
        def __call__(self):
            """Do nothing."""

        def method(self):
            """Do nothing."""

    assert describe(int) == "builtins.int"
    assert describe(functools.partial(functools.partial(int))) == (
        "builtins.int"
    )
    assert describe(Callable()).endswith("Callable")
    assert describe(Callable().method).endswith("Callable.method")
    assert describe([].append).endswith("list.append")


def test_costs_a_quarter_of_the_standard_one():
    """A queued task takes at most a quarter of the standard pool's memory."""
    import tracemalloc

    def bytes_per_task(executor):
        gate = threading.Event()
        executor.submit(gate.wait, LIMIT)
        tracemalloc.start()
        try:
            futures = [executor.submit(int) for _ in range(2000)]
            return tracemalloc.get_traced_memory()[0] / len(futures)
        finally:
            tracemalloc.stop()
            gate.set()
            executor.shutdown()

    ours = bytes_per_task(
        load_executor("thread", max_workers=1, max_queue=None)
    )
    standard = bytes_per_task(concurrent.futures.ThreadPoolExecutor(1))
    assert ours <= standard / 4, (ours, standard, sys.version)


def test_revoked_cannot_be_cancelled(pending):
    """Whoever takes the call has all of it."""
    assert pending.revoke()
    assert not pending.revoke()
    assert not pending.cancel()
    assert pending.run() is None
    assert pending._owner.take_back(pending) is False
    pending.set_result(1)


def test_each_future_has_its_own_condition(pending):
    """The standard library takes those of many futures, in an order that
    has nothing to do with their executors: two who wait at the same time
    would wait for each other."""
    taken = threading.Event()
    with load_executor("thread") as executor:
        other = executor.submit(int)

        def take():
            with other._condition:
                taken.set()
                return True

        with pending._condition:
            held = executor.submit(take)
            assert taken.wait(LIMIT)
        with other._condition:
            again = executor.submit(int)
            with again._condition:
                assert held.result(LIMIT)


def test_who_comes_between_the_end_and_the_telling(pending):
    """A callback that comes when the future is done, and its watchers are
    not told yet, is called once."""
    called = []
    with pending._condition:
        ending = threading.Thread(target=pending.set_result, args=(1,))
        ending.start()
        while not pending.done():
            pass
        assert pending._state == "RUNNING"
        pending.add_done_callback(called.append)
        assert not called
    ending.join(LIMIT)
    assert called == [pending]
    pending.add_done_callback(called.append)
    assert called == [pending, pending]


def test_the_standard_library_counts_each_future_once():
    """However they race with it, wait waits for all, and as_completed
    yields each once."""
    with load_executor("thread", max_workers=4, max_queue=None) as executor:
        for _ in range(20):
            futures = [executor.submit(int) for _ in range(300)]
            assert not concurrent.futures.wait(futures, LIMIT).not_done
            futures = [executor.submit(int) for _ in range(300)]
            seen = list(concurrent.futures.as_completed(futures, LIMIT))
            assert len(seen) == 300


def test_as_completed_holds_nothing_that_it_yielded():
    """What was yielded and dropped is freed before the next."""
    with load_executor("thread", max_workers=1) as executor:
        futures = [executor.submit(int) for _ in range(5)]
        futures[-1].result(LIMIT)
        left = set(futures)
        futures.clear()
        for future in executor.as_completed(left, LIMIT):
            left.discard(future)
            gone = weakref.ref(future)
            del future
            gc.collect()
            assert gone() is None
