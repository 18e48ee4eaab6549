"""Conductors that come and go, in virtual time."""

from __future__ import annotations

import logging
import threading

import pytest
from tests.containers.group import Group

from parallelops.containers import (
    Affinity,
    ContainerOperations,
    Fenced,
    InvalidOperation,
    NotOwned,
    OperationDeferred,
    Rebalancer,
    State,
)
from parallelops.testing import FakeClock, ManualExecutor, MemoryJournal

PARTITIONS = 8
LONG = 30.0
CONTAINERS = [f"c{number}" for number in range(40)]


class World:
    """Conductors over one journal."""

    def __init__(self):
        self.clock = FakeClock()
        self.journal = MemoryJournal(self.clock)
        self.group = Group()
        self.done = []
        self.conductors = {}

    def begin(self, name):
        """One more; it has not looked around yet."""
        executor = ManualExecutor(runtime=self.clock)
        affinity = Affinity([name], partitions=PARTITIONS, points=16)
        operations = ContainerOperations(
            executor,
            handlers={"do": lambda call: self.done.append((name, call))},
            journal=self.journal,
            owner=name,
            scope_of=affinity.scope_of,
            lease_seconds=10,
        )
        member = self.group.member(name)
        rebalancer = Rebalancer(operations, member, affinity)
        self.conductors[name] = executor, operations, rebalancer, member
        return self.conductors[name]

    def look(self, *names):
        """These say that they are there, and follow what they hear."""
        for name in names:
            self.conductors[name][2].beat()
        for name in names:
            self.conductors[name][2].follow()

    def owned(self):
        """How many partitions each has."""
        return {n: len(c[1].owned) for n, c in self.conductors.items()}


def scope_of(world, container):
    """It is the same for all."""
    return world.conductors["a"][2].affinity.scope_of(container)


@pytest.fixture
def world():
    """An empty one."""
    return World()


def test_the_group_shares_the_containers(world):
    """Each has its part, all of it is somebody's, and all know whose."""
    for name in "abc":
        world.begin(name)
        for _ in range(2):
            world.look(*world.conductors)
        assert sum(world.owned().values()) == PARTITIONS
    assert all(world.owned().values())
    owner = {
        scope: name
        for name, (_, operations, _, _) in world.conductors.items()
        for scope in operations.owned
    }
    for container in CONTAINERS:
        (said,) = {
            rebalancer.affinity.owner_of(container)
            for _, _, rebalancer, _ in world.conductors.values()
        }
        scope = scope_of(world, container)
        assert said == owner[scope]
        operation = world.conductors[said][1].submit(container, "do")
        assert operation.entry.scope == scope


def test_one_that_leaves_hands_over(world):
    """What it has not begun is done by the next, at its place."""
    first, second = world.begin("a"), world.begin("b")
    world.look("a", "b")
    world.look("a", "b")
    mine = [c for c in CONTAINERS if first[2].affinity.owner_of(c) == "a"]
    left = [first[1].submit(container, "do") for container in mine]
    first[2].close()
    assert world.group.members == {"b"}
    assert not first[1].owned
    for operation in left:
        assert isinstance(operation.future.exception(0), OperationDeferred)
    world.look("b")
    assert len(second[1].owned) == PARTITIONS
    second[0].run_all()
    done = [(name, call.container) for name, call in world.done]
    assert sorted(done) == sorted(("b", container) for container in mine)
    first[2].close()


def test_one_that_dies_is_taken_over_when_its_leases_run_out(world):
    """Not before, be the group as sure as it may."""
    first, second = world.begin("a"), world.begin("b")
    world.look("a", "b")
    world.look("a", "b")
    before = world.owned()
    theirs = first[1].owned
    first[3].leave()
    world.clock.advance(9)
    world.look("b")
    assert not second[1].owned & theirs
    world.clock.advance(2)
    world.look("b")
    assert second[1].owned >= theirs
    # It wakes up: what it had is not its own any more, and it is told so.
    container = next(c for c in CONTAINERS if scope_of(world, c) in theirs)
    with pytest.raises(Fenced):
        first[1].submit(container, "do")
    with pytest.raises(NotOwned):
        first[1].submit(container, "do")
    for _ in range(2):
        world.look("a", "b")
    assert world.owned() == before


