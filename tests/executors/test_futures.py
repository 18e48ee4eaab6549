"""The future: what the contract of executors does not reach."""

from __future__ import annotations

import concurrent.futures
import functools
import sys
import threading

import pytest

from parallelops import load_executor
from parallelops.futures import describe

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
