"""Exploring finds bugs, shortens them and runs them again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

import pytest
from tests.explored.bugs import BUGS, PREEMPT, lost_update, unlocked

from parallelops.testing.exploring import Exploration, explore, shortened
from parallelops.testing.schedules import Replay, strategies
from parallelops.testing.simulation import (
    Deadlock,
    Endless,
    Simulation,
    Stuck,
)

HERE = Path(__file__).parent


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("strategy", ["random", "pct", "bounded:2"])
def test_finds_each_bug(bug, strategy):
    """Within 200 schedules, shortened to 4 switches at the most."""
    exploration = Exploration(
        schedules=200, strategy=strategy, preempt=PREEMPT.get(bug, ())
    )
    finding = exploration.find(bug)
    assert finding is not None
    assert len(finding.switches) <= 4
    for _ in range(100):
        failure, switches = exploration.replay(
            bug, finding.seed, finding.switches, explain=True
        )
        assert type(failure) is type(finding.failure)
        assert str(failure) == str(finding.failure)
        assert switches == finding.switches


FIND = """
import sys
sys.path.insert(0, sys.argv[1])
from bugs import BUGS, PREEMPT
from parallelops.testing.exploring import Exploration
for bug in BUGS:
    found = Exploration(schedules=200, preempt=PREEMPT.get(bug, ())).find(bug)
    print(bug.__name__, found.seed, found.switches, repr(found.failure))
