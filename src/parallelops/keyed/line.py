"""The operations of one key, in their order."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from parallelops.keyed.operation import QUEUED, READY

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from parallelops.keyed.operation import Operation

__all__ = ["Line"]


class Line:
    """Who has the turn, and who waits for it.

    Operations have the turn in the order of their arrival: an exclusive one
    alone, shared ones that follow each other together. So the phases take
    turns, and none is put off by what comes later.

    It is read and changed under the lock of its :class:`Turns`.

    Attributes:
        key: the key.
        active: those that have the turn, begun or not.
        queue: those that wait for it, the oldest first.
    """

    __slots__ = ("_shared", "active", "key", "queue")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.active: dict[Operation[Any], None] = {}
        self.queue: collections.deque[Operation[Any]] = collections.deque()
        self._shared = False

    def __len__(self) -> int:
        return len(self.active) + len(self.queue)

    def __iter__(self) -> Iterator[Operation[Any]]:
        """All of them, the oldest first."""
        yield from list(self.active)
        yield from list(self.queue)

    def next_turn(self) -> Operation[Any] | None:
        """Give the turn to the next that may have it now, if there is one."""
        queue = self.queue
        if not queue:
            return None
        operation = queue[0]
        if self.active and not (self._shared and operation.shared):
            return None
        queue.popleft()
        self.active[operation] = None
        self._shared = operation.shared
        operation.state = READY
        return operation

    def remove(self, operation: Operation[Any]) -> None:
        """One of them has ended."""
        if operation.state == QUEUED:
            self.queue.remove(operation)
        else:
            del self.active[operation]

    def take_turns_back(self) -> None:
        """Have those that have not begun wait again, where they were."""
        unbegun = [op for op in self.active if op.state == READY]
        for operation in reversed(unbegun):
            del self.active[operation]
            operation.state = QUEUED
            self.queue.appendleft(operation)

    def unbegun(self) -> Iterator[Operation[Any]]:
        """Those that have not begun, the oldest first."""
        return (op for op in self if op.state in (QUEUED, READY))
