"""Which conductor a container goes to, and how it changes hands."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import load_executor
from parallelops.containers import (
    Affinity,
    ContainerOperations,
    InvalidOperation,
    NotOwned,
    SQLiteJournal,
    State,
)
from parallelops.testing import FakeClock, ManualExecutor, MemoryJournal

NODES = [f"node-{number}" for number in range(10)]
CONTAINERS = [f"container-{number}" for number in range(2000)]


@settings(max_examples=25)
@given(st.sets(st.text(), min_size=1, max_size=4), st.text())
def test_each_container_has_one_owner(nodes, container):
    """It is one of the nodes, and the one that has its partition."""
    affinity = Affinity(nodes, partitions=16, points=4)
    owner = affinity.owner_of(container)
    assert owner in nodes
    assert affinity.scope_of(container) in affinity.scopes_of(owner)
    every = [s for node in nodes for s in affinity.scopes_of(node)]
    assert len(every) == len(set(every)) == 16


def test_a_node_that_joins_moves_no_more_than_its_share():
    """And what moves, moves to it."""
    before, after = Affinity(NODES[:9]), Affinity(NODES)
    moved = [c for c in CONTAINERS if before.owner_of(c) != after.owner_of(c)]
    assert all(after.owner_of(c) == NODES[9] for c in moved)
    assert len(moved) / len(CONTAINERS) < 0.2
    assert {before.scope_of(c) for c in CONTAINERS} == {
        after.scope_of(c) for c in CONTAINERS
    }


def test_the_load_is_even():
    """As far as the partitions go: those of ten nodes are few."""
    affinity = Affinity(NODES, partitions=4096)
    load = collections.Counter(
        node for node in NODES for _ in affinity.scopes_of(node)
    )
    assert max(load.values()) / (4096 / len(NODES)) < 1.25


@pytest.mark.parametrize(
    "arguments", [{"nodes": []}, {"nodes": "a", "points": 0}]
)
def test_an_affinity_that_cannot_be(arguments):
    """It needs nodes, and points."""
    with pytest.raises(InvalidOperation):
        Affinity(**arguments)


def test_containers_change_hands(path):
    """Two conductors in one file; each container has one at a time, and
    goes on where it was."""
    both, one = (Affinity(nodes, partitions=8) for nodes in ("ab", "a"))
    done = []
    journals = [SQLiteJournal(path) for _ in "ab"]
    executors = [load_executor("serial") for _ in "ab"]
    a, b = (
        ContainerOperations(
            executor,
            handlers={
                "start": lambda call, n=name: done.append((n, call.container))
            },
            journal=journal,
            owner=name,
            scope_of=both.scope_of,
            scopes=(),
            lease_seconds=60,
        )
        for name, executor, journal in zip(
            "ab", executors, journals, strict=True
        )
    )
    assert one.follow(a, "a") == set(one.scopes_of("a"))
    for container in CONTAINERS[:20]:
        a.submit(container, "start")
    # b is early: a has not given back.
    assert both.follow(b, "b") == set()
    both.follow(a, "a")
    both.follow(b, "b")
    assert b.owned == set(both.scopes_of("b"))
    for container in CONTAINERS[:20]:
        mine, other = (a, b) if both.owner_of(container) == "a" else (b, a)
        mine.submit(container, "start")
        with pytest.raises(NotOwned):
            other.submit(container, "start")
    b.shutdown()
    one.follow(a, "a")
    for container in CONTAINERS[:20]:
        a.submit(container, "start")
    a.shutdown()
    for container in CONTAINERS[:20]:
        assert [n for n, c in done if c == container] == [
            "a",
            both.owner_of(container),
            "a",
        ]
    for journal in journals:
        journal.close()


def test_an_owner_that_stands_still_is_taken_over():
    """When its lease has run out; what it does after that is refused."""
    clock = FakeClock()
    journal = MemoryJournal(clock)
    done = []

    def conductor(name):
        executor = ManualExecutor(runtime=clock)
        operations = ContainerOperations(
            executor,
            handlers={"start": lambda call: done.append(name)},
            journal=journal,
            owner=name,
            lease_seconds=10,
        )
        return executor, operations

    old_executor, old = conductor("old")
    new_executor, new = conductor("new")
    old.recover()
    operation = old.submit("c", "start")
    clock.advance(9)
    old.renew()
    clock.advance(11)
    assert new.recover().queued == (operation.id,)
    new_executor.run_all()
    old_executor.run_all()
    assert done == ["new"]
    assert operation.future.done()
    assert journal.find(operation.id).state is State.SUCCEEDED
    with pytest.raises(NotOwned):
        old.submit("c", "start")
