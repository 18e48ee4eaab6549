"""Requests for operations that repeat, or cannot be."""

from __future__ import annotations

import pytest
from tests.containers.engine import LONG, Engine

from parallelops.containers import (
    ContainerOperations,
    DuplicateOperation,
    Handler,
    InvalidOperation,
    NotOwned,
    OperationFailed,
    load_engine,
)
from parallelops.errors import ExecutorShutdown, PluginError
from parallelops.testing import MemoryJournal

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
