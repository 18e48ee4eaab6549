"""How many schedules a second, and what real threads find instead."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import harness

from parallelops import ThreadRuntime
from parallelops.testing.exploring import Exploration

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "explored"))

from bugs import BUGS, PREEMPT

SCHEDULES = 1000
GOAL = 1000
RUNS = 1000
PATIENCE = 1.0  # seconds for a run on real threads to end


def three_tasks(sim: object) -> None:
    """A kernel: three threads that take a lock twice each."""
    lock = sim.runtime.lock()
    done = []

    def task() -> None:
        with lock:
            done.append(1)
        with lock:
            done.append(2)

    sim.together(task, task, task)
    assert len(done) == 6


class RealThreads:
    """What the bugs need of a simulation, on real threads."""

    def __init__(self) -> None:
        self.runtime = ThreadRuntime()
        self.failed = False

    def together(self, *functions: Callable[[], object]) -> None:
        """Run each in a thread; one that hangs counts as failed."""

        def guarded(fn: Callable[[], object]) -> None:
            try:
                fn()
            except AssertionError:
                self.failed = True

        handles = [
            self.runtime.spawn(lambda fn=fn: guarded(fn), name="real")
            for fn in functions
        ]
        for handle in handles:
            handle.join(PATIENCE)
        if any(handle.is_alive() for handle in handles):
            raise AssertionError("it hangs")


def fails_for_real(bug: Callable[[object], None]) -> bool:
    real = RealThreads()
    try:
        bug(real)
    except AssertionError:
        return True
    return real.failed


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=5)
    rates = []
    for number in range(rounds):
        begin = time.perf_counter()
        found = Exploration(schedules=SCHEDULES, seed=number * SCHEDULES).find(
            three_tasks
        )
        rates.append(SCHEDULES / (time.perf_counter() - begin))
        assert found is None
    print(
        f"schedules a second, three tasks: {statistics.median(rates):,.0f} "
        f"({min(rates):,.0f} to {max(rates):,.0f}; goal: {GOAL:,})"
    )
    for bug in BUGS:
        preempt = PREEMPT.get(bug, ())
        found = Exploration(schedules=200, preempt=preempt).find(bug)
        real = sum(fails_for_real(bug) for _ in range(RUNS))
        print(
            f"{bug.__name__:<24} explored: schedule {found.seed + 1}, "
            f"{len(found.switches)} switches; "
            f"real threads: {real} of {RUNS:,} runs"
        )


if __name__ == "__main__":
    main()