def test_without_the_coordinator_they_go_on_while_their_leases_hold(
    world, caplog
):
    """Then they stop, and go on when it is back, even with nothing in it."""
    caplog.set_level(logging.INFO)
    executor, operations, _, _ = world.begin("a")
    world.begin("b")
    world.look("a", "b")
    world.look("a", "b")
    before = world.owned()
    world.group.down = True
    for _ in range(3):
        world.clock.advance(3)
        world.look("a", "b")
        assert world.owned() == before
    container = next(
        c
        for c in CONTAINERS
        if world.conductors["a"][2].affinity.owner_of(c) == "a"
    )
    done = operations.submit(container, "do")
    executor.run_all()
    assert done.state is State.SUCCEEDED
    left = operations.submit(container, "do")
    world.clock.advance(2)
    world.look("a", "b")
    assert world.owned() == {"a": 0, "b": 0}
    with pytest.raises(NotOwned):
        operations.submit(container, "do")
    assert isinstance(left.future.exception(0), OperationDeferred)
    world.group.down = False
    world.group.members.clear()
    world.look("a", "b")
    world.look("a", "b")
    assert world.owned() == before
    executor.run_all()
    assert operations.get(left.id).state is State.SUCCEEDED
    said = [r.message for r in caplog.records if "redis" in r.message]
    assert len(said) == 2, "each says it once"
    assert "secret" not in caplog.text


def test_one_that_is_cut_off_keeps_what_it_has_until_then(world):
    """The others think that it is gone, and wait for its leases."""
    first, second = world.begin("a"), world.begin("b")
    world.look("a", "b")
    world.look("a", "b")
    mine = first[1].owned
    first[3].cut_off = True
    world.group.members.discard("a")
    for _ in range(3):
        world.clock.advance(3)
        world.look("a", "b")
        assert first[1].owned == mine
        assert not first[1].owned & second[1].owned
    world.clock.advance(2)
    world.look("a", "b")
    assert world.owned() == {"a": 0, "b": PARTITIONS}


def test_the_interval_must_be_shorter_than_the_leases(world):
    """And there must be leases that run out."""
    _, operations, _, member = world.begin("a")
    affinity = Affinity("a", partitions=PARTITIONS)
    for interval in (0, 10):
        with pytest.raises(InvalidOperation):
            Rebalancer(operations, member, affinity, interval=interval)
    operations.lease_seconds = None
    with pytest.raises(InvalidOperation):
        Rebalancer(operations, member, affinity)


def test_it_starts_once(world):
    """And says so when it can't."""
    rebalancer = world.begin("a")[2]
    world.group.down = True
    with pytest.raises(ConnectionError):
        rebalancer.start()
    world.group.down = False
    rebalancer.close()
    with pytest.raises(InvalidOperation):
        rebalancer.start()


def test_what_still_runs_keeps_only_its_own_scope_back(threads):
    """The others change hands; it does when the operation has ended."""
    journal = MemoryJournal(threads.runtime)
    running, shut = threading.Event(), threading.Event()
    one, both = (Affinity(n, partitions=PARTITIONS) for n in ("a", "ab"))
    theirs = both.scopes_of("b")
    container = next(c for c in CONTAINERS if one.scope_of(c) in theirs)

    def do(call):
        running.set()
        assert shut.wait(LONG)

    old, new = (
        ContainerOperations(
            threads,
            handlers={"do": do},
            journal=journal,
            owner=name,
            scope_of=one.scope_of,
            lease_seconds=LONG,
        )
        for name in "ab"
    )
    one.follow(old, "a")
    operation = old.submit(container, "do")
    assert running.wait(LONG)
    mine = {one.scope_of(container)}
    for _ in range(2):
        both.follow(old, "a", timeout=0)
        both.follow(new, "b", timeout=0)
        assert old.owned == set(both.scopes_of("a"))
        assert old.leased - old.owned == mine
        assert new.owned == set(theirs) - mine
    old.renew()
    # It was to go, and is to stay after all: not while something runs.
    one.follow(old, "a", timeout=0)
    assert not old.owned & mine
    shut.set()
    assert operation.future.exception(LONG) is None
    both.follow(old, "a", timeout=LONG)
    both.follow(new, "b", timeout=LONG)
    assert new.owned == set(theirs)
    assert old.leased == old.owned
    new.shutdown()
    old.shutdown()


def test_a_lease_that_is_lost_keeps_no_other_from_being_renewed(world):
    """It alone is lost, and who renews is told so."""
    _, operations, _, _ = world.begin("a")
    world.look("a")
    scopes = sorted(operations.owned)
    lost = world.journal.take(scopes[0], "a", world.clock.time(), None)
    world.clock.advance(5)
    with pytest.raises(Fenced):
        operations.renew()
    assert operations.owned == set(scopes[1:])
    until = {
        lease.until
        for lease in world.journal.leases()
        if lease.scope != lost.scope
    }
    assert until == {world.clock.time() + 10}
