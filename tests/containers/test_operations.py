"""Operations on containers: order, failures, and what each step means."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading

import pytest

from parallelops import load_executor
from parallelops.containers import (
    ContainerOperations,
    ContainerQuarantined,
    DuplicateOperation,
    Entry,
    Fenced,
    Handler,
    InvalidOperation,
    JournalError,
    NotOwned,
    OperationCancelled,
    OperationDeferred,
    OperationFailed,
    OperationUnknown,
    SQLiteJournal,
    State,
    load_engine,
)
from parallelops.errors import (
    DeadlockError,
    ExecutorSaturated,
    ExecutorShutdown,
    IllegalTransition,
    PluginError,
)
from parallelops.testing import ManualExecutor, MemoryJournal

LONG = 30  # seconds, after which a test gives up


class Engine:
    """Does what its parameters say, and remembers it."""

    def __init__(self):
        self.done = []
        self.gates = {}
        self.verdicts = {}
        self.handlers = {
            "start": self.act,
            "delete": self.act,
            "stop": Handler(self.act, recovery="idempotent"),
            "move": Handler(
                self.act, recovery="reconcile", reconcile=self.ask
            ),
            "stats": Handler(self.act, mode="bypass"),
            "look": Handler(self.act, mode="shared"),
            "logs": Handler(self.act, blocking=True),
        }

    def act(self, call):
        gate = self.gates.get(call.parameters.get("gate"))
        if gate is not None:
            assert gate.wait(LONG)
        self.done.append(call.operation)
        match call.parameters.get("then"):
            case "fail":
                raise ValueError("it went wrong at https://x?token=hidden")
            case "unknown":
                raise OperationUnknown("no answer came")
            case "exit":
                raise SystemExit("out")
            case "object":
                return self
        return {"did": call.action, "attempt": call.attempt}

    def ask(self, call):
        return self.verdicts[call.operation]

    def gate(self, name="shut"):
        self.gates[name] = threading.Event()
        return self.gates[name]


@pytest.fixture
def engine():
    """An engine whose operations are in this process."""
    return Engine()


@pytest.fixture
def operations(executor, engine, journal):
    """Operations that are open for requests."""
    with ContainerOperations(
        executor, handlers=engine, journal=journal
    ) as operations:
        operations.recover()
        yield operations


@pytest.fixture
def threaded(threads, engine, journal):
    """The same, on threads."""
    with ContainerOperations(
        threads, handlers=engine, journal=journal
    ) as operations:
        operations.recover()
        yield operations


def states(journal, container="c"):
    """The states of a container's operations."""
    return [entry.state.value for entry in journal.history(container)]


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
        while not operations.stats().blocking:
            threads.runtime.sleep(0.001)
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


# -- requests that repeat, or can't be


def test_a_request_that_repeats_gets_the_first(operations, engine):
    """While it runs, and when it has ended."""
    first = operations.submit("c", "start", {"a": 1}, operation_id="one")
    result = first.future.result(LONG)
    again = operations.submit("c", "start", {"a": 1}, operation_id="one")
    assert again.future.result(LONG) == result
    assert engine.done == ["one"]
    failed = operations.submit(
        "c", "start", {"then": "fail"}, operation_id="2"
    )
    assert isinstance(failed.future.exception(LONG), ValueError)
    again = operations.get("2")
    with pytest.raises(OperationFailed, match=r"ValueError.*token=\*\*\*"):
        again.future.result()
    with pytest.raises(DuplicateOperation) as caught:
        operations.submit("c", "start", {"a": 2}, operation_id="one")
    assert caught.value.operation == "one"


def test_a_request_that_repeats_while_it_runs(threaded, engine):
    """It is the same one, and it is durable."""
    shut = engine.gate()
    first = threaded.submit("c", "start", {"gate": "shut"}, operation_id="1")
    again = threaded.submit("c", "start", {"gate": "shut"}, operation_id="1")
    assert again is first is threaded.get("1")
    shut.set()
    first.future.result(LONG)
    assert engine.done == ["1"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (("c", "delte"), "did you mean 'delete'"),
        (("", "start"), "a container must be"),
        ((7, "start"), "a container must be"),
        (("c\n", "start"), "printable"),
        (("c", "start", {1: 2}), "parameters must be JSON"),
        (("c", "start", object()), "parameters must be JSON"),
        (("c", "start", "x" * 70_000), "no longer than 65536"),
    ],
)
def test_what_cannot_be_is_refused(operations, journal, request_, message):
    """Before anything is written."""
    with pytest.raises(InvalidOperation, match=message):
        operations.submit(*request_)
    assert list(journal.entries()) == []


