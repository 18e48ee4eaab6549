"""Bringing operations whose turn it is and workers together."""

from __future__ import annotations

import collections
import os
import weakref
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.errors import ExecutorBroken
from parallelops.intake import Ticket
from parallelops.keyed.ledger import PUT_OFF, Ledger
from parallelops.keyed.operation import ENDED, QUEUED, READY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from parallelops.futures import Future
    from parallelops.intake import Intake
    from parallelops.keyed.operation import Operation
    from parallelops.runtime import Runtime

__all__ = ["Turns"]

_all: weakref.WeakSet[Turns] = weakref.WeakSet()


class Turns(Ledger):
    """Owns the operations' futures, and is the book of the tickets that it
    brings to the executor: one for each operation that got its turn.

    Attributes:
        intake: the executor's way in for them.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        intake: Intake,
        max_pending: int,
        max_pending_per_key: int,
    ) -> None:
        super().__init__(name, runtime, max_pending, max_pending_per_key)
        self.intake = intake
        # Threads that serve, and how often each has begun to.
        self._serving = collections.Counter[int]()
        # Those in the midst of bringing tickets, and how many they got back.
        self._bringing: dict[int, int] = {}
        # Operations that have their turn, but a ticket no more.
        self._spare = 0
        _all.add(self)

    def do(self, what: Callable[..., Any], *args: Any) -> Any:
        """Do a change, and bring the tickets that it makes necessary."""
        answer, owed = self.change(what, *args)
        self.bring(owed)
        return answer

    # -- serving

    def perform(self, operation: Operation[Any]) -> bool:
        """Run one that was taken, and let the next of its key go on.

        Returns:
            True if KeyboardInterrupt ended it.
        """
        succeeded, owed = self._perform(operation)
        self.bring(owed)
        operation.tell()
        return bool(succeeded is False and operation.interrupted())

    def _perform(self, operation: Operation[Any]) -> tuple[bool | None, int]:
        ident = self.runtime.ident()
        outer = waiting.enter(ident, operation)
        try:
            succeeded = operation.run()
        finally:
            waiting.leave(ident, outer)
        if succeeded is not None:
            operation.settle()
        return succeeded, self.change(self.end, operation, succeeded)[1]

    def serve(self) -> bool:
        """See :class:`~parallelops.intake.Book`."""
        ident = self.runtime.ident()
        if ident in self._bringing:
            # Brought to ourselves: we do it when we come to that.
            self._bringing[ident] += 1
            return False
        self.do(self._begin_to_serve, ident)
        interrupted = False
        mine = 1
        while mine or (mine := self.do(self._stop_serving, ident)):
            mine -= 1
            operation, owed = self.change(self.take)
            if operation is not None:
                succeeded, more = self._perform(operation)
                owed += more
            kept = min(owed, 0 if self.intake.queues else 1)
            mine += kept + self._bring_more(ident, owed - kept)
            if operation is not None:
                operation.tell()
                if succeeded is False and operation.interrupted():
                    interrupted = True
        return interrupted

    def _begin_to_serve(self, ident: int) -> None:
        self._serving[ident] += 1

    def _stop_serving(self, ident: int) -> int:
        spare, self._spare = self._spare, 0
        if not spare:
            self._serving[ident] -= 1
            if not self._serving[ident]:
                del self._serving[ident]
        return spare

    # -- tickets

    def bring(self, number: int) -> None:
        """Bring so many tickets to the executor."""
        while number:
            number -= 1
            error = self.intake.admit(Ticket(self))
            if error is not None:
                number += self.change(self._do_without, error)[1]

    def bring_for(self, operation: Operation[Any], number: int) -> None:
        """The same, for one that was just accepted.

        Raises:
            what the executor refuses a ticket with: it will not run.
        """
        while number:
            number -= 1
            error = self.intake.admit(Ticket(self))
            if error is None:
                continue
            refused, owed = self.change(self.drop, operation, error, "refused")
            if refused is True:
                self.bring(number + owed)
                operation.exception()  # it is raised here
                raise error
            number += owed + self.change(self._do_without, error)[1]

    def _bring_more(self, ident: int, number: int) -> int:
        """The same for who serves, and will do what is refused.

        Returns:
            How many that are.
        """
        refused = 0
        if number:
            self._bringing[ident] = 0
            try:
                for _ in range(number):
                    if self.intake.admit(Ticket(self)) is not None:
                        refused += 1
            finally:
                refused += self._bringing.pop(ident)
        return refused

    def lost(self, error: BaseException) -> None:
        """See :class:`~parallelops.intake.Book`."""
        self.do(self._do_without, error)

    def _do_without(self, error: BaseException) -> None:
        """Change: there is one ticket less than there should be."""
        if self._serving:
            self._spare += 1  # one of them will see to it
            return
        self.give_up_ready(error)

    def label(self) -> str:
        """See :class:`~parallelops.intake.Book`."""
        return f"an operation of {self.name}"

    # -- what futures ask

    def cancelled(self, operation: Future[Any]) -> None:
        self.do(self._cancelled, operation)
        if operation.observed is not None:
            operation.observed.cancelled()

    def _cancelled(self, operation: Operation[Any]) -> None:
        self.counts["cancelled"] += 1
        if operation.state in (QUEUED, READY):
            self._leave(operation)
        operation.wake_caller()

    def inside(self) -> bool:
        """Is the calling thread in one of the operations, or in another
        task of the executor?"""
        return self.intake.inside() or any(
            future.is_owned_by(self)
            for future in waiting.running_here(self.runtime.ident())
        )

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        if not self.inside():
            return
        if timeout is not None and self.intake.idle():
            return  # somebody will come for it
        operation: Operation[Any] = future  # type: ignore[assignment]
        while operation.state < ENDED:
            # Run out of stack now, or not before it is booked.
            waiting.descend(16)
            taken = self.do(self._take_for, operation)
            if taken is None or taken is PUT_OFF:
                return
            self.perform(taken)

    def _take_for(self, operation: Operation[Any]) -> Operation[Any] | None:
        """Change: begin it, or what it waits for in its line."""
        line = operation.line
        first = [operation]
        if operation.state == QUEUED and line is not None:
            first = list(line.active)
        for other in first:
            if other.permit is None and self.take_this(other):
                return other
        return None

    def starters(self) -> Collection[waiting.Party] | None:
        return self.intake.starters()

    def predecessors(
        self, operation: Operation[Any]
    ) -> Collection[Future[Any]]:
        """What has to end before it can begin; see ``waiting``."""
        line = operation.line
        if operation.state != QUEUED or line is None:
            return ()
        return list(line.active)

    def movers(self, key: Hashable) -> Collection[Future[Any]]:
        """Those of which one has to end before there is room for a key."""
        line = self.lines.get(key)
        if line is not None and len(line) >= self.max_pending_per_key:
            return list(line.active)
        lines = list(self.lines.values())
        return [
            *self.loose,
            *(op for line in lines for op in list(line.active)),
        ]

    # -- in a forked child

    def reset_after_fork(self) -> None:
        """Only the thread that forked came along, and what it runs."""
        ident = self.runtime.ident()
        here = [
            future
            for future in waiting.running_here(ident)
            if future.is_owned_by(self)
        ]
        everything = [*self.loose]
        for line in self.lines.values():
            everything += line
        self.lock = self.runtime.rlock()
        self._changing = False
        self._put_off.clear()
        self.lines.clear()
        self.loose.clear()
        self.ready.clear()
        self.blocked.clear()
        self.drains.clear()
        self._serving = collections.Counter({ident: self._serving[ident]})
        self._bringing.clear()
        self._owed = self._spare = 0
        self._dropped.clear()
        self.pending = len(here)
        for operation in everything:
            if operation in here:
                self.loose[operation] = None
                operation.line = None
            else:
                operation.abandon(
                    ExecutorBroken(
                        f"{self.name}: what was to run it is not in this fork"
                    )
                )


def _reset_after_fork() -> None:
    for turns in list(_all):
        turns.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)
