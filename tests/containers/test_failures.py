"""Operations that fail, and what that means for what waits."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from tests.containers.engine import LONG, states

from parallelops.containers import (
    ContainerOperations,
    ContainerQuarantined,
    Fenced,
    InvalidOperation,
    NotOwned,
    OperationCancelled,
    OperationUnknown,
    State,
)
from parallelops.errors import IllegalTransition
from parallelops.testing import MemoryJournal

# -- failures


def fail_first(operations, engine, *actions):
    """A failing operation, and others that wait behind it."""
    shut = engine.gate()
    failing = operations.submit("c", "start", {"gate": "shut", "then": "fail"})
    others = [operations.submit("c", action) for action in actions]
    shut.set()
    assert isinstance(failing.future.exception(LONG), ValueError)
    return failing, others


def test_a_failure_cancels_what_waits(threaded, engine, journal):
    """Up to a delete; what is requested later is done."""
    failing, others = fail_first(
        threaded, engine, "start", "stop", "delete", "start"
    )
    for other in others[:2]:
        with pytest.raises(OperationCancelled) as caught:
            other.future.result(LONG)
        assert caught.value.reason == "dependency"
    for other in others[2:]:
        other.future.result(LONG)
    assert threaded.call("c", "start")
    assert states(journal) == [
        "failed",
        *("cancelled", "cancelled"),
        *("succeeded", "succeeded", "succeeded"),
    ]
    assert failing.id in journal.find(others[0].id).reason


def test_a_failure_may_mean_nothing(threads, engine, journal):
    """With on_error="continue" the others are done."""
    with ContainerOperations(
        threads, handlers=engine, journal=journal, on_error="continue"
    ) as operations:
        operations.recover()
        _, (other,) = fail_first(operations, engine, "start")
        other.future.result(LONG)


def test_a_failure_may_hold_the_container(threads, engine, journal):
    """With on_error="quarantine", until somebody has looked."""
    with ContainerOperations(
        threads, handlers=engine, journal=journal, on_error="quarantine"
    ) as operations:
        operations.recover()
        failing, others = fail_first(operations, engine, "start", "stop")
        with pytest.raises(ContainerQuarantined) as caught:
            operations.submit("c", "start")
        assert caught.value.operation == failing.id
        assert operations.call("d", "start")
        operations._keyed.drain(timeout=LONG)
        assert not any(other.future.done() for other in others)
        operations.release("c")
        for other in others:
            other.future.result(LONG)
        assert engine.done[-2:] == [other.id for other in others]
        assert not operations.quarantined()


def test_a_container_that_was_held_is_so_after_a_restart(executor, engine):
    """The next owner finds that the last operation failed."""
    journal = MemoryJournal(executor.runtime)

    def open_(name):
        operations = ContainerOperations(
            executor,
            handlers=engine,
            journal=journal,
            on_error="quarantine",
            owner=name,
        )
        operations.recover()
        return operations

    before = open_("old")
    failed = before.submit("c", "start", {"then": "fail"})
    failed.future.exception(LONG)
    entry = dataclasses.replace(failed.entry, id="w", state=State.ACCEPTED)
    entry = dataclasses.replace(entry, attempts=0, parameters="{}")
    journal.accept(journal.leases()[0], entry)
    with open_("new") as after:
        assert list(after.quarantined()["c"]) == [failed.id]
        waiting = after.get("w")
        assert not waiting.future.done()
        after.release("c")
        waiting.future.result(LONG)


def test_a_handler_may_settle_others_while_a_scope_is_given_back(
    threaded, engine
):
    """No lock is held while it runs."""
    shut = engine.gate()
    seen = []

    def act(call):
        assert shut.wait()
        try:
            threaded.recover()
        except InvalidOperation as error:
            seen.append(str(error))
        threaded.release("nobody")

    engine.handlers["nest"] = act
    with ContainerOperations(
        threaded._keyed.executor,
        handlers=engine,
        journal=MemoryJournal(threaded.runtime),
    ) as operations:
        operations.recover()
        threaded = operations
        running = operations.submit("c", "nest")
        assert shut.entered.wait(LONG)
        threading.Timer(0.05, shut.set).start()
        operations.give_back(timeout=LONG)
        running.future.result(LONG)
    assert "under way" in seen[0]


def test_a_scope_that_was_lost_is_taken_back(threaded, engine, journal):
    """When what still runs here has ended, and not before."""
    shut = engine.gate()
    running = threaded.submit("c", "stop", {"gate": "shut"})
    assert shut.entered.wait(LONG)
    journal.take("", "other", 0.0, None)
    with pytest.raises(Fenced):
        threaded.submit("d", "start")
    assert threaded.owned == set()
    with pytest.raises(TimeoutError, match="1 operations"):
        threaded.recover(timeout=0)
    shut.set()
    with pytest.raises(OperationUnknown):
        running.future.result(LONG)
    with pytest.raises(NotOwned):
        threaded.submit("d", "start")
    report = threaded.recover(timeout=LONG)
    assert report.repeated == (running.id,)
    assert threaded.get(running.id).future.result(LONG)["attempt"] == 2
    assert threaded.call("d", "start")


@pytest.mark.parametrize("then", ["unknown", "exit"])
def test_who_cannot_tell_is_believed(threaded, engine, journal, caplog, then):
    """It is unknown, and the container waits for somebody who can."""
    shut = engine.gate()
    lost = threaded.submit("c", "start", {"gate": "shut", "then": then})
    waiting = threaded.submit("c", "start")
    shut.set()
    with pytest.raises(OperationUnknown) as caught:
        lost.future.result(LONG)
    assert caught.value.operation == lost.id
    assert journal.find(lost.id).state is State.UNKNOWN
    assert "quarantined" in caplog.text
    with pytest.raises(ContainerQuarantined):
        threaded.submit("c", "start")
    with pytest.raises(InvalidOperation, match="resolve it"):
        threaded.release("c")
    with pytest.raises(IllegalTransition):
        threaded.resolve(lost.id, "cancelled")
    settled = threaded.resolve(lost.id, "succeeded", "I looked")
    assert settled.state is State.SUCCEEDED
    waiting.future.result(LONG)
    assert journal.find(lost.id).reason == "I looked"
    with pytest.raises(InvalidOperation, match="nothing waits"):
        threaded.resolve(lost.id, "failed")
    with pytest.raises(InvalidOperation, match="no operation"):
        threaded.resolve("nobody", "failed")


def test_what_is_to_be_done_again_goes_first(threaded, engine):
    """At its own place, before what waited behind it."""
    shut = engine.gate()
    lost = threaded.submit("c", "start", {"gate": "shut", "then": "unknown"})
    waiting = [threaded.submit("c", "start") for _ in range(3)]
    shut.set()
    lost.future.exception(LONG)
    engine.done.clear()
    engine.gates.clear()
    again = threaded.resolve(lost.id, "accepted")
    assert isinstance(again.future.exception(LONG), OperationUnknown)
    assert again.entry.attempts == 2
    threaded.resolve(lost.id, "failed")
    for other in waiting:
        other.future.result(LONG)
    assert engine.done == [lost.id, *(other.id for other in waiting)]


def test_a_result_that_is_no_json_is_the_futures_alone(operations, engine):
    """The journal says why it is not there."""
    operation = operations.submit("c", "start", {"then": "object"})
    assert operation.future.result(LONG) is engine
    entry = operations.get(operation.id).entry
    assert entry.result is None
    assert "not kept: the result must be JSON" in entry.reason


def test_a_cancelled_operation_never_begins(threaded, engine, journal):
    """Be it by its future; and that is durable."""
    shut = engine.gate()
    running = threaded.submit("c", "start", {"gate": "shut"})
    assert shut.entered.wait(LONG)
    first, second = (threaded.submit("c", "start") for _ in range(2))
    assert first.cancel()
    assert second.future.cancel()
    assert states(journal) == ["running", "cancelled", "cancelled"]
    assert not running.cancel()
    shut.set()
    running.future.result(LONG)
    assert threaded.call("c", "start")
    assert len(engine.done) == 2
    assert threaded.stats().cancelled == 2


def test_what_ended_long_ago_is_forgotten(operations, journal):
    """When somebody asks for it."""
    first = operations.submit("c", "start")
    first.future.result(LONG)
    last = operations.submit("c", "start")
    last.future.result(LONG)
    assert operations.prune(3600) == 0
    assert operations.prune(-1) == 1
    assert list(journal.entries()) == [last.entry]
    with pytest.raises(InvalidOperation):
        operations.get(first.id)


def test_an_operation_may_come_too_late(threaded, engine, journal):
    """After its time to live it is cancelled in its turn."""
    shut = engine.gate()
    threaded.submit("c", "start", {"gate": "shut"})
    late = threaded.submit("c", "start", time_to_live=0)
    shut.set()
    with pytest.raises(OperationCancelled) as caught:
        late.future.result(LONG)
    assert caught.value.reason == "expired"
    assert journal.find(late.id).reason == "expired"
