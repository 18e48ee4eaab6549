"""Bringing workers to the operations whose turn it is."""

from __future__ import annotations

import collections
import heapq
import os
import weakref
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.errors import ExecutorBroken
from parallelops.keyed.ledger import Ledger
from parallelops.keyed.operation import QUEUED, READY, RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from parallelops.executor import Executor
    from parallelops.futures import Future
    from parallelops.keyed.operation import Operation

__all__ = ["Turns"]

_all: weakref.WeakSet[Turns] = weakref.WeakSet()


class Turns(Ledger):
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
        self._push: Callable[..., BaseException | None] = getattr(
            self.intake, "push", self._push_late
        )
        # Threads that serve, and how often each has begun to.
        self._serving = collections.Counter[int]()
        # Those in the midst of bringing tickets, and how many they got back.
        self._bringing: dict[int, int] = {}
        # Operations that have their turn, but a ticket no more.
        self._spare = 0
        _all.add(self)

    # -- tickets

    def start(self, operation: Operation[Any]) -> None:
        """Bring the ticket of one that found its key idle.

        Raises:
            what refuses it: it will not run.
        """
        try:
            # Look only now: who says so looks at the entries afterwards.
            error: BaseException | None = None
            if self.wary:
                error = self.refusal(operation)
            if error is None:
                error = self._push(operation)
        except BaseException as interrupt:
            error = interrupt
        if error is not None and not self._refuse(operation, error):
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
                number += self.change(self._do_without, error)[1]

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
        self.do(self._do_without, error)

    def _do_without(self, error: BaseException) -> None:
        """Change: there may be one ticket less than there should be."""
        if self._serving:
            self._spare += 1  # one of them will see to it
        else:
            self.drop_late(error)

    def cancel(self, operation: Operation[Any]) -> None:
        """The pool cancels what waits in its queue; the ticket is gone."""
        if self.do(self.drop, operation, None, "cancelled") is False:
            self.lost(self.intake.refusal())

    def fail(self, operation: Operation[Any]) -> None:
        """The pool has broken down; the ticket is gone."""
        error = self.intake.refusal()
        if self.do(self.drop, operation, error, "failed") is False:
            self.lost(error)

    # -- serving

    def serve(self) -> bool:
        """See :class:`~parallelops.intake.Book`."""
        if self.intake.queues:
            operation = self._next()
            party = waiting.party_of(self.runtime)
            if party is not None:
                # It may be another one than the ticket that was taken.
                party.task = operation
            try:
                return operation is not None and self.perform(
                    operation, own=True
                )
            finally:
                # A failure's frames lead back to this one.
                del operation
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
            operation = self._next()
            if operation is None:
                continue
            succeeded = self._make_call(operation, ident)
            owed = self._finish(operation, succeeded)
            kept = min(owed, 1)
            mine += kept + self._bring_more(ident, owed - kept)
            operation.tell()
            if succeeded is False and operation.interrupted():
                interrupted = True
            del operation  # the frames of its failure lead back here
        return interrupted

    def _next(self) -> Operation[Any] | None:
        """Begin the oldest of those that have their turn."""
        while True:
            try:
                operation = heapq.heappop(self.late)[1]
            except IndexError:
                return None
            if operation.begin():
                return operation

    def _begin_to_serve(self, ident: int) -> None:
        self._serving[ident] += 1

    def _stop_serving(self, ident: int) -> int:
        spare, self._spare = self._spare, 0
        if not spare:
            self._serving[ident] -= 1
            if not self._serving[ident]:
                del self._serving[ident]
        return spare

    def _bring_more(self, ident: int, number: int) -> int:
        """Bring tickets, for who serves and will do what is refused.

        Returns:
            How many that are.
        """
        refused = 0
        if number:
            self._bringing[ident] = 0
            try:
                for _ in range(number):
                    refused += self.intake.admit() is not None
            finally:
                refused += self._bringing.pop(ident)
        return refused

    def _make_call(self, operation: Operation[Any], ident: int) -> bool | None:
        outer = waiting.enter(ident, operation)
        try:
            return operation.make_call()
        finally:
            waiting.leave(ident, outer)
            # A failure's frames lead back to this one.
            del operation

    def perform(self, operation: Operation[Any], own: bool = False) -> bool:
        """It has begun: run it.

        Args:
            own: whether it is the calling worker's task.

        Returns:
            True if KeyboardInterrupt ended it.
        """
        try:
            if own:
                succeeded = operation.make_call()
            else:
                succeeded = self._make_call(operation, self.runtime.ident())
            owed = self._finish(operation, succeeded)
            if owed:
                self.bring(owed)
            operation.tell()
            return succeeded is False and operation.interrupted()
        finally:
            # A failure's frames lead back to this one.
            del operation

    def _finish(
        self, operation: Operation[Any], succeeded: bool | None
    ) -> int:
        """It has run: let the next of its key go on.

        Returns:
            How many tickets that takes.
        """
        owed = 0
        with self.lock:
            plain = not self._changing
            if plain:
                self._changing = True
                try:
                    # As end() does, for nearly all of them.
                    plain = succeeded is not None and operation.permit is None
                    if plain:
                        after = self.pass_on(operation)
                        plain = after is not operation
                    if plain:
                        self.room.append(0)
                        if succeeded:
                            self.succeeded += 1
                        else:
                            self.failed += 1
                        if after is not None:
                            heapq.heappush(self.late, (after.arrival, after))
                            owed = 1
                finally:
                    self._changing = False
        if not plain:
            return self.change(self.end, operation, succeeded)[1]
        # Look only now: who waits says so first.
        if self.drains or self.blocked or self._put_off:
            owed += self.change(self.tell_waiting, operation)[1]
        return owed

    def expire(self, operation: Operation[Any]) -> bool:
        """End one whose deadline has passed; False if it has not."""
        if self.runtime.monotonic() <= (operation.deadline or 0.0):
            return False
        self.do(self.drop_if_late, operation)
        return True

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
        serving = self._serving[ident]
        self.start_anew(here)
        self._serving.clear()
        if serving:
            self._serving[ident] = serving
        self._bringing.clear()
        self._spare = 0
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
