"""Container operations under many schedules, with faults and two owners."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.containers import (
    ContainerOperations,
    ContainerQuarantined,
    Fenced,
    Handler,
    JournalError,
    NotOwned,
    OperationCancelled,
    OperationDeferred,
    OperationUnknown,
    State,
)
from parallelops.containers.groupcommit import GroupCommit
from parallelops.testing import Exploration, MemoryJournal, explore

CONTAINERS = [
    f"parallelops/containers/{name}.py"
    for name in (
        *("groupcommit", "live", "operations", "recovery"),
        *("requests", "runner", "writer"),
    )
]
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

# Half as many as others have: each of them is twice as long.
explored = explore(max(SCHEDULES // 4, 25), preempt=CONTAINERS)


class World:
    """Containers that outlive those who operate on them."""

    def __init__(self, runtime, **faults):
        self.runtime = runtime
        self.journal = MemoryJournal(runtime, faults)
        self.done = []
        self.inside = set()

    def act(self, call):
        """Have an effect, alone in its container."""
        assert call.container not in self.inside, "two at once"
        self.inside.add(call.container)
        self.runtime.sleep(call.parameters.get("takes", 0))
        self.inside.remove(call.container)
        self.done.append((call.container, call.operation))
        if call.parameters.get("fails"):
            raise ValueError("it fails")

    def operations(self, executor, **options):
        """Somebody who operates on them."""
        return ContainerOperations(
            executor,
            handlers={
                "do": self.act,
                "again": Handler(self.act, recovery="idempotent"),
                "delete": self.act,
            },
            journal=self.journal,
            **options,
        )

    def order(self, container):
        """What was done to a container."""
        return [name for c, name in self.done if c == container]

    def check(self):
        """What the journal says is what happened."""
        for entry in self.journal.entries.values():
            times = self.done.count((entry.container, entry.id))
            match entry.state:
                case State.SUCCEEDED | State.FAILED:
                    assert times >= 1
                case State.ACCEPTED | State.CANCELLED:
                    assert times == 0 or entry.attempts
            if entry.recovery == "never" and entry.attempts <= 1:
                assert times <= 1, f"{entry.id} was done twice"


@explored
def test_group_commit(sim):
    """Each change is committed once, in order, and each writer is told."""
    committed = []

    def commit(jobs):
        sim.runtime.sleep(0.01)
        for job in jobs:
            job.result = job.work(committed)

    group = GroupCommit(sim.runtime, commit)

    def writer(name):
        for number in range(2):
            # So that some come in the midst of a commit.
            sim.runtime.sleep(0.004 * name)
            place = (name, number)
            assert group.do(lambda to, p=place: to.append(p) or p) == place
            assert place in committed

    sim.together(*(lambda n=n: writer(n) for n in range(3)))
    assert len(committed) == len(set(committed)) == 6
    for name in range(3):
        assert [n for who, n in committed if who == name] == [0, 1]


@explored
def test_group_commit_that_fails(sim):
    """All who took part are told, and the others go on."""
    failures = [JournalError("no")]

    def commit(jobs):
        if failures:
            raise failures.pop()
        for job in jobs:
            job.result = job.work(None)

    group = GroupCommit(sim.runtime, commit)
    outcomes = []

    def writer():
        try:
            outcomes.append(group.do(lambda _: "done"))
        except JournalError:
            outcomes.append("refused")

    sim.together(writer, writer, writer)
    assert len(outcomes) == 3
    assert "refused" in outcomes


@explored
def test_requests_for_one_container(sim):
    """They are done one at a time, each when it is durable."""
    world = World(sim.runtime)
    with sim.executor(2) as executor, world.operations(executor) as operations:
        operations.recover()
        mine = {0: [], 1: []}

        def request(who):
            for _ in range(2):
                operation = operations.submit("c", "do", {"takes": 1})
                assert operation.id in world.journal.entries
                mine[who].append(operation.id)

        sim.together(lambda: request(0), lambda: request(1))
    order = world.order("c")
    assert sorted(order) == sorted(mine[0] + mine[1])
    for who in mine:
        assert [name for name in order if name in mine[who]] == mine[who]
    world.check()


@explored
def test_cancel_races_the_turn(sim):
    """It is done, or cancelled, and the journal says the same."""
    world = World(sim.runtime)
    with sim.executor(1) as executor, world.operations(executor) as operations:
        operations.recover()
        first = operations.submit("c", "do", {"takes": 1})
        second = operations.submit("c", "do")
        third = operations.submit("c", "do")
        cancelled = []

        def cancel():
            sim.runtime.sleep(1)
            cancelled.append(second.cancel())

        sim.together(cancel)
        third.future.result()
        first.future.result()
        state = world.journal.entries[second.id].state
        assert state is (State.CANCELLED if cancelled[0] else State.SUCCEEDED)
        assert second.state is state
    steps = [(entry.id, entry.state) for entry in world.journal.written]
    ended, begun = (second.id, state), (third.id, State.RUNNING)
    assert steps.index(ended) < steps.index(begun)
    assert world.order("c").count(second.id) == (not cancelled[0])
    world.check()


@explored
def test_a_failure_races_requests(sim):
    """What was accepted before it was known is cancelled; what came later
    is done; nothing is forgotten."""
    world = World(sim.runtime)
    with sim.executor(2) as executor, world.operations(executor) as operations:
        operations.recover()
        bad = operations.submit("c", "do", {"fails": True})
        others = [operations.submit("c", "do") for _ in range(2)]
        for operation in (bad, *others):
            error = operation.future.exception()
            entry = world.journal.entries[operation.id]
            assert entry.state is operation.state
            if entry.state is State.CANCELLED:
                assert isinstance(error, OperationCancelled)
            assert entry.finished
        operations._keyed.drain()
        assert operations.stats().live == 0
    world.check()


@explored
def test_the_same_request_twice(sim):
    """One operation, and both get it when it is durable."""
    world = World(sim.runtime)
    with sim.executor(2) as executor, world.operations(executor) as operations:
        operations.recover()

        def request():
            operation = operations.submit("c", "do", operation_id="one")
            assert "one" in world.journal.entries
            operation.future.result()

        sim.together(request, request)
    assert world.done == [("c", "one")]


@explored
def test_resolve_races_requests(sim):
    """What waited goes on behind what is done again."""
    world = World(sim.runtime, advance=["none", "fail"])
    with sim.executor(2) as executor, world.operations(executor) as operations:
        operations.recover()
        lost = operations.submit("c", "do")
        try:
            operations.submit("c", "do", operation_id="behind")
        except ContainerQuarantined:
            pass
        with pytest.raises(OperationUnknown):
            lost.future.result()
        late = []

        def request():
            try:
                late.append(operations.submit("c", "do"))
            except ContainerQuarantined:
                pass

        def settle():
            operations.resolve(lost.id, "accepted").future.result()

        sim.together(request, settle)
        for operation in late:
            operation.future.result()
        operations._keyed.drain()
        order = world.order("c")
        assert order[:2] == [lost.id, lost.id]
        assert not operations.quarantined()
    assert all(e.finished for e in world.journal.entries.values())


@explored
def test_two_owners(sim):
    """One is stopped past its lease; the other takes over. Each operation
    gets one terminal state, whoever wrote it."""
    world = World(sim.runtime)
    with (
        sim.executor(1) as first_executor,
        sim.executor(1) as second_executor,
    ):
        old = world.operations(first_executor, owner="old", lease_seconds=10)
        new = world.operations(second_executor, owner="new", lease_seconds=10)
        old.recover()
        # Containers that stand still may be seen by both of them.
        world.inside = _Anybody()
        operation = old.submit("c", "again", {"takes": 20})
        behind = old.submit("c", "again")

        def take_over():
            sim.runtime.sleep(15)
            new.recover()

        sim.together(take_over)
        for each in (operation, behind):
            each.future.exception()
        with pytest.raises((NotOwned, Fenced)):
            old.submit("c", "again")
        new.submit("c", "again").future.result()
        new.shutdown()
        old.shutdown()
    ends = [e for e in world.journal.written if e.finished]
    assert len(ends) == len({e.id for e in ends})
    assert all(e.finished for e in world.journal.entries.values())
    epochs = [e.epoch for e in world.journal.written]
    assert epochs == sorted(epochs)


@explored
def test_hand_over(sim):
    """The other owner goes on where this one stopped, in order."""
    world = World(sim.runtime)
    with (
        sim.executor(1) as first_executor,
        sim.executor(1) as second_executor,
    ):
        old = world.operations(first_executor, owner="old", lease_seconds=99)
        new = world.operations(second_executor, owner="new", lease_seconds=99)
        old.recover()
        mine = []

        def request():
            for _ in range(3):
                try:
                    mine.append(old.submit("c", "do", {"takes": 1}))
                except (NotOwned, JournalError):
                    return

        sim.together(request, old.give_back)
        new.recover()
        new.shutdown()
        old.shutdown()
    assert world.order("c") == [operation.id for operation in mine]
    for operation in mine:
        error = operation.future.exception()
        assert error is None or isinstance(error, OperationDeferred)
    world.check()


class _Anybody(set):
    """For containers that several may be in."""

    def __contains__(self, item):
        return False

    def remove(self, item):
        self.discard(item)


# -- any history at all

STEPS = st.one_of(
    st.tuples(
        st.just("submit"),
        st.sampled_from("ab"),
        st.sampled_from(["do", "again", "delete"]),
        st.booleans(),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 1, 3])),
    st.tuples(st.just("crash")),
    st.tuples(st.just("resolve"), st.sampled_from(["succeeded", "accepted"])),
)


@settings(max_examples=max(SCHEDULES // 5, 20), deadline=None)
@given(
    st.lists(STEPS, max_size=12),
    st.integers(0, 2**32),
    st.lists(st.sampled_from(["none", "none", "none", "fail", "lost_answer"])),
)
def test_any_history(steps, seed, faults):
    """Whatever is requested, cancelled, lost and settled: no acknowledged
    operation is forgotten, none that must not be is done twice, and those
    of a container are done in order."""
    exploration = Exploration(schedules=1, seed=seed)
    finding = exploration.find(lambda sim: live_through(sim, steps, faults))
    if finding is not None:
        finding.failure.add_note(str(finding))
        raise finding.failure


def live_through(sim, steps, faults):
    """A few lives of one who operates, over one journal."""
    world = World(sim.runtime, advance=list(faults))
    world.inside = _Anybody()
    acknowledged = []
    dead = []

    def begin():
        executor = sim.executor(2)
        operations = world.operations(executor, on_full="block")
        while not operations._live.open:
            try:
                operations.recover()
            except JournalError:
                continue  # the next fault is another one
        return executor, operations

    executor, operations = begin()
    for kind, *what in steps:
        try:
            match kind:
                case "submit":
                    container, action, fails = what
                    acknowledged.append(
                        operations.submit(
                            container, action, {"takes": 1, "fails": fails}
                        )
                    )
                case "cancel" if what[0] < len(acknowledged):
                    acknowledged[what[0]].cancel()
                case "pass":
                    sim.runtime.sleep(what[0])
                case "crash":
                    # It does not know, and what it still does is refused.
                    dead.append((executor, operations))
                    executor, operations = begin()
                case "resolve":
                    for holds in operations.quarantined().values():
                        for name in holds:
                            settle(operations, name, what[0])
        except (ContainerQuarantined, JournalError):
            pass
    # In that order: from there it goes here.
    while operations.stats().live or operations.quarantined():
        for holds in operations.quarantined().values():
            for name in holds:
                settle(operations, name, "succeeded")
        sim.runtime.sleep(1)
    for old_executor, old in (*dead, (executor, operations)):
        old.shutdown()
        old_executor.shutdown()
    entries = world.journal.entries
    for operation in acknowledged:
        assert entries[operation.id].finished, "an operation was forgotten"
        assert operation.future.done()
    ends = [e.id for e in world.journal.written if e.finished]
    assert len(ends) == len(set(ends)), "it ended twice"
    begun = {}
    for entry in world.journal.written:
        if entry.state is State.RUNNING and entry.attempts == 1:
            begun.setdefault(entry.container, []).append(entry.sequence)
    for sequences in begun.values():
        assert sequences == sorted(sequences), "out of order"
    for entry in entries.values():
        times = world.done.count((entry.container, entry.id))
        assert times <= entry.attempts, "more often than the journal knows"
        if entry.state is State.CANCELLED:
            assert not times or entry.attempts


def settle(operations, name, state):
    """As an operator does, who sees what it is."""
    entry = operations.get(name).entry
    if entry.state is State.ACCEPTED:
        state = "accepted"
    try:
        operations.resolve(name, state)
    except JournalError:
        pass
