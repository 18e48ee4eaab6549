"""Journals and engines to operate with."""

from __future__ import annotations

import pytest

from parallelops import load_executor
from parallelops.containers import SQLiteJournal


@pytest.fixture
def path(tmp_path):
    """Where a journal may be."""
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    """An empty journal."""
    with SQLiteJournal(path) as journal:
        yield journal


@pytest.fixture(params=["serial", "thread"])
def executor(request):
    """An executor of each kind, with a few workers."""
    with load_executor(request.param, max_workers=4) as executor:
        yield executor


@pytest.fixture
def threads():
    """Real threads."""
    with load_executor("thread", max_workers=4) as executor:
        yield executor
