"""Keyed executors under many schedules: real code, preempted at each line."""

from __future__ import annotations

import pytest
from tests.explored.keyed import Watch, explored, idle

from parallelops import (
    DeadlockError,
    KeyedExecutor,
    KeyQuarantined,
    Superseded,
)


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
