"""Journals and executors that fail under operations."""

from __future__ import annotations

import collections
import logging
import threading

import pytest
from tests.containers.engine import LONG, states

from parallelops.containers import (
    ContainerOperations,
    ContainerQuarantined,
    Entry,
    JournalError,
    NotOwned,
    OperationDeferred,
    OperationUnknown,
    State,
)
from parallelops.errors import ExecutorShutdown
from parallelops.testing import ManualExecutor, MemoryJournal

# -- a journal that fails


def with_faults(executor, engine, **faults):
    """Operations over a journal that fails as planned."""
    journal = MemoryJournal(executor.runtime, faults)
    operations = ContainerOperations(
        executor, handlers=engine, journal=journal
    )
    operations.recover()
    return operations, journal


@pytest.mark.parametrize("fault", ["fail", "lost_answer"])
def test_a_request_that_is_not_durable_is_refused(threads, engine, fault):
    """It has no effect."""
    operations, _ = with_faults(threads, engine, accept=[fault])
    with operations:
        with pytest.raises(JournalError):
            operations.submit("c", "start", operation_id="lost")
        assert operations.call("c", "start")
        assert "lost" not in engine.done
        assert operations.stats().live == 0


def test_what_cannot_be_begun_is_put_off(threads, engine, caplog):
    """It has no effect; its container waits for somebody to say what is to
    become of it."""
    operations, journal = with_faults(threads, engine, advance=["fail"])
    with operations:
        operation = operations.submit("c", "start")
        with pytest.raises(JournalError):
            operation.future.result(LONG)
        assert engine.done == []
        assert journal.find(operation.id).state is State.ACCEPTED
        assert "put off" in caplog.text
        assert list(operations.quarantined()) == ["c"]
        assert operations.call("d", "start")
        again = operations.resolve(operation.id, "accepted")
        assert again.future.result(LONG)["attempt"] == 1
        assert operations.call("c", "start")


@pytest.mark.parametrize("fault", ["fail", "lost_answer"])
def test_what_was_done_and_not_written_is_unknown(
    threads, engine, caplog, fault
):
    """Its effect is there, and nobody can tell from the journal."""
    operations, journal = with_faults(threads, engine, advance=["none", fault])
    with operations:
        operation = operations.submit("c", "start")
        with pytest.raises(OperationUnknown) as caught:
            operation.future.result(LONG)
        assert isinstance(caught.value.__cause__, JournalError)
        assert engine.done == [operation.id]
        assert "is unknown and its container quarantined" in caplog.text
        with pytest.raises(ContainerQuarantined):
            operations.submit("c", "start")
        operations.resolve(operation.id, "succeeded")
        assert journal.find(operation.id).state is State.SUCCEEDED
        assert operations.call("c", "start")


def test_a_cancel_that_is_not_written_holds_the_container(threads, engine):
    """Or what comes after it might overtake it after a crash."""
    shut = engine.gate()
    operations, _ = with_faults(threads, engine, advance=["none", "fail"])
    with operations:
        running = operations.submit("c", "start", {"gate": "shut"})
        assert shut.entered.wait(LONG)
        waiting = operations.submit("c", "start")
        assert waiting.cancel()
        assert waiting.id in operations.quarantined()["c"]
        shut.set()
        running.future.result(LONG)
        operations.resolve(waiting.id, "cancelled")
        assert operations.call("c", "start")


def test_a_recovery_that_fails_can_be_repeated(threads, engine):
    """Nothing is left over from the first half of it."""
    operations, journal = with_faults(threads, engine)
    accepted = journal.accept(
        journal.leases()[0],
        Entry(
            id="left",
            container="c",
            action="stop",
            parameters="{}",
            mode="exclusive",
            recovery="idempotent",
            scope="",
            accepted_at=0.0,
        ),
    )
    journal.advance(journal.leases()[0], accepted.to(State.RUNNING, 0.0))
    journal._faults["advance"] = collections.deque(["none", "fail"])
    with ContainerOperations(
        threads, handlers=engine, journal=journal
    ) as next_:
        with pytest.raises(JournalError):
            next_.recover()
        with pytest.raises(NotOwned):
            next_.submit("c", "start")
        assert next_.recover().repeated == ("left",)
        assert next_.get("left").future.result(LONG)["attempt"] == 2
    operations.shutdown()


# -- executors that give up


def test_an_executor_that_ends_leaves_it_to_the_next(engine):
    """What did not begin is in the journal."""
    executor = ManualExecutor()
    operations, journal = with_faults(executor, engine)
    first = operations.submit("a", "start")
    executor.run_all()
    others = [operations.submit(name, "start") for name in ("c", "c", "d")]
    executor.shutdown(wait=False, cancel_futures=True)
    for operation in others:
        with pytest.raises(OperationDeferred):
            operation.future.result(0)
    assert engine.done == [first.id]
    assert [e.id for e in journal.unfinished([""])] == [o.id for o in others]
    with pytest.raises(ExecutorShutdown):
        operations.submit("e", "start")
    operations.shutdown()


def test_a_shutdown_may_leave_the_rest_to_the_next(threads, engine, journal):
    """Those that have begun are waited for."""
    operations = ContainerOperations(threads, handlers=engine, journal=journal)
    operations.recover()
    shut = engine.gate()
    running = operations.submit("c", "start", {"gate": "shut"})
    assert shut.entered.wait(LONG)
    waiting = operations.submit("c", "start")
    threading.Timer(0.05, shut.set).start()
    operations.shutdown(cancel_futures=True)
    assert running.future.result(0)
    with pytest.raises(OperationDeferred):
        waiting.future.result(0)
    assert states(journal) == ["succeeded", "accepted"]
    assert journal.leases()[0].owner == ""


def test_a_failure_that_nobody_looks_at_is_logged(threads, engine, caplog):
    """As with every future of this library."""
    operations, _ = with_faults(threads, engine)
    with operations, caplog.at_level(logging.ERROR):
        operations.submit("c", "start", {"then": "fail"})
        operations._keyed.drain(timeout=LONG)
    assert "nobody asked for its result" in caplog.text
