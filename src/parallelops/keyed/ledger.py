"""Which operations there are, and whose turn it is.

All of it changes under one lock, in :meth:`Ledger.change`, and no code of
the user runs there but the equality of keys and tags. What a change leaves
to do is done after it: what ended without having begun is told, and how many
operations got their turn is the caller's business.

The lock is reentrant, since a signal handler or a finalizer may come in the
midst of a change of its own thread. What that one wants changed is put off
to the end of the change that it came into.
"""

from __future__ import annotations

import collections
import heapq
import itertools
from typing import TYPE_CHECKING, Any

from parallelops.errors import (
    ExecutorSaturated,
    ExecutorShutdown,
    Expired,
    KeyQuarantined,
    KeySaturated,
    Superseded,
)
from parallelops.keyed.line import Line
from parallelops.keyed.operation import ENDED, QUEUED, READY, RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from parallelops.keyed.operation import Operation
    from parallelops.keyed.waits import Blocked, Drain
    from parallelops.runtime import Runtime

__all__ = ["PUT_OFF", "Ledger"]

# What a change answers that has been put off.
PUT_OFF = object()


class Ledger:
    """The lines of all keys. Methods called changes are for
    :meth:`change`.

    Attributes:
        lock: guards all the rest.
        lines: those of the keys that have an operation.
        held: the keys in quarantine, and why.
        counts: of what has happened, by name.
        loose: operations that are in no order.
        ready: those that have their turn, the oldest on top; some of them
            not any more. Each has its number, to be ordered by.
        pending: operations that have not ended.
        closed: whether new ones are refused.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        max_pending: int,
        max_pending_per_key: int,
    ) -> None:
        self.name = name
        self.runtime = runtime
        self.max_pending = max_pending
        self.max_pending_per_key = max_pending_per_key
        self.lock = runtime.rlock()
        self.lines: dict[Hashable, Line] = {}
        self.held: dict[Hashable, object] = {}
        self.counts = collections.Counter[str]()
        self.pending = 0
        self.closed = False
        self.blocked: collections.deque[Blocked] = collections.deque()
        self.drains: list[Drain] = []
        self.loose: dict[Operation[Any], None] = {}
        self._arrivals = itertools.count(1)
        self.ready: list[tuple[int, Operation[Any]]] = []
        # How many got their turn in this change, and who is to be told.
        self._owed = 0
        self._dropped: list[tuple[Operation[Any], BaseException | None]] = []
        self._changing = False
        self._put_off: collections.deque[tuple[Any, ...]] = collections.deque()

    # -- changing it

    def change(self, what: Callable[..., Any], *args: Any) -> tuple[Any, int]:
        """Do ``what(*args)`` under the lock, and tell who ended by it.

        Returns:
            Its answer, and how many operations wait for a worker now that
            did not before. Or PUT_OFF, and 0: it will be done by whom we
            came into.
        """
        with self.lock:
            if self._changing:
                self._put_off.append((what, *args))
                return PUT_OFF, 0
            self._changing = True
            try:
                answer = what(*args)
            finally:
                self._changing = False
                owed, self._owed = self._owed, 0
                dropped, self._dropped = self._dropped, []
        for operation, error in dropped:
            operation.give_up(error)
        # Look only now: who comes into a change puts it off before we leave.
        while self._put_off:
            try:
                late, *others = self._put_off.popleft()
            except IndexError:
                break
            owed += self.change(late, *others)[1]
        return answer, owed

    # -- coming

    def accept(
        self,
        operation: Operation[Any],
        ordered: bool,
        rule: str = "",
        bounded: bool = True,
    ) -> Operation[Any] | Exception | None:
        """Change: put an operation in its line.

        Args:
            ordered: whether it is to be in one.
            rule: "supersede" or "dedupe", or neither.
            bounded: whether to look at the bounds.

        Returns:
            None if it was accepted, the error that refuses it, or the one
            in whose place it would come.
        """
        key = operation.key
        if self.closed:
            return ExecutorShutdown(
                f"cannot schedule new futures after shutdown of {self.name}"
            )
        line = None
        if ordered:
            if key in self.held:
                return KeyQuarantined(key, self.held[key])
            line = self.lines.get(key)
            if line is not None and rule:
                twin = self._make_way(line, operation, rule)
                if twin is not None:
                    return twin
                line = self.lines.get(key)  # it may have been emptied
        if bounded and (full := self.full(key if ordered else None, line)):
            return full
        self.pending += 1
        operation.arrival = next(self._arrivals)
        if not ordered:
            self.loose[operation] = None
            operation.state = READY
            self._make_ready(operation)
            return None
        if line is None:
            line = self.lines[key] = Line(key)
        operation.line = line
        line.queue.append(operation)
        self._promote(line)
        return None

    def accept_late(self, operation: Operation[Any], *how: Any) -> None:
        """Change: the same, for whose submit has returned already."""
        answer = self.accept(operation, *how)
        if isinstance(answer, Exception) and operation.claim():
            self._dropped.append((operation, answer))

    def full(
        self, key: Hashable, line: Line | None
    ) -> ExecutorSaturated | None:
        """The error if there is no room for one more of this key."""
        if line is not None and len(line) >= self.max_pending_per_key:
            self._drop_expired(line)
            if len(line) >= self.max_pending_per_key:
                return KeySaturated(key, self.max_pending_per_key, self.name)
        if self.pending >= self.max_pending:
            return ExecutorSaturated(
                self.name,
                self.max_pending,
                f"cannot schedule new futures: {self.name} already holds "
                f"{self.max_pending} operations; submit more slowly, raise "
                "max_pending, or choose another on_full",
            )
        return None

    def _make_way(
        self, line: Line, operation: Operation[Any], rule: str
    ) -> Operation[Any] | None:
        same = [op for op in line.unbegun() if op.tag == operation.tag]
        if rule == "dedupe":
            if same:
                self.counts["deduplicated"] += 1
            return same[0] if same else None
        for op in same:
            self.drop(op, Superseded(op.key, op.tag), "superseded")
        return None

    def _promote(self, line: Line) -> None:
        if line.key in self.held:
            return
        while (operation := line.next_turn()) is not None:
            self._make_ready(operation)

    def _make_ready(self, operation: Operation[Any]) -> None:
        if operation.permit is not None:
            operation.wake_caller()
            return
        heapq.heappush(self.ready, (operation.arrival, operation))
        self._owed += 1

    # -- going

    def drop(
        self,
        operation: Operation[Any],
        error: BaseException | None,
        count: str,
    ) -> bool:
        """Change: end one that has not begun; None cancels it.

        Returns:
            False if it has begun.
        """
        if operation.state not in (QUEUED, READY) or not operation.claim():
            return False
        self.counts[count] += 1
        self._dropped.append((operation, error))
        self._leave(operation)
        return True

    def _drop_expired(self, line: Line) -> None:
        now = self.runtime.monotonic()
        for operation in line.unbegun():
            self._drop_if_late(operation, now)

    def _drop_if_late(self, operation: Operation[Any], now: float) -> bool:
        deadline = operation.deadline
        if deadline is None or now <= deadline:
            return False
        error = Expired(operation.key, now - deadline)
        return self.drop(operation, error, "expired")

    def drop_all(
        self, lines: Collection[Line], error: BaseException | None, count: str
    ) -> int:
        """Change: end all that have not begun.

        Returns:
            How many.
        """
        # The last ones first, so that none of them gets its turn.
        return sum(
            self.drop(operation, error, count)
            for line in lines
            for operation in reversed(list(line.unbegun()))
        )

    def count(self, what: str) -> None:
        """Change: it has happened once more."""
        self.counts[what] += 1

    def drop_loose(self) -> int:
        """Change: the same, for those in no order."""
        return sum(self.drop(op, None, "cancelled") for op in list(self.loose))

    def _leave(self, operation: Operation[Any]) -> None:
        line = operation.line
        if line is None:
            self.loose.pop(operation, None)
        else:
            line.remove(operation)
            self._promote(line)
            if not line:
                del self.lines[line.key]
        operation.state = ENDED
        self.pending -= 1
        for drain in self.drains:
            drain.strike(operation)
        if self.blocked:
            self.let_in()

    def let_in(self) -> None:
        """Change: there is room; call the first who can use it."""
        for blocked in self.blocked:
            if self.full(blocked.key, self.lines.get(blocked.key)) is None:
                self.blocked.remove(blocked)
                blocked.call()
                return

    def give_up_ready(self, error: BaseException) -> None:
        """Change: nobody comes for one of those that have their turn."""
        while self.ready:
            operation = heapq.heappop(self.ready)[1]
            if self.drop(operation, error, "failed"):
                return

    def take(self) -> Operation[Any] | None:
        """Change: begin the oldest of those that have their turn."""
        while self.ready:
            operation = heapq.heappop(self.ready)[1]
            if self.take_this(operation):
                return operation
        return None

    def take_this(self, operation: Operation[Any]) -> bool:
        """Change: begin it, if it has its turn."""
        if operation.state != READY:
            return False
        if operation.deadline is not None and self._drop_if_late(
            operation, self.runtime.monotonic()
        ):
            return False
        operation.state = RUNNING
        return True

    def end(self, operation: Operation[Any], succeeded: bool | None) -> None:
        """Change: it has run; None says that it was cancelled."""
        if succeeded is not None:
            self.counts["succeeded" if succeeded else "failed"] += 1
        self._leave(operation)

    # -- holding a key

    def hold(self, key: Hashable, reason: object) -> None:
        """Change: what has not begun waits until :meth:`let_go`."""
        self.held[key] = reason
        line = self.lines.get(key)
        if line is not None:
            line.take_turns_back()
            for drain in self.drains:
                for operation in line.queue:
                    drain.strike(operation)
            if self.closed:
                self.drop_held()
        for blocked in list(self.blocked):
            if blocked.key == key:
                self.blocked.remove(blocked)
                blocked.call()

    def let_go(self, key: Hashable) -> None:
        """Change: its operations go on."""
        self.held.pop(key, None)
        line = self.lines.get(key)
        if line is not None:
            self._promote(line)

    def drop_held(self) -> None:
        """Change: nobody will let them go."""
        for key, reason in self.held.items():
            if key in self.lines:
                self.drop_all(
                    [self.lines[key]], KeyQuarantined(key, reason), "failed"
                )

    # -- waiting

    def close(self) -> None:
        """Change: refuse what comes."""
        self.closed = True
        self.drop_held()
        while self.blocked:
            self.blocked.popleft().call()

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

    def begin_drain(self, drain: Drain, line: Line | None) -> None:
        """Change: have it struck off what ends."""
        lines = self.lines.values() if line is None else [line]
        for each in lines:
            held = each.key in self.held
            for operation in each.active if held else each:
                drain.left[operation] = None
        if line is None:
            drain.left.update(self.loose)
        if drain.left:
            self.drains.append(drain)
        else:
            drain.permit.release()

    def end_drain(self, drain: Drain) -> None:
        """Change: nobody waits for it any more."""
        if drain in self.drains:
            self.drains.remove(drain)
