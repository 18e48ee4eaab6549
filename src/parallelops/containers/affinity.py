"""Which conductor a container goes to, and how it changes hands.

Hashing tells where a request is to go; that alone excludes nobody, since two
conductors may know of different nodes. What excludes is the lease of the
container's scope, and its epoch in the journal.
"""

from __future__ import annotations

import bisect
import hashlib
from typing import TYPE_CHECKING

from parallelops.errors import InvalidOperation, LeaseHeld

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.containers.operations import ContainerOperations

__all__ = ["Affinity"]


class Affinity:
    """Containers on partitions, and partitions on nodes.

    A container is always in the same partition, which is its scope. The
    partitions are on a ring with many points for each node (Karger et al.,
    "Consistent hashing and random trees", 1997): a node that comes or goes
    moves no partition between others.

    Args:
        nodes: their names; each has to give the same ones.
        partitions: how many. All nodes need the same number, for good.
        points: for each node. With more the load is more even.

    Raises:
        InvalidOperation: there are no nodes, or none of the others.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        *,
        partitions: int = 256,
        points: int = 256,
    ) -> None:
        self.nodes = tuple(sorted(set(nodes)))
        self.partitions = partitions
        self.points = points
        if not self.nodes or partitions < 1 or points < 1:
            raise InvalidOperation(
                "an affinity needs nodes, partitions and points"
            )
        ring = sorted(
            (_hash(f"{node}#{point}"), node)
            for node in self.nodes
            for point in range(points)
        )
        self._places = [place for place, _ in ring]
        self._owners = [node for _, node in ring]

    def among(self, nodes: Iterable[str]) -> Affinity:
        """The same partitions, on the ring of other nodes."""
        return Affinity(nodes, partitions=self.partitions, points=self.points)

    def scope_of(self, container: str) -> str:
        """The partition of a container, for ``ContainerOperations``."""
        return self._scope(_hash(container) % self.partitions)

    def owner_of(self, container: str) -> str:
        """The node that requests for a container are to go to."""
        return self._owner(self.scope_of(container))

    def scopes_of(self, node: str) -> tuple[str, ...]:
        """The partitions of a node."""
        scopes = map(self._scope, range(self.partitions))
        return tuple(s for s in scopes if self._owner(s) == node)

    def follow(
        self,
        operations: ContainerOperations,
        node: str,
        *,
        timeout: float | None = None,
    ) -> frozenset[str]:
        """Give back what is not the node's any more, and take what is.

        Call it when the nodes have changed, and again for as long as it
        does not have all of :meth:`scopes_of`: another node may not have
        given back yet, its lease may have to run out, or something may
        still run here. What can't go yet keeps no other back.

        Args:
            operations: with this ``scope_of`` and with ``lease_seconds``.
            timeout: seconds to wait for what runs in a scope.

        Returns:
            The scopes that were taken.

        Raises:
            InvalidOperation: another thread is at it.
            JournalError: the journal could not be read or written.
        """
        wanted = set(self.scopes_of(node))
        # Some were to be given back before, and something still ran.
        for scope in sorted(operations.leased - wanted):
            try:
                operations.give_back(scope, timeout=timeout)
            except TimeoutError:
                continue
        had = operations.owned
        try:
            operations.recover(sorted(wanted - had), timeout=timeout)
        except (LeaseHeld, TimeoutError):
            pass  # the others are taken
        return operations.owned - had

    def _scope(self, number: int) -> str:
        return f"{number}/{self.partitions}"

    def _owner(self, scope: str) -> str:
        place = bisect.bisect(self._places, _hash(scope))
        return self._owners[place % len(self._owners)]


def _hash(text: str) -> int:
    # Of the same value in each process, unlike that of Python.
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
