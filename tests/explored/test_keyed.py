"""Keyed executors under many schedules: real code, preempted at each line."""

from __future__ import annotations

import os

import pytest

from parallelops import (
    DeadlockError,
    ExecutorSaturated,
    ExecutorShutdown,
    KeyedExecutor,
    KeyQuarantined,
    Superseded,
)
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
        "keyed/turns",
        "backends/intake",
    )
]
# They are many, and each finds most of what it can early.
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500")) // 4

explored = explore(SCHEDULES, preempt=KEYED)


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


@explored
def test_order(sim):
    """Each submitter's operations of a key run in its order, one by one."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        watch = {key: Watch(sim) for key in "ab"}

        def submit(name):
            for number in range(3):
                for key in "ab":
                    keyed.submit(key, watch[key].run, (name, number))

        sim.together(lambda: submit(1), lambda: submit(2))
        keyed.drain()
        for each in watch.values():
            for name in (1, 2):
                mine = [n for who, n in each.begun if who == name]
                assert mine == [0, 1, 2]
        assert sim.runtime.monotonic() >= 6
        idle(keyed)


@explored
def test_shared_and_exclusive(sim):
    """Shared ones keep out exclusive ones, and what came before precedes."""
    with sim.executor(3) as executor, KeyedExecutor(executor) as keyed:
        watch = Watch(sim)

        def enqueue(mode, name):
            return keyed.enqueue(
                "k",
                lambda: watch.run(name, alone=mode == "exclusive"),
                mode=mode,
            )

        def submit():
            futures = [
                enqueue("shared", 1),
                enqueue("shared", 2),
                enqueue("exclusive", 3),
                enqueue("shared", 4),
            ]
            assert [future.result() for future in futures] == [1, 2, 3, 4]

        other = keyed.submit("other", int)
        sim.together(submit, lambda: enqueue("exclusive", 5).result())
        mine = [name for name in watch.begun if name != 5]
        assert set(mine[:2]) == {1, 2}
        assert mine[2:] == [3, 4]
        assert other.result() == 0
        keyed.drain()
        idle(keyed)


@explored
def test_cancel_races_the_turn(sim):
    """A cancelled one never runs; the next gets its turn all the same."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        ran = []
        futures = [keyed.submit("k", ran.append, n) for n in range(4)]

        def cancel():
            for future in futures:
                future.cancel()

        sim.together(cancel, lambda: keyed.cancel_pending("k"))
        keyed.drain()
        assert all(future.done() for future in futures)
        assert ran == [n for n in range(4) if not futures[n].cancelled()]
        assert keyed.submit("k", int).result() == 0
        keyed.drain()
        idle(keyed)
    assert keyed.stats().cancelled == 4 - len(ran)


