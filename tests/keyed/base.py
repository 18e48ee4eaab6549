"""What tests of keyed executors share, whatever these run on."""

from __future__ import annotations

import pytest

from parallelops import (
    KeyedExecutor,
)
from parallelops.testing.contract.base import Gate

LIMIT = 20


def forbidden():
    """What must never run."""
    raise AssertionError("it ran")


class KeyedBase:
    """For a backend; implement ``make(**options)``."""

    parallel = True
    # A reentrant lock of green threads may block who interrupts its taking.
    takes_signals = True

    def make(self, **options):
        """A new executor."""
        raise NotImplementedError

    @pytest.fixture
    def executor(self):
        """One with few workers."""
        with self.make(max_workers=2) as executor:
            yield executor

    @pytest.fixture
    def keyed(self, executor):
        """The thing itself; nothing is left in it afterwards."""
        with KeyedExecutor(executor) as keyed:
            yield keyed
        turns = keyed._turns
        assert not turns.entries
        assert not turns.loose
        assert len(turns.room) == turns.max_pending

    @pytest.fixture
    def gate(self, executor):
        """Holds operations; opened at the end."""
        gate = Gate(executor, LIMIT)
        yield gate
        gate.open()

    def hold(self, keyed, gate, key="k", **how):
        """Keep a key busy."""
        if not self.parallel:
            pytest.skip("it is done before submit returns")
        future = keyed.enqueue(key, gate.hold, **how)
        gate.arrived(1)
        return future
