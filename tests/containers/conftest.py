"""Journals and engines to operate with."""

from __future__ import annotations

import os

import pytest
from tests.containers.engine import Engine

from parallelops import load_executor
from parallelops.containers import ContainerOperations, SQLiteJournal

# Of what kind concurrent executors are; see test_greenthread.
KIND = os.environ.get("PARALLELOPS_TEST_EXECUTOR", "thread")


@pytest.fixture
def kind():
    """The name of the concurrent executor."""
    return KIND


@pytest.fixture
def path(tmp_path):
    """Where a journal may be."""
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    """An empty journal."""
    with SQLiteJournal(path) as journal:
        yield journal


@pytest.fixture(params=["serial", KIND])
def executor(request):
    """An executor of each kind, with a few workers."""
    with load_executor(request.param, max_workers=4) as executor:
        yield executor


@pytest.fixture
def threads():
    """A few threads."""
    with load_executor(KIND, max_workers=4) as executor:
        yield executor


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
