"""What the explored scenarios of keyed executors share."""

from __future__ import annotations

import os

from parallelops.testing.exploring import explore

KEYED = [
    f"parallelops/{name}.py"
    for name in (
        "keyed/entrance",
        "keyed/entries",
        "keyed/executor",
        "keyed/ledger",
        "keyed/line",
        "keyed/operation",
        "keyed/serving",
        "keyed/turns",
        "backends/intake",
    )
]
# They are many, and each finds most of what it can early.
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500")) // 4

explored = explore(SCHEDULES, preempt=KEYED)
# For what is decided in a few lines.
explored_closely = explore(
    4 * SCHEDULES,
    preempt=["parallelops/backends/intake.py", "parallelops/keyed/serving.py"],
)


class Watch:
    """Sees what runs: in which order, and what overlaps."""

    def __init__(self, sim):
        self._now = sim.runtime.monotonic
        self._sleep = sim.runtime.sleep
        self.begun = []
        self.running = []

    def run(self, name, alone=True):
        """An operation that takes a while."""
        assert not alone or not self.running, f"{name} beside {self.running}"
        assert "alone" not in self.running
        self.begun.append(name)
        self.running.append("alone" if alone else "shared")
        self._sleep(1)
        self.running.remove("alone" if alone else "shared")
        return name


def idle(keyed):
    """Nothing is left of anything."""
    turns = keyed._turns
    assert not turns.entries
    assert not turns.loose
    assert not turns._serving
    assert len(turns.room) == turns.max_pending
    stats = keyed.stats()
    assert stats.pending == stats.keys == stats.running == 0
