"""Letting operations come and go, within the bounds.

All changes but the simplest are made under one lock, in
:meth:`Ledger.change`, and no code of the user runs there but the equality of
keys and tags. What a change leaves to do is done after it: what ended
without having begun is told, and how many operations got their turn is the
caller's business.

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
from parallelops.keyed.entries import Entries
from parallelops.keyed.line import Line
from parallelops.keyed.operation import ENDED, QUEUED, READY

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from parallelops.keyed.operation import Operation
    from parallelops.runtime import Runtime

__all__ = ["PUT_OFF", "Ledger"]

# What a change answers that has been put off.
PUT_OFF = object()


class Ledger(Entries):
    """Who comes and goes, within the bounds.

    Attributes:
        lock: guards what is not changed in single atomic steps.
        arrive: gives a number to one that comes.
        counts: of what else has happened, by name.
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
        self.lock = runtime.rlock()
        super().__init__(max_pending, max_pending_per_key)
        self.arrive: Callable[[], int] = itertools.count(1).__next__
        self.counts = collections.Counter[str]()
        self.succeeded = self.failed = 0
        # Who ended in this change without having begun.
        self._dropped: list[Operation[Any]] = []
        self._changing = False
        self._put_off: collections.deque[tuple[Any, ...]] = collections.deque()

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
                while self.freed:
                    self._promote(self.freed.pop())
            finally:
                self._changing = False
                owed, self.owed = self.owed, 0
                dropped, self._dropped = self._dropped, []
        for operation in dropped:
            operation.tell_unbegun()
        # Look only now: who comes into a change puts it off before we leave.
        if self._put_off:
            owed += self.change(self._catch_up)[1]
        return answer, owed

    def do(self, what: Callable[..., Any], *args: Any) -> Any:
        """Do a change, and bring the tickets that it makes necessary."""
        answer, owed = self.change(what, *args)
        if owed:
            self.bring(owed)
        return answer

    def bring(self, number: int) -> None:
        """Have so many workers come."""
        raise NotImplementedError

    def _catch_up(self) -> None:
        """Change: do what was put off."""
        while self._put_off:
            what, *args = self._put_off.popleft()
            answer = what(*args)
            if what == self.queue and answer is not None:
                # Its submit has returned already: the future has to tell.
                operation: Operation[Any] = args[0]
                if operation.claim():
                    operation.state = ENDED
                    error = (
                        answer
                        if isinstance(answer, Exception)
                        else Superseded(operation.key, operation.tag)
                    )
                    operation.end_unbegun(error)
                    self._dropped.append(operation)

    # -- coming

    def queue(
        self,
        operation: Operation[Any],
        rule: str = "",
        has_room: bool = False,
        in_caller: bool = False,
    ) -> Operation[Any] | Exception | None:
        """Change: put it among those of its key.

        Args:
            rule: "supersede" or "dedupe", or neither.
            has_room: whether it has a place in the global bound.
            in_caller: whether it needs none, and none of its key's.

        Returns:
            None if it was accepted, the error that refuses it, or the one
            in whose place it would come. Refused, it has no place.
        """
        answer = self._find_way(operation, rule, in_caller)
        if answer is None and not (has_room or in_caller):
            try:
                self.room.pop()
            except IndexError:
                answer = self._saturated()
        elif answer is not None and has_room:
            self.room.append(0)
            self.let_in()
        if answer is None:
            self.insert(operation)
        return answer

    def append(
        self, operation: Operation[Any], entry: Operation[Any] | Line
    ) -> bool:
        """Put one that has room behind the others of its key, which were
        this entry a moment ago.

        Returns:
            False if it is not as simple as that: then nothing has changed.
        """
        with self.lock:
            if self._changing or self.wary:
                return False
            self._changing = True
            try:
                if type(entry) is not Line:
                    key = operation.key
                    if self.entries.get(key) is not entry:
                        return False
                    entry = self.line_of(key)
                if (
                    not entry.active  # it may be an entry no more
                    or len(entry.queue) + 1 >= self.max_pending_per_key
                ):
                    return False
                operation.state = QUEUED
                entry.queue.append(operation)
            finally:
                self._changing = False
        if self._put_off:
            self.do(self._catch_up)
        return True

    def _find_way(
        self, operation: Operation[Any], rule: str, in_caller: bool
    ) -> Operation[Any] | Exception | None:
        refusal = self.refusal(operation)
        if refusal is not None:
            return refusal
        if not operation.ordered:
            return None
        if rule:
            twin = self._make_way(operation, rule)
            if twin is not None:
                return twin
        if not in_caller and self._is_full(operation.key):
            return KeySaturated(
                operation.key, self.max_pending_per_key, self.name
            )
        return None

    def refusal(self, operation: Operation[Any]) -> Exception | None:
        """Why it cannot come, room or not."""
        if self.closed:
            return ExecutorShutdown(
                f"cannot schedule new futures after shutdown of {self.name}"
            )
        if operation.ordered and operation.key in self.held:
            return KeyQuarantined(operation.key, self.held[operation.key])
        return None

    def _make_way(
        self, operation: Operation[Any], rule: str
    ) -> Operation[Any] | None:
        same = [
            op
            for op in self.of(operation.key)
            if op.state <= READY and op.tag == operation.tag
        ]
        if rule == "dedupe":
            self.counts["deduplicated"] += bool(same)
            return same[0] if same else None
        for op in same:
            self.drop(op, Superseded(op.key, op.tag), "superseded")
        return None

    def _is_full(self, key: Hashable) -> bool:
        if self.number(key) < self.max_pending_per_key:
            return False
        for operation in self.of(key):
            if operation.state <= READY and operation.deadline is not None:
                self.drop_if_late(operation)
        return self.number(key) >= self.max_pending_per_key

    def _saturated(self) -> ExecutorSaturated:
        text = (
            f"cannot schedule new futures: {self.name} already holds "
            f"{self.max_pending} operations; submit more slowly, raise "
            "max_pending, or choose another on_full"
        )
        return ExecutorSaturated(self.name, self.max_pending, text)

    def _promote(self, key: Hashable) -> None:
        line = self.entries.get(key)
        if not isinstance(line, Line):
            return
        while key not in self.held:
            operation = line.next_turn()
            if operation is None:
                break
            if operation.deadline is None or not self.drop_if_late(operation):
                self.make_ready(operation)
        if not line:
            del self.entries[key]

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
        if not operation.claim():
            return False
        self.counts[count] += 1
        operation.end_unbegun(error)
        self._dropped.append(operation)
        self._leave(operation)
        return True

    def drop_if_late(self, operation: Operation[Any]) -> bool:
        """Change: end it if its deadline has passed."""
        late = self.runtime.monotonic() - (operation.deadline or 0.0)
        return late > 0 and self.drop(
            operation, Expired(operation.key, late), "expired"
        )

    def drop_all(
        self,
        operations: Iterable[Operation[Any]],
        error: BaseException | None,
        count: str,
    ) -> int:
        """Change: end those that have not begun.

        Returns:
            How many.
        """
        return sum(
            self.drop(operation, error, count) for operation in operations
        )

    def drop_late(self, error: BaseException) -> None:
        """Change: nobody comes for one of those that have their turn."""
        while self.late:
            if self.drop(heapq.heappop(self.late)[1], error, "failed"):
                return

    def end(self, operation: Operation[Any], succeeded: bool | None) -> None:
        """Change: it has run; None says that it was cancelled."""
        self.succeeded += succeeded is True
        self.failed += succeeded is False
        self._leave(operation)

    def count(self, what: str) -> None:
        """Change: it has happened once more."""
        self.counts[what] += 1

    def _leave(self, operation: Operation[Any]) -> None:
        self.remove(operation)
        if operation.permit is None:
            self.room.append(0)
        self.tell_waiting(operation)

    # -- holding a key

    def hold(self, key: Hashable, reason: object) -> None:
        """Change: what has not begun waits until :meth:`let_go`."""
        self.held[key] = reason
        # Look only now: who comes without a lock looks at this afterwards.
        self.wary = True
        if key in self.entries:
            line = self.line_of(key)
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
        self.wary = self.closed or bool(self.held)
        self.freed.append(key)

    def drop_held(self) -> None:
        """Change: nobody will let them go."""
        for key, reason in list(self.held.items()):
            self.drop_all(self.of(key), KeyQuarantined(key, reason), "failed")

    def close(self) -> None:
        """Change: refuse what comes."""
        self.closed = self.wary = True
        self.drop_held()
        while self.blocked:
            self.blocked.popleft().call()

    def start_anew(self, left: list[Operation[Any]]) -> None:
        """In a forked child: there is nothing but these, which run."""
        self.lock = self.runtime.rlock()
        self._changing = False
        for entry in self.entries.values():
            if type(entry) is Line:
                entry.active.clear()  # a submit may have it in hand
        for empty in (
            self.entries,
            self.loose,
            self.late,
            self.drains,
            self.blocked,
            self.freed,
            self._dropped,
            self._put_off,
        ):
            empty.clear()
        self.owed = 0
        self.room[:] = bytes(self.max_pending)
        self.counts.clear()
        self.succeeded = self.failed = 0
        for operation in left:
            operation.ordered = operation.plain = False
            self.loose[operation] = None
            self.room.pop()
