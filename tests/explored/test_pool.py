"""The pool under many schedules: real code, preempted at each line."""

from __future__ import annotations

import concurrent.futures

import pytest
from tests.explored.pool import SCHEDULES, explored

from parallelops import (
    ExecutorSaturated,
    ExecutorShutdown,
)
from parallelops.testing.exploring import explore


@explored
def test_submit_and_result(sim):
    """Everybody gets the result of their own call."""
    with sim.executor(2, max_queue=1) as executor:

        def use():
            futures = [executor.submit(abs, -n) for n in range(3)]
            assert [future.result() for future in futures] == [0, 1, 2]

        sim.together(use, use)
        assert sim.runtime.monotonic() == 0, "somebody slept on work"
    stats = executor.stats()
    assert stats.succeeded == 6
    assert stats.workers == stats.queued == stats.running == 0


@explored
def test_submit_races_shutdown(sim):
    """A submit is refused, or its task is done when shutdown returns."""
    executor = sim.executor(2, max_queue=2)
    ran = []

    def submit():
        try:
            future = executor.submit(ran.append, 1)
        except ExecutorShutdown:
            assert not ran
        else:
            assert future.result() is None
            assert ran == [1]

    sim.together(submit, executor.shutdown)
    executor.shutdown()
    assert executor.stats().workers == 0
    assert executor.stats().succeeded == len(ran)


@explored
def test_submit_races_cancelling_shutdown(sim):
    """Each accepted future ends: done, or cancelled and never run."""
    executor = sim.executor(1, max_queue=3)
    ran, futures = [], []

    def submit():
        for n in range(3):
            try:
                futures.append(executor.submit(ran.append, n))
            except ExecutorShutdown:
                return

    sim.together(submit, lambda: executor.shutdown(cancel_futures=True))
    executor.shutdown()
    done = executor.wait(futures)
    assert not done.not_done
    kept = [future for future in futures if not future.cancelled()]
    assert len(ran) == len(kept)
    stats = executor.stats()
    assert stats.succeeded == len(kept)
    assert stats.cancelled == len(futures) - len(kept)


@explored
def test_blocked_submits(sim):
    """Nobody stays in line when there is room."""
    with sim.executor(1, max_queue=0) as executor:

        def submit():
            for n in range(2):
                assert executor.submit(abs, n).result() == n

        sim.together(submit, submit, submit)
    assert executor.stats().succeeded == 6


@explored
def test_blocked_submit_races_shutdown(sim):
    """Who stands in line is let in, or told."""
    executor = sim.executor(1, max_queue=0)
    gate = sim.runtime.event()
    executor.submit(gate.wait)
    outcomes = []

    def submit():
        try:
            outcomes.append(executor.submit(int).result())
        except ExecutorShutdown:
            outcomes.append("refused")

    def close():
        executor.shutdown(wait=False)
        gate.set()

    sim.together(submit, submit, close)
    executor.shutdown()
    assert len(outcomes) == 2
    assert set(outcomes) <= {0, "refused"}


@explored
def test_bound(sim):
    """There are never more accepted tasks than there is room for."""
    executor = sim.executor(1, max_queue=1, on_saturation="reject")
    gate = sim.runtime.event()
    accepted = []

    def submit():
        for _ in range(2):
            try:
                accepted.append(executor.submit(gate.wait))
            except ExecutorSaturated:
                pass

    sim.together(submit, submit)
    assert len(accepted) == 2
    gate.set()
    executor.shutdown()
    assert executor.stats().succeeded == 2
    assert executor.stats().rejected == 2


@explored
def test_idle_workers_retire(sim):
    """A worker that leaves for want of work leaves none behind."""
    with sim.executor(2, max_queue=2, idle_timeout=1) as executor:

        def use():
            for pause in (0, 1, 1, 2):
                sim.runtime.sleep(pause)
                assert executor.submit(int).result() == 0

        sim.together(use, use)
        sim.runtime.sleep(10)
        assert executor.stats().workers == 0
        assert executor.submit(int).result() == 0


# Only where it can happen, so that it happens often.
@explore(SCHEDULES, preempt=["parallelops/futures.py"])
def test_cancel_races_run(sim):
    """A cancelled task never runs; one that was not, does; once."""
    with sim.executor(1, max_queue=3) as executor:
        ran = []
        gate = sim.runtime.event()
        first = executor.submit(gate.wait)
        futures = [executor.submit(ran.append, n) for n in range(3)]
        sim.together(gate.set, *(future.cancel for future in futures))
        assert not executor.wait([first, *futures]).not_done
        expected = [n for n in range(3) if not futures[n].cancelled()]
        assert ran == expected
        # The room of all of them is free again.
        again = [executor.submit(int) for _ in range(4)]
        assert not executor.wait(again).not_done
    assert executor.stats().blocked == 0


