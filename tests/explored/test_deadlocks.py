"""Waits that end, or say that they never would, in many schedules."""

from __future__ import annotations

from tests.explored.pool import explored

from parallelops import DeadlockError


@explored
def test_room_that_never_comes(sim):
    """A worker holds all slots, with tasks that it helps; others idle."""
    with (
        sim.executor(2, max_queue=1) as executor,
        sim.executor(1) as other,
    ):
        gate = sim.runtime.event()

        def need_room():
            executor.submit(int).result()

        def ask_the_other():
            return other.submit(need_room).result()

        def nest():
            gate.set()
            return executor.submit(ask_the_other).result()

        executor.submit(gate.wait)
        outer = executor.submit(lambda: executor.submit(nest).result())
        try:
            outer.result()
        except DeadlockError:
            pass
        assert executor.submit(int).result() == 0


@explored
def test_shrink_closes_a_circle(sim):
    """What is queued was to be begun by a worker that is let go."""
    with sim.executor(2) as executor, sim.executor(1) as other:
        gate, asked = sim.runtime.event(), sim.runtime.event()

        def ask():
            asked.set()
            return queued.result()

        def first():
            gate.wait()
            return other.submit(ask).result()

        outer = executor.submit(first)
        busy = executor.submit(asked.wait)
        queued = executor.submit(int)
        sim.together(gate.set, lambda: executor.resize(1))
        assert busy.result()
        try:
            assert outer.result() == 0
        except DeadlockError:
            pass
        assert queued.result() == 0


@explored
def test_nested(sim):
    """Tasks that wait for their own end, on a full pool."""
    with sim.executor(2, max_queue=1) as executor:

        def depth(n):
            return 1 + executor.submit(depth, n - 1).result() if n else 0

        futures = [executor.submit(depth, 2) for _ in range(2)]
        assert [future.result() for future in futures] == [2, 2]


@explored
def test_wait_for_each_other(sim):
    """A circle is found whoever closes it, and only a circle."""
    with sim.executor(2) as executor:
        futures = []
        known = sim.runtime.event()

        def wait_for(other):
            known.wait()
            return futures[other].result()

        futures += [executor.submit(wait_for, n) for n in (1, 0)]
        free = executor.submit(int)
        known.set()
        failures = [future.exception() for future in futures]
        assert any(isinstance(f, DeadlockError) for f in failures)
        assert free.result() == 0


@explored
def test_helping_counts_as_waiting(sim):
    """A wait with a limit begins nothing more once its time is up."""
    with sim.executor(1) as executor:

        def wait():
            naps = [executor.submit(sim.runtime.sleep, 5) for _ in range(3)]
            start = sim.runtime.monotonic()
            left = executor.wait(naps, timeout=6).not_done
            assert left == {naps[2]}
            assert sim.runtime.monotonic() == start + 10

        executor.submit(wait).result()