@explored
def test_quarantine_races_the_turn(sim):
    """Nothing begins once it is in quarantine, and all does afterwards."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        ran, held, late = [], [False], []

        def run(name):
            late.append(held[0])
            ran.append(name)

        futures = []

        def submit():
            for n in range(3):
                try:
                    futures.append(keyed.submit("k", run, n))
                except KeyQuarantined:
                    pass

        def hold():
            keyed.quarantine("k", "unknown")
            seen = len(ran)
            # What has begun may still be on its way to say so.
            keyed.drain("k")
            begun = len(ran)
            assert begun <= seen + 1
            held[0] = True
            sim.runtime.sleep(5)
            assert len(ran) == begun, "it began in quarantine"
            held[0] = False
            keyed.release("k")

        sim.together(submit, hold)
        assert [future.result() for future in futures] == [None] * len(futures)
        assert not any(late)
        assert ran == sorted(ran)
        keyed.drain()
        idle(keyed)


@explored
def test_executor_shutdown_races(sim):
    """What was accepted is done, or ends with an error; nothing is stuck."""
    executor = sim.executor(2, max_queue=2)
    keyed = KeyedExecutor(executor)
    ran, futures = [], []

    def submit():
        for n in range(3):
            try:
                futures.append(keyed.submit("k", ran.append, n))
            except ExecutorShutdown:
                return

    def release():
        keyed.quarantine("q", "wait")
        keyed.release("q")

    sim.together(submit, release, lambda: executor.shutdown(wait=False))
    executor.shutdown()
    executor.wait(futures)
    assert len(ran) == len([f for f in futures if f.exception() is None])
    assert ran == sorted(ran)
    keyed.shutdown()
    idle(keyed)


@explored
def test_cancelling_executor_shutdown_races(sim):
    """The same, where the executor drops what waits in its queue."""
    executor = sim.executor(1, max_queue=2)
    keyed = KeyedExecutor(executor)
    futures, ran = [], []

    def submit():
        for key in ("a", "b", "a"):
            try:
                futures.append(keyed.submit(key, ran.append, key))
            except ExecutorShutdown:
                return

    sim.together(submit, lambda: executor.shutdown(cancel_futures=True))
    executor.shutdown()
    executor.wait(futures)
    fine = [f for f in futures if not f.cancelled() and not f.exception()]
    assert len(ran) == len(fine)
    keyed.shutdown()
    idle(keyed)


@explored
def test_broken_executor(sim):
    """An initializer that fails leaves nobody waiting."""

    def fail():
        raise LookupError

    executor = sim.executor(1, max_queue=2, initializer=fail)
    keyed = KeyedExecutor(executor)
    outcomes = []

    def submit(key):
        for _ in range(2):
            try:
                outcomes.append(keyed.submit(key, int).exception())
            except Exception as error:
                outcomes.append(error)

    sim.together(lambda: submit("a"), lambda: submit("a"))
    assert len(outcomes) == 4
    assert all(outcomes)
    keyed.shutdown()
    executor.shutdown()
    idle(keyed)


@explored
def test_waits_for_each_other(sim):
    """A circle between keys is found whoever closes it."""
    with sim.executor(3) as executor, KeyedExecutor(executor) as keyed:

        def cross(other):
            return keyed.submit(other, int).result()

        def own():
            with pytest.raises(DeadlockError):
                keyed.submit("c", int).result()
            return "told"

        a, b = (keyed.submit(k, cross, o) for k, o in ("ab", "ba"))
        failures = [a.exception(), b.exception()]
        told = keyed.submit("c", own)
        assert told.result() == "told"
        for failure in failures:
            assert failure is None or isinstance(failure, DeadlockError)
        keyed.drain()
        idle(keyed)


@explored
def test_helping_keeps_the_order(sim):
    """A worker that waits runs what precedes, in order."""
    with sim.executor(1) as executor, KeyedExecutor(executor) as keyed:
        ran = []

        def ask():
            first = keyed.submit("b", ran.append, 1)
            second = keyed.submit("b", ran.append, 2)
            second.result()
            assert ran == [1, 2]
            first.result()

        keyed.submit("a", ask).result()
        keyed.drain()
        idle(keyed)


@explored
def test_block(sim):
    """Who waits for room gets it, of the key or of all."""
    with (
        sim.executor(2) as executor,
        KeyedExecutor(executor, max_pending=2, max_pending_per_key=1) as keyed,
    ):

        def submit(key):
            for n in range(2):
                assert keyed.submit(key, abs, -n).result() == n

        sim.together(*(lambda key=key: submit(key) for key in "aabc"))
        keyed.drain()
        idle(keyed)
        assert not keyed._turns.blocked


@explored
def test_block_races_the_end(sim):
    """Who waits for room is told when there will be none."""
    with sim.executor(1) as executor:
        keyed = KeyedExecutor(executor, max_pending_per_key=1)
        gate = sim.runtime.event()
        keyed.submit("k", gate.wait)
        outcomes = []

        def submit():
            try:
                outcomes.append(keyed.submit("k", int).result())
            except (ExecutorShutdown, KeyQuarantined) as error:
                outcomes.append(type(error))

        def close():
            keyed.quarantine("k", "why")
            keyed.shutdown(wait=False)
            gate.set()

        sim.together(submit, submit, close)
        keyed.shutdown()
        assert len(outcomes) == 2
        idle(keyed)


@explored
def test_caller_runs(sim):
    """The caller runs it in its turn."""
    with (
        sim.executor(2) as executor,
        KeyedExecutor(
            executor, max_pending_per_key=1, on_full="caller_runs"
        ) as keyed,
    ):
        watch = Watch(sim)

        def submit(name):
            for n in range(2):
                keyed.submit("k", watch.run, (name, n))

        sim.together(lambda: submit(1), lambda: submit(2))
        keyed.drain()
        assert len(watch.begun) == 4
        for name in (1, 2):
            assert [n for who, n in watch.begun if who == name] == [0, 1]
        idle(keyed)


@explored
def test_supersede_races_the_start(sim):
    """Each one runs or is superseded, and the last one runs."""
    with sim.executor(1) as executor, KeyedExecutor(executor) as keyed:
        ran, futures = [], []

        def submit():
            for n in range(3):
                futures.append(
                    keyed.enqueue(
                        "k",
                        lambda n=n: ran.append(n),
                        tag="t",
                        supersede=True,
                    )
                )

        sim.together(submit)
        keyed.drain()
        errors = [future.exception() for future in futures]
        lost = [n for n in range(3) if errors[n] is not None]
        assert all(isinstance(errors[n], Superseded) for n in lost)
        assert ran == [n for n in range(3) if n not in lost]
        assert 2 in ran
        idle(keyed)


@explored
def test_drain(sim):
    """All that was accepted before has ended, and later ones may not."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        done = []

        def submit():
            for n in range(2):
                keyed.submit("k", done.append, n)
                keyed.submit(None, done.append, n)
            keyed.drain()
            assert sorted(done) >= [0, 0, 1, 1]
            keyed.submit("k", done.append, 2)
            keyed.drain("k")
            assert 2 in done

        sim.together(submit, lambda: keyed.drain())
        idle(keyed)


@explored
def test_saturated_executor_of_another_kind(sim):
    """By its submit alone: what it refuses leaves nothing stuck."""
    from parallelops.executor import Executor
    from parallelops.intake import Intake

    pool = sim.executor(1, max_queue=0, on_saturation="reject")

    class Foreign(Executor):
        name, runtime, traits = "foreign", pool.runtime, pool.traits

        def submit(self, fn, /, *args, **kwargs):
            return pool.submit(fn, *args, **kwargs)

        def shutdown(self, wait=True, **options):
            pool.shutdown(wait, **options)

        def stats(self):
            return pool.stats()

    foreign = Foreign()
    keyed = KeyedExecutor(foreign)
    assert type(keyed._turns.intake) is Intake
    ran, futures = [], []

    def submit(name):
        for n in range(2):
            for key in "ab":
                try:
                    futures.append(
                        keyed.submit(key, ran.append, (key, name, n))
                    )
                except ExecutorSaturated:
                    pass

    sim.together(lambda: submit(1), lambda: submit(2))
    foreign.wait(futures)
    fine = [future for future in futures if future.exception() is None]
    assert len(ran) == len(fine)
    for key in "ab":
        for name in (1, 2):
            mine = [entry for entry in ran if entry[:2] == (key, name)]
            assert mine == sorted(mine)
    foreign.shutdown()
    keyed.shutdown()
    idle(keyed)
