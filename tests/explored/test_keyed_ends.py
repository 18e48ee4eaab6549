"""Keyed executors under many schedules: the bounds, and the ends of things."""

from __future__ import annotations

from tests.explored.keyed import Watch, explored, idle

from parallelops import (
    ExecutorSaturated,
    ExecutorShutdown,
    KeyedExecutor,
    KeyQuarantined,
)


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
