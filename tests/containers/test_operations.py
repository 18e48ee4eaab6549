"""Operations on containers: order, and what each step means."""

from __future__ import annotations

import threading

import pytest
from tests.containers.engine import LONG

from parallelops import load_executor
from parallelops.containers import ContainerOperations, SQLiteJournal, State
from parallelops.errors import DeadlockError, ExecutorSaturated
from parallelops.testing import MemoryJournal

# -- what is to be so


def test_an_operation_is_done_and_kept(operations, journal):
    """Its result is in the future, and in the journal."""
    operation = operations.submit("c", "start", {"timeout": 5})
    assert operation.future.result(LONG) == {"did": "start", "attempt": 1}
    assert operation.state is State.SUCCEEDED
    entry = journal.find(operation.id)
    assert entry == operation.entry
    assert entry.as_dict()["result"] == {"did": "start", "attempt": 1}
    assert entry.as_dict()["parameters"] == {"timeout": 5}
    assert operations.call("c", "stop")["did"] == "stop"
    assert [e.action for e in operations.history("c")] == ["start", "stop"]
    assert operations.stats().succeeded == 2
    assert "succeeded" in repr(operation)


def test_it_is_durable_before_submit_returns(threaded, engine, path):
    """Whoever looks into the file sees what was acknowledged."""
    shut = engine.gate()
    running = threaded.submit("c", "start", {"gate": "shut"})
    waiting = threaded.submit("c", "start")
    with SQLiteJournal(path) as journal:
        assert {e.id for e in journal.unfinished([""])} == {
            running.id,
            waiting.id,
        }
        assert journal.find(waiting.id).state is State.ACCEPTED
    shut.set()
    waiting.future.result(LONG)
    assert engine.done == [running.id, waiting.id]


def test_the_order_is_that_of_the_requests(threaded, engine):
    """Of one container; others overtake it."""
    shut = engine.gate()
    wanted = [threaded.submit("c", "start", {"gate": "shut"}).id]
    wanted += [threaded.submit("c", "start").id for _ in range(20)]
    other = threaded.submit("d", "start")
    other.future.result(LONG)
    shut.set()
    last = threaded.submit("c", "start")
    last.future.result(LONG)
    assert engine.done == [other.id, *wanted, last.id]


def test_a_bypassing_operation_waits_for_none(threaded, engine):
    """Though the container is busy."""
    shut = engine.gate()
    threaded.submit("c", "start", {"gate": "shut"})
    assert threaded.call("c", "stats")["did"] == "stats"
    shut.set()


def test_a_blocking_operation_needs_no_worker(threaded, engine, journal):
    """It is done in the caller, though every worker is busy and the journal
    is not asked."""
    shut = engine.gate()
    busy = [
        threaded.submit(f"c{n}", "start", {"gate": "shut"}) for n in range(9)
    ]
    operation = threaded.submit("c0", "logs")
    assert operation.state is State.SUCCEEDED
    assert operation.future.result()["did"] == "logs"
    failed = threaded.submit("c0", "logs", {"then": "fail"})
    assert isinstance(failed.future.exception(), ValueError)
    assert failed.state is State.FAILED
    assert journal.find(operation.id) is None
    shut.set()
    for other in busy:
        other.future.result(LONG)


def test_blocking_operations_are_bounded(threads, engine, journal):
    """One too many is refused."""
    with ContainerOperations(
        threads, handlers=engine, journal=journal, max_blocking=1
    ) as operations:
        operations.recover()
        shut = engine.gate()
        one = threads.submit(operations.call, "c", "logs", {"gate": "shut"})
        assert shut.entered.wait(LONG)
        with pytest.raises(ExecutorSaturated, match="max_blocking"):
            operations.call("d", "logs")
        shut.set()
        one.result(LONG)
        operations.call("d", "logs")


def test_without_room_the_request_does_it_itself(engine, journal, kind):
    """In its turn; that is the limit on requests, and it is counted."""
    with (
        load_executor(kind, max_workers=1) as executor,
        ContainerOperations(
            executor,
            handlers=engine,
            journal=journal,
            max_pending_per_container=1,
        ) as operations,
    ):
        operations.recover()
        shut = engine.gate()
        first = operations.submit("c", "start", {"gate": "shut"})
        threading.Timer(0.05, shut.set).start()
        second = operations.submit("c", "start")
        assert second.future.done()
        assert engine.done == [first.id, second.id]
        assert operations.stats().caller_runs == 1


def test_a_request_that_is_rejected_leaves_nothing(threads, engine, journal):
    """Where the policy is to reject."""
    with ContainerOperations(
        threads,
        handlers=engine,
        journal=journal,
        max_pending_per_container=1,
        on_full="reject",
    ) as operations:
        operations.recover()
        shut = engine.gate()
        first = operations.submit("c", "start", {"gate": "shut"})
        with pytest.raises(ExecutorSaturated):
            operations.submit("c", "start", operation_id="late")
        shut.set()
        first.future.result(LONG)
        assert journal.find("late") is None
        assert operations.call("c", "start")


def test_an_operation_may_request_others(threaded, journal, engine):
    """Of its own container and of others; waiting for its own says so."""

    def nested(call):
        other = threaded.submit("d", "start")
        other.future.result(LONG)
        mine = threaded.submit("c", "start", operation_id="mine")
        with pytest.raises(DeadlockError):
            mine.future.result()
        return "done"

    engine.handlers["nest"] = nested
    with ContainerOperations(
        threaded._keyed.executor,
        handlers=engine,
        journal=MemoryJournal(threaded.runtime),
    ) as operations:
        operations.recover()
        threaded = operations
        assert operations.call("c", "nest") == "done"
        operations.get("mine").future.result(LONG)