@explored
def test_resize(sim):
    """Whatever happens while it is resized, the last size holds."""
    with sim.executor(2, max_queue=2) as executor:

        def resize():
            executor.resize(1)
            executor.resize(3)

        def use():
            futures = [executor.submit(abs, n) for n in range(3)]
            assert [future.result() for future in futures] == [0, 1, 2]

        sim.together(resize, use)
        gate = sim.runtime.event()
        held = [executor.submit(gate.wait) for _ in range(3)]
        sim.runtime.sleep(1)
        assert executor.stats().running == 3
        gate.set()
        assert not executor.wait(held).not_done


@explored
def test_shrink_while_idle(sim):
    """Surplus workers leave, and those that are left do the work."""
    with sim.executor(3, max_queue=3) as executor:
        executor.wait([executor.submit(int) for _ in range(3)])

        def use():
            assert executor.submit(int).result() == 0

        sim.together(lambda: executor.resize(1), use, use)
        sim.runtime.sleep(1)
        assert executor.stats().workers <= 1
        assert executor.submit(int).result() == 0


@explored
def test_callbacks(sim):
    """A callback is called once, however late it is added."""
    with sim.executor(1) as executor:
        called = []
        future = executor.submit(int)

        def add(name):
            future.add_done_callback(lambda _: called.append(name))

        sim.together(lambda: add("a"), lambda: add("b"))
        executor.submit(int).result()
    assert sorted(called) == ["a", "b"]


@explored
def test_wait_and_as_completed(sim):
    """Nobody misses a future that ends while they begin to wait."""
    with sim.executor(2) as executor:
        futures = [executor.submit(abs, n) for n in range(3)]

        def wait():
            assert not executor.wait(futures).not_done
            first = executor.wait(
                futures, return_when=concurrent.futures.FIRST_COMPLETED
            )
            assert first.done

        def iterate():
            assert set(executor.as_completed(futures)) == set(futures)

        sim.together(wait, iterate)


@explored
def test_wait_in_time(sim):
    """A wait that runs out of time leaves nothing behind."""
    with sim.executor(1) as executor:
        future = executor.submit(sim.runtime.sleep, 2)
        before = sim.runtime.monotonic()

        def give_up():
            with pytest.raises(TimeoutError):
                future.result(1)

        sim.together(give_up, future.result)
        assert sim.runtime.monotonic() == before + 2


@explored
def test_shutdown_in_a_task(sim):
    """What was accepted is done although a task shuts the pool down."""
    executor = sim.executor(2, max_queue=2)
    futures = [executor.submit(int), executor.submit(executor.shutdown)]
    executor.shutdown()
    assert not executor.wait(futures).not_done
    assert executor.stats().succeeded == 2


@explored
def test_failing_initializer(sim):
    """Everybody who waits learns of it."""

    def fail():
        raise LookupError

    executor = sim.executor(1, max_queue=1, initializer=fail)
    outcomes = []

    def submit():
        try:
            outcomes.append(executor.submit(int).exception())
        except concurrent.futures.BrokenExecutor as error:
            outcomes.append(error)

    sim.together(submit, submit)
    executor.shutdown()
    broken = concurrent.futures.BrokenExecutor
    assert [isinstance(o, broken) for o in outcomes] == [True, True]


@explored
def test_fair(sim):
    """Whoever submits takes turns, and nothing is lost."""
    with sim.executor(1, max_queue=9, fair=True) as executor:

        def submit():
            futures = [executor.submit(abs, n) for n in range(3)]
            assert [future.result() for future in futures] == [0, 1, 2]

        sim.together(submit, submit)
    assert executor.stats().succeeded == 6


@explored
def test_dropped(sim):
    """An executor that nobody holds does what it accepted, and ends."""
    executor = sim.executor(1, max_queue=2)
    pool = executor._pool
    futures = [executor.submit(abs, n) for n in range(2)]
    del executor
    assert [future.result() for future in futures] == [0, 1]
    pool.join(None)
    assert not pool.workers


@explored
def test_map(sim):
    """Results in order, two readers at a time."""
    with sim.executor(2, max_queue=1) as executor:

        def read():
            assert list(executor.map(abs, [1, -2, 3], buffersize=2)) == [
                1,
                2,
                3,
            ]

        sim.together(read, read)
