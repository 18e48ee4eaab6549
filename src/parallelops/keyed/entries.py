"""Which operations there are, whose turn it is, and who waits for that.

A key that has one operation maps to it; with more, to a :class:`Line`. The
first comes by ``dict.setdefault``, one atomic step and no lock. Methods
called changes are made under the lock of the :class:`Ledger`.
"""

from __future__ import annotations

import collections
import heapq
from typing import TYPE_CHECKING, Any

from parallelops.keyed.line import Line
from parallelops.keyed.operation import ENDED, QUEUED, READY
from parallelops.watchers import wake

if TYPE_CHECKING:
    from collections.abc import Hashable

    from parallelops.keyed.operation import Operation
    from parallelops.keyed.waits import Blocked, Drain

__all__ = ["Entries"]


class Entries:
    """The operations of all keys.

    Attributes:
        max_pending: how many there may be.
        max_pending_per_key: how many of one key.
        room: as many bytes as there may be more.
        entries: for each key that has operations, the one or the line.
        loose: operations that are in no order.
        late: those that got their turn after they came, the oldest on top,
            and some that lost it again; each with its number, to be ordered
            by. ``heapq`` makes each change one atomic step.
        closed: whether new ones are refused.
        held: the keys in quarantine, and why.
        wary: whether there is more to look at than the entries, when one
            comes or goes.
        freed: keys whose turn became free in this change.
        blocked: the submits that wait for room, the first one first.
        drains: those that wait for operations to end.
        owed: how many operations got their turn in it, and need a worker.
    """

    def __init__(self, max_pending: int, max_pending_per_key: int) -> None:
        self.max_pending = max_pending
        self.max_pending_per_key = max_pending_per_key
        self.room = bytearray(max_pending)
        self.entries: dict[Hashable, Operation[Any] | Line] = {}
        self.loose: dict[Operation[Any], None] = {}
        self.late: list[tuple[float, Operation[Any]]] = []
        self.closed = False
        self.blocked: collections.deque[Blocked] = collections.deque()
        self.drains: list[Drain] = []
        self.held: dict[Hashable, object] = {}
        self.wary = False
        self.freed: list[Hashable] = []
        self.owed = 0

    # -- coming

    def insert(self, operation: Operation[Any]) -> None:
        """Change: it has come; if its key is idle, it has its turn."""
        if not operation.ordered:
            self.loose[operation] = None
            self.make_ready(operation)
            return
        entry = self.entries.setdefault(operation.key, operation)
        if entry is operation:
            self.make_ready(operation)
            return
        operation.state = QUEUED
        self.line_of(operation.key).queue.append(operation)
        self.freed.append(operation.key)

    def line_of(self, key: Hashable) -> Line:
        """Change: the entry of a key that has one, as a line."""
        entry = self.entries[key]
        if not isinstance(entry, Line):
            entry = self.entries[key] = Line(entry)
        return entry

    def make_ready(self, operation: Operation[Any]) -> None:
        """Change: it has got its turn."""
        if operation.permit is not None:
            operation.wake_caller()
            return
        self.put_late(operation)
        self.owed += 1

    def put_late(self, operation: Operation[Any]) -> None:
        """Have any ticket lead to it; one atomic step."""
        heapq.heappush(self.late, (operation.arrival, operation))

    # -- going

    def remove(self, operation: Operation[Any]) -> None:
        """Change: it has ended."""
        key = operation.key
        if not operation.ordered:
            del self.loose[operation]
        elif self.entries[key] is operation:
            del self.entries[key]
        else:
            self.line_of(key).remove(operation)
            self.freed.append(key)
        operation.state = ENDED

    # -- looking

    def number(self, key: Hashable) -> int:
        """How many operations a key has."""
        entry = self.entries.get(key)
        if isinstance(entry, Line):
            return len(entry)
        return int(entry is not None)

    def of(self, key: Hashable) -> list[Operation[Any]]:
        """The operations of a key, the oldest first."""
        entry = self.entries.get(key)
        if isinstance(entry, Line):
            return list(entry)
        return [] if entry is None else [entry]

    def active(self, key: Hashable) -> list[Operation[Any]]:
        """Those of a key that have their turn."""
        entry = self.entries.get(key)
        if isinstance(entry, Line):
            return list(entry.active)
        return [] if entry is None else [entry]

    def everything(self) -> list[Operation[Any]]:
        """All operations."""
        found = [op for key in list(self.entries) for op in self.of(key)]
        return [*found, *list(self.loose)]

    # -- those who wait

    def join(self, blocked: Blocked, again: bool) -> None:
        """Change: have it called when there is room."""
        if self.closed or blocked.key in self.held:
            blocked.call()
            return
        if again:
            self.blocked.appendleft(blocked)
        else:
            self.blocked.append(blocked)
        self.let_in()

    def part(self, blocked: Blocked) -> None:
        """Change: it waits no more; somebody else may have its room."""
        if blocked in self.blocked:
            self.blocked.remove(blocked)
        self.let_in()

    def begin_drain(self, drain: Drain, key: Hashable) -> None:
        """Change: have it struck off what ends."""
        self.drains.append(drain)
        operations = self.everything() if key is None else self.of(key)
        for operation in operations:
            if operation.state > READY or operation.key not in self.held:
                drain.left[operation] = None
        if not drain.left:
            wake(drain.permit)

    def end_drain(self, drain: Drain) -> None:
        """Change: nobody waits for it any more."""
        self.drains.remove(drain)

    def tell_waiting(self, operation: Operation[Any]) -> None:
        """Change: it has ended, and its room is free."""
        for drain in self.drains:
            drain.strike(operation)
        self.let_in()

    def let_in(self) -> None:
        """Change: there is room; call the first who can use it."""
        if not self.room:
            return
        for blocked in self.blocked:
            if self.number(blocked.key) < self.max_pending_per_key:
                self.blocked.remove(blocked)
                blocked.call()
                return