def test_nothing_goes_before_recover_or_after_shutdown(threads, engine):
    """Each says what to do."""
    journal = MemoryJournal(threads.runtime)
    operations = ContainerOperations(threads, handlers=engine, journal=journal)
    for action in ("start", "logs"):
        with pytest.raises(NotOwned, match="call recover first"):
            operations.submit("c", action)
    with operations:
        operations.recover()
        operations.call("c", "start")
    for action in ("start", "logs"):
        with pytest.raises(ExecutorShutdown):
            operations.submit("c", action)
    assert journal.leases()[0].owner == ""
    with pytest.raises(InvalidOperation, match="no operation"):
        operations.get("nobody")


@pytest.mark.parametrize(
    "handlers",
    [
        {},
        7,
        {"a": 7},
        {"": print},
        {"e": {"f": {"g": print}}},
    ],
)
def test_handlers_that_are_none(threads, handlers):
    """They are refused when they are given, not when they are called."""
    with pytest.raises(InvalidOperation):
        ContainerOperations(
            threads,
            handlers=handlers,
            journal=MemoryJournal(threads.runtime),
        )


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "sometimes"},
        {"recovery": "perhaps"},
        {"recovery": "reconcile"},
        {"reconcile": print},
    ],
)
def test_a_handler_that_cannot_be(options):
    """What does not go together is refused."""
    with pytest.raises(InvalidOperation):
        Handler(print, **options)


def test_several_engines_have_their_own_names(threads):
    """Their actions begin with the name of the engine."""
    first, second = Engine(), Engine()
    with ContainerOperations(
        threads,
        handlers={"a": first, "b": second, "own": lambda call: "own"},
        journal=MemoryJournal(threads.runtime),
    ) as operations:
        operations.recover()
        operations.call("c", "a.start")
        operations.call("c", "b.start")
        assert operations.call("c", "own") == "own"
    assert len(first.done) == len(second.done) == 1


def test_an_engine_that_is_not_installed():
    """It is looked for by name."""
    with pytest.raises(PluginError, match="container_engines"):
        load_engine("nobody")


@pytest.mark.parametrize(
    "options",
    [
        {"on_error": "panic"},
        {"max_blocking": 0},
        {"lease_seconds": 0},
        {"max_pending": 0},
        {"on_full": "x"},
    ],
)
def test_an_option_that_cannot_be(threads, engine, options):
    """It is refused at once."""
    with pytest.raises(ValueError):
        ContainerOperations(
            threads,
            handlers=engine,
            journal=MemoryJournal(threads.runtime),
            **options,
        )


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


def test_a_handler_may_settle_others_while_a_scope_is_given_back(
    threaded, engine
):
    """No lock is held while it runs."""
    shut = engine.gate()
    seen = []

    def act(call):
        assert shut.wait(LONG)
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
        while running.state is not State.RUNNING:
            threaded.runtime.sleep(0.001)
        threading.Timer(0.05, shut.set).start()
        operations.give_back(timeout=LONG)
        running.future.result(LONG)
    assert "under way" in seen[0]


def test_a_scope_that_was_lost_is_taken_back(threaded, engine, journal):
    """When what still runs here has ended, and not before."""
    shut = engine.gate()
    running = threaded.submit("c", "stop", {"gate": "shut"})
    while running.state is not State.RUNNING:
        threaded.runtime.sleep(0.001)
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
    while running.state is not State.RUNNING:
        threaded.runtime.sleep(0.001)
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
        while running.state is not State.RUNNING:
            threads.runtime.sleep(0.001)
        waiting = operations.submit("c", "start")
        assert waiting.cancel()
        assert waiting.id in operations.quarantined()["c"]
        shut.set()
        running.future.result(LONG)
        operations.resolve(waiting.id, "cancelled")
        assert operations.call("c", "start")


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
    while running.state is not State.RUNNING:
        threads.runtime.sleep(0.001)
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
