"""The operations of one key, in their order."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from parallelops.keyed.operation import QUEUED, READY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.keyed.operation import Operation

__all__ = ["Line"]


class Line:
    """Who has the turn, and who waits for it.

    Operations have the turn in the order of their arrival: an exclusive one
    alone, shared ones that follow each other together. So the phases take
    turns, and none is put off by what comes later.

    It is changed under the lock of its ledger.

    Args:
        first: has the turn.

    Attributes:
        active: those that have the turn, begun or not.
        queue: those that wait for it, the oldest first.
    """

    __slots__ = ("active", "queue")

    def __init__(self, first: Operation[Any]) -> None:
        self.active: dict[Operation[Any], None] = {first: None}
        self.queue: collections.deque[Operation[Any]] = collections.deque()

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
        if self.active and not (operation.shared and self._is_shared()):
            return None
        queue.popleft()
        self.active[operation] = None
        operation.state = READY
        return operation

    def _is_shared(self) -> bool:
        return next(iter(self.active)).shared

    def remove(self, operation: Operation[Any]) -> None:
        """It has ended."""
        if operation.state == QUEUED:
            self.queue.remove(operation)
        else:
            del self.active[operation]

    def pass_on(self, operation: Operation[Any]) -> Operation[Any] | None:
        """Give the turn of a plain one that has ended to the next.

        Returns:
            The next, if there is one; or the same, if it is not as simple
            as that, and then nothing has changed.
        """
        active, queue = self.active, self.queue
        after = None
        if queue:
            after = queue[0]
            if not after.plain:
                return operation
            queue.popleft()
            after.state = READY
            active[after] = None
        del active[operation]
        return after

    def take_turns_back(self) -> None:
        """Have those that have not begun wait again, where they were."""
        for operation in reversed(list(self.active)):
            if operation.wait_again():
                del self.active[operation]
                self.queue.appendleft(operation)

    def unbegun(self) -> list[Operation[Any]]:
        """Those that have not begun, the oldest first."""
        return [op for op in self if op.state <= READY]
