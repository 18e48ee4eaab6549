"""Bringing workers to the operations whose turn it is."""

from __future__ import annotations

import heapq
import math
import os
import weakref
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.errors import ExecutorBroken
from parallelops.keyed.operation import (
    ENDED,
    QUEUED,
    READY,
    RUNNING,
    Operation,
)
from parallelops.keyed.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from parallelops.executor import Executor
    from parallelops.futures import Future

__all__ = ["Turns"]

_all: weakref.WeakSet[Turns] = weakref.WeakSet()


class Turns(Serving):
    """Owns the operations' futures, and is the book of the tickets that it
    brings to the executor.

    There are never fewer tickets than operations that have their turn and
    have not begun: each that gets its turn brings one, and a worker that
    has taken one goes on until it has begun an operation or there is none.

    Attributes:
        intake: the executor's way in for tickets.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        max_pending: int,
        max_pending_per_key: int,
    ) -> None:
        super().__init__(
            name, executor.runtime, max_pending, max_pending_per_key
        )
        self.intake = executor.intake(self)
        # A pool's queue takes an operation as its own ticket.
        self.push: Callable[..., BaseException | None] = getattr(
            self.intake, "push", self._push_late
        )
        _all.add(self)

    def ticket(self) -> Operation[Any]:
        """See :class:`~parallelops.intake.Book`."""
        # It has never the turn, so that who takes it exchanges it.
        ticket: Operation[Any] = Operation(self, [], None, math.nan)
        ticket.state = ENDED
        return ticket

    # -- tickets

    def not_started(
        self, operation: Operation[Any], error: BaseException
    ) -> None:
        """One that found its key idle was not brought.

        Raises:
            error: it will not run.
        """
        if not self._refuse(operation, error):
            if not self.intake.queues:
                self.lost(error)
            if not isinstance(error, Exception):
                raise error  # an interrupt is never lost

    def _push_late(self, operation: Operation[Any]) -> BaseException | None:
        heapq.heappush(self.late, (operation.arrival, operation))
        return self.intake.admit()

    def _refuse(self, operation: Operation[Any], error: BaseException) -> bool:
        """Take one back that was accepted, for want of a worker.

        Returns:
            False if it has begun, or somebody ended it.

        Raises:
            error: it was taken back.
        """
        refused, owed = self.change(self.drop, operation, error, "refused")
        self.bring(owed)
        if refused is True:
            operation.exception()  # it is seen: it is raised here
            raise error
        return False

    def bring(self, number: int) -> None:
        while number:
            number -= 1
            error = self.intake.admit()
            if error is not None:
                number += self.change(self.do_without, error)[1]

    def bring_for(self, operation: Operation[Any], number: int) -> None:
        """The same, for one that was just accepted.

        Raises:
            what the executor refuses a ticket with: it will not run.
        """
        while number:
            number -= 1
            error = self.intake.admit()
            if error is not None and not self._refuse(operation, error):
                self.lost(error)

    def lost(self, error: BaseException) -> None:
        """See :class:`~parallelops.intake.Book`."""
        self.do(self.do_without, error)

    def cancel(self, operation: Operation[Any]) -> None:
        """The pool cancels what waits in its queue; the ticket is gone."""
        if self.do(self.drop, operation, None, "cancelled") is False:
            self.lost(self.intake.refusal())

    def fail(self, operation: Operation[Any]) -> None:
        """The pool has broken down; the ticket is gone."""
        error = self.intake.refusal()
        if self.do(self.drop, operation, error, "failed") is False:
            self.lost(error)

    # -- what futures ask

    def expire(self, operation: Operation[Any]) -> bool:
        """End one whose deadline has passed; False if it has not."""
        if self.runtime.monotonic() <= (operation.deadline or 0.0):
            return False
        self.do(self.drop_if_late, operation)
        return True

    def cancelled(self, operation: Future[Any]) -> None:
        self.do(self._cancelled, operation)
        if operation.observed is not None:
            operation.observed.cancelled()

    def _cancelled(self, operation: Operation[Any]) -> None:
        self.counts["cancelled"] += 1
        self._released(operation)

    def released(self, operation: Future[Any]) -> None:
        self.do(self._released, operation)

    def _released(self, operation: Operation[Any]) -> None:
        if operation.state <= READY:
            self._leave(operation)
        operation.wake_caller()

    def inside(self) -> bool:
        """Is the calling thread in one of the operations, or in another
        task of the executor?"""
        ident = self.runtime.ident()
        return self.intake.inside() or any(waiting.running_here(ident, self))

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        if not self.inside():
            return
        if timeout is not None and self.intake.idle():
            return  # somebody will come for it
        operation: Operation[Any] = future  # type: ignore[assignment]
        while operation.state < RUNNING:
            # Run out of stack now, or not before it is booked.
            waiting.descend(16)
            taken = self._begin_for(operation)
            if taken is None:
                return
            self.perform(taken)

    def _begin_for(self, operation: Operation[Any]) -> Operation[Any] | None:
        """Begin it, or what it waits for in its line."""
        first = [operation]
        if operation.state == QUEUED:
            first = self.active(operation.key)
        for other in first:
            if other.permit is None and other.begin():
                return other
        return None

    def starters(self) -> Collection[waiting.Party] | None:
        return self.intake.starters()

    def predecessors(
        self, operation: Operation[Any]
    ) -> Collection[Future[Any]]:
        """What has to end before it can begin; see ``waiting``."""
        if operation.state != QUEUED:
            return ()
        return self.active(operation.key)

    def movers(self, key: Hashable) -> Collection[Future[Any]]:
        """Those of which one has to end before there is room for a key."""
        if self.number(key) >= self.max_pending_per_key:
            return self.active(key)
        return self.everything()

    # -- in a forked child

    def reset_after_fork(self) -> None:
        """Only the thread that forked came along, and what it runs."""
        ident = self.runtime.ident()
        tasks = list(waiting.running_here(ident, self))
        here = [op for op in self.everything() if op in tasks]
        lost = [op for op in self.everything() if op not in here]
        self.start_anew(here)
        self.serve_anew(ident)
        for operation in lost:
            operation.lose(
                ExecutorBroken(
                    f"{self.name}: what was to run it is not in this fork"
                )
            )


def _reset_after_fork() -> None:
    for turns in list(_all):
        turns.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)