"""


def test_finds_the_same_whatever_the_hash_seed():
    """Nothing depends on the order of a set or on an address."""
    seen = set()
    for seed in ("0", "1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", FIND, str(HERE)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        seen.add(run.stdout)
    assert len(seen) == 1
    assert seen.pop().count("\n") == len(BUGS)


def test_tells_what_and_where():
    """The failure carries the seed, and each switch with its place."""

    @explore(schedules=200)
    def test(sim):
        lost_update(sim)

    with pytest.raises(AssertionError) as caught:
        test()
    (note,) = caught.value.__notes__
    assert "PARALLELOPS_SEED=" in note
    assert "bugs.py:" in note
    assert "deposit at" in note


def test_the_seed_runs_one_schedule(monkeypatch):
    """PARALLELOPS_SEED replays the schedule of that seed, and no other."""
    finding = Exploration(schedules=200).find(lost_update)
    seeds = []

    @explore(schedules=5, seed=1000)
    def test(sim):
        seeds.append(sim.seed)
        lost_update(sim)

    monkeypatch.setenv("PARALLELOPS_SEED", str(finding.seed))
    with pytest.raises(AssertionError):
        test()
    assert set(seeds) == {finding.seed}
    monkeypatch.setenv("PARALLELOPS_SEED", "seven")
    with pytest.raises(ValueError, match="PARALLELOPS_SEED"):
        test()


def test_bounded_is_exhaustive():
    """Every schedule within the bound is tried, each once."""
    seen = []

    def two_steps(sim):
        order = []

        def step(name):
            with lock:
                order.append(name)

        lock = sim.runtime.lock()
        sim.together(lambda: step("a"), lambda: step("b"))
        seen.append("".join(order))

    assert (
        Exploration(schedules=10_000, strategy="bounded:1").find(two_steps)
        is None
    )
    assert set(seen) == {"ab", "ba"}
    assert len(seen) < 100
    count = len(seen)
    seen.clear()
    Exploration(schedules=10_000, strategy="bounded:2").find(two_steps)
    assert len(seen) > count


def test_instruction_by_instruction():
    """Within one line, too."""

    def add(sim):
        total = [0]

        def once():
            total[0] += 1

        sim.together(once, once)
        assert total[0] == 2

    here = [Path(__file__).name]
    by_line = Exploration(schedules=300, preempt=here)
    by_instruction = Exploration(schedules=300, preempt=here, by="instruction")
    assert by_line.find(add) is None
    finding = by_instruction.find(add)
    assert finding is not None
    assert len(finding.switches) <= 4


def test_virtual_time():
    """An hour passes at once, and in order."""

    def sleep(sim):
        woken = []

        def after(seconds):
            sim.runtime.sleep(seconds)
            woken.append((seconds, sim.runtime.monotonic()))

        sim.together(
            lambda: after(3600), lambda: after(0.5), lambda: after(60)
        )
        assert woken == [(0.5, 0.5), (60, 60.0), (3600, 3600.0)]
        began = sim.runtime.time()
        assert not sim.runtime.event().wait(10)
        assert sim.runtime.time() == began + 10

    assert Exploration(schedules=50).find(sleep) is None


def test_chance_is_seeded():
    """The runtime's randomness is that of the schedule's seed."""
    drawn = {}

    def draw(sim):
        drawn.setdefault(sim.seed, []).append(sim.runtime.random.random())

    for _ in range(2):
        Exploration(schedules=3).find(draw)
    assert all(first == second for first, second in drawn.values())
    assert len({values[0] for values in drawn.values()}) == 3


def test_deadlock_says_who_waits_for_whom():
    """Threads, places, and who has what they want."""

    def deadlock(sim):
        one, two = sim.runtime.lock(), sim.runtime.lock()
        one.acquire()
        two.acquire()

        def never():
            one.acquire()

        sim.together(never)

    finding = Exploration(schedules=1).find(deadlock)
    assert isinstance(finding.failure, Deadlock)
    text = str(finding.failure)
    assert "waits for the end of never" in text
    assert "waits for a lock that main took" in text
    assert Path(__file__).name in text


def test_a_schedule_that_does_not_end():
    """It is stopped, and said."""

    def spin(sim):
        lock = sim.runtime.lock()
        while True:
            with lock:
                pass

    finding = Exploration(schedules=1, max_steps=1000).find(spin)
    assert isinstance(finding.failure, Endless)
    assert "1001 steps" in str(finding.failure)


def test_a_call_that_bypasses_the_runtime(monkeypatch):
    """A thread that blocks in something else is found and shown."""
    monkeypatch.setattr("parallelops.testing.simulation.PATIENCE", 0.05)
    released = []

    def blocks_for_real(_):
        while not released:
            time.sleep(0.01)

    simulation = Simulation(Replay({}))
    try:
        with pytest.raises(Stuck, match="blocks_for_real"):
            simulation.run(lambda: blocks_for_real(None))
    finally:
        released.append(1)


def test_failure_in_a_spawned_thread():
    """It fails the test, though nobody joins the thread."""

    def fail(sim):
        def bad():
            raise LookupError("in the thread")

        sim.spawn(bad)
        sim.runtime.sleep(1)

    finding = Exploration(schedules=1).find(fail)
    assert isinstance(finding.failure, LookupError)


def test_failures_and_skips_of_pytest():
    """They are no Exceptions; a failure is explored, a skip is a skip."""

    def fail(sim):
        with pytest.raises(LookupError):
            sim.runtime.sleep(0)

    finding = Exploration(schedules=1).find(fail)
    assert "DID NOT RAISE" in str(finding.failure)
    with pytest.raises(pytest.skip.Exception):
        Exploration(schedules=1).find(lambda _: pytest.skip("not here"))


def test_what_still_waits_is_let_out():
    """When the test ends no thread stays behind."""
    import threading

    before = threading.active_count()
    ended = []

    def leave_behind(sim):
        lock = sim.runtime.lock()
        lock.acquire()

        def wait():
            try:
                with lock:
                    pass
            finally:
                ended.append(1)

        for _ in range(3):
            sim.spawn(wait)
        sim.runtime.sleep(1)

    assert Exploration(schedules=20).find(leave_behind) is None
    assert len(ended) == 60
    assert threading.active_count() == before


def test_shortening():
    """What is not needed is left out, whatever it takes together."""
    needed = {3, 11}
    switches = list(range(40))
    assert list(shortened(switches, lambda s: needed <= set(s))) == [3, 11]
    assert list(shortened(switches, lambda _: True)) == []


def test_unknown_strategy():
    """One that is not there is named."""
    with pytest.raises(ValueError, match="clairvoyant"):
        list(strategies("clairvoyant", 1, 0))


def test_a_test_without_sim():
    """It is told at once that it must have the argument."""
    with pytest.raises(TypeError, match="sim"):

        @explore()
        def test():
            """Nothing."""


class UnderUnittest(unittest.TestCase):
    """The decorator on a method."""

    @explore(schedules=20)
    def test_method(self, sim):
        """It gets both itself and the simulation."""
        assert sim.runtime

    def test_failure(self):
        """A failure is raised as unittest expects it."""

        @explore(schedules=200, preempt=PREEMPT[unlocked])
        def test(sim):
            unlocked(sim)

        with pytest.raises(AssertionError):
            test()
