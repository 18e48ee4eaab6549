"""Keyed executors under many schedules: who is next, and who runs it."""

from __future__ import annotations

from tests.explored.keyed import explored, explored_closely, idle

from parallelops import KeyedExecutor


def check_the_oldest_goes_first(sim, keys):
    """What began while an older one could have begun, did so with it."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        now, sleep = sim.runtime.monotonic, sim.runtime.sleep
        began, ended, before = {}, {}, {}

        def run(number):
            began[number] = now()
            sleep(1)
            ended[number] = now()

        last = {}
        for number, key in enumerate(keys):
            before[number] = last.get(key)
            last[key] = number
            keyed.submit(key, run, number)
        keyed.drain()
        for older, predecessor in before.items():
            could = 0 if predecessor is None else ended[predecessor]
            for younger in range(older + 1, len(before)):
                if began[younger] > could:
                    assert began[older] <= began[younger], (began, ended)
        idle(keyed)


@explored_closely
def test_the_next_is_older_than_others(sim):
    """It goes before what is in the queue, or between."""
    check_the_oldest_goes_first(sim, "ababcdbefg")


@explored_closely
def test_the_next_is_younger_than_others(sim):
    """It goes behind what is in the queue, and both at once do."""
    check_the_oldest_goes_first(sim, "abcdeab")


@explored_closely
def test_the_next_races_other_tasks(sim):
    """Nobody is left behind, whoever takes what from the queue."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        ran = []
        for number in range(4):
            executor.submit(sim.runtime.sleep, 1)
            keyed.submit("k", sim.runtime.sleep, 1)
            keyed.submit("k", ran.append, number)
            executor.submit(int)
            keyed.drain()
        assert ran == [0, 1, 2, 3]
        idle(keyed)


@explored
def test_quarantine_races_the_beginning(sim):
    """Either it has begun, or it does not before the release."""
    with sim.executor(1) as executor, KeyedExecutor(executor) as keyed:
        ran = []

        def hold():
            keyed.quarantine("k", "why")
            keyed.drain("k")
            begun = len(ran)
            sim.runtime.sleep(1)
            assert len(ran) == begun, "it began in quarantine"
            keyed.release("k")

        keyed.submit("k", ran.append, 1)
        sim.together(hold)
        keyed.drain()
        assert ran == [1]
        idle(keyed)


@explored
def test_the_next_races_a_shrinking_pool(sim):
    """A worker that leaves has somebody else see to the next."""
    with sim.executor(3) as executor, KeyedExecutor(executor) as keyed:
        ran = []
        held = [executor.submit(sim.runtime.sleep, 1) for _ in range(3)]

        def submit():
            for number in range(4):
                keyed.submit("k", ran.append, number)

        sim.together(submit, lambda: executor.resize(1))
        executor.wait(held)
        keyed.drain()
        assert ran == [0, 1, 2, 3]
        while executor.stats().workers > 1:
            sim.runtime.sleep(1)
        idle(keyed)


@explored
def test_the_next_does_not_wait_for_a_callback(sim):
    """Somebody else runs it, as long as a callback takes."""
    with sim.executor(2) as executor, KeyedExecutor(executor) as keyed:
        ran = sim.runtime.event()
        gate = sim.runtime.event()
        told = []
        first = keyed.submit("k", gate.wait)
        first.add_done_callback(lambda _: told.append(ran.wait(10)))
        keyed.submit("k", ran.set)
        sim.together(gate.set, lambda: first.result())
        keyed.drain()
        executor.wait([executor.submit(int)])
        while not told:
            sim.runtime.sleep(1)
        assert told == [True]
        idle(keyed)
