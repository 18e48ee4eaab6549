"""Conductors that come and go, under many schedules."""

from __future__ import annotations

import os

from tests.containers.group import Group
from tests.explored.test_containers import CONTAINERS, World

from parallelops.containers import (
    Affinity,
    JournalError,
    NotOwned,
    OperationDeferred,
    Rebalancer,
)
from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(
    max(SCHEDULES // 5, 25),
    preempt=[*CONTAINERS, "parallelops/containers/rebalancer.py"],
)


@explored
def test_conductors_come_and_go(sim):
    """One comes, the other one goes; each request is done once, by one of
    the two, and those of a container in order."""
    world = World(sim.runtime)
    group = Group()
    mine = []
    with sim.executor(1) as first, sim.executor(1) as second:
        both = []
        for name, executor in (("a", first), ("b", second)):
            affinity = Affinity([name], partitions=2, points=2)
            operations = world.operations(
                executor,
                owner=name,
                scope_of=affinity.scope_of,
                lease_seconds=10,
            )
            rebalancer = Rebalancer(operations, group.member(name), affinity)
            both.append((operations, rebalancer))
        (old, leaving), (new, coming) = both
        leaving.start()

        def request():
            for number in range(4):
                container = "xy"[number % 2]
                while not submit(container, f"o{number}"):
                    sim.runtime.sleep(1)

        def submit(container, name):
            for operations, _ in both:
                try:
                    operation = operations.submit(
                        container, "do", {"takes": 1}, operation_id=name
                    )
                except (NotOwned, JournalError):
                    continue
                mine.append((operation, container))
                return True
            return False

        def change():
            coming.start()
            leaving.close()

        sim.together(request, change)
        while not all(e.finished for e in world.journal.entries.values()):
            sim.runtime.sleep(1)
        coming.close()
        new.shutdown()
        old.shutdown()
    assert len(world.done) == len(mine) == 4
    for container in "xy":
        assert world.order(container) == [
            operation.id for operation, where in mine if where == container
        ]
    for operation, _ in mine:
        error = operation.future.exception()
        assert error is None or isinstance(error, OperationDeferred)
    assert not any(lease.owner for lease in world.journal.leases())
    world.check()
