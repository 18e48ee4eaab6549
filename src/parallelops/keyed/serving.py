"""What workers do who come for operations."""

from __future__ import annotations

import collections
import heapq
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.keyed.ledger import PUT_OFF, Ledger
from parallelops.keyed.operation import ENDED, READY

if TYPE_CHECKING:
    from parallelops.intake import Intake
    from parallelops.keyed.operation import Operation

__all__ = ["Serving"]


class Serving(Ledger):
    """Begins the oldest operation for each worker, and ends it.

    Attributes:
        intake: the executor's way in for tickets.
    """

    intake: Intake

    def __init__(self, *bounds: Any) -> None:
        super().__init__(*bounds)
        # Threads that serve, and how often each has begun to.
        self._serving = collections.Counter[int]()
        # Those in the midst of bringing tickets, and how many they got back.
        self._bringing: dict[int, int] = {}
        # Operations that have their turn, but a ticket no more.
        self._spare = 0

    def do_without(self, error: BaseException) -> None:
        """Change: there may be one ticket less than there should be."""
        if self._serving:
            self._spare += 1  # one of them will see to it
        else:
            self.drop_late(error)

    def serve_anew(self, ident: int) -> None:
        """In a forked child: there is nobody but this thread."""
        for other in set(self._serving) - {ident}:
            del self._serving[other]
        self._bringing.clear()
        self._spare = 0

    # -- an executor's worker

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
        while mine or (mine := self._stop(ident)):
            mine -= 1
            operation = self._next()
            if operation is None:
                continue
            succeeded = self._make_call(operation, ident)
            owed = self.finish(operation, succeeded)
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

    def _stop(self, ident: int) -> int:
        here = [ident]
        spare: Any = self.do(self._stop_serving, ident, here)
        if spare is PUT_OFF:
            here.clear()  # and who does it then will bring them
            return 0
        return int(spare)

    def _stop_serving(self, ident: int, here: list[int]) -> int:
        spare, self._spare = self._spare, 0
        if spare and here:
            return spare
        self.owed += spare
        self._serving[ident] -= 1
        if not self._serving[ident]:
            del self._serving[ident]
        return 0

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

    def perform(self, operation: Operation[Any]) -> bool:
        """It has begun: run it, beside what the calling thread is doing.

        Returns:
            True if KeyboardInterrupt ended it.
        """
        try:
            succeeded = self._make_call(operation, self.runtime.ident())
            owed = self.finish(operation, succeeded)
            if owed:
                self.bring(owed)
            operation.tell()
            return succeeded is False and operation.interrupted()
        finally:
            # A failure's frames lead back to this one.
            del operation

    # -- a pool's worker

    def exchange(self, ticket: Operation[Any]) -> tuple[Operation[Any], Any]:
        """A worker has taken this one, or its ticket, from a pool's queue.

        Returns:
            The oldest of those that have their turn, and its call; None is
            for no call.
        """
        operation = ticket
        if ticket.state == READY:
            entry = (ticket.arrival, ticket)
            operation = heapq.heappushpop(self.late, entry)[1]
        while (call := operation.take()) is None:
            try:
                operation = heapq.heappop(self.late)[1]
            except IndexError:
                return ticket, None
        if operation is not ticket:
            party = waiting.party_of(self.runtime)
            if party is not None:
                party.task = operation
        return operation, call

    # -- both

    def finish(
        self,
        operation: Operation[Any],
        succeeded: bool | None,
        goes_on: bool = False,
    ) -> int:
        """It has run: let the next of its key go on.

        Args:
            goes_on: whether the calling worker looks for what is next now,
                and runs no code of the user before.

        Returns:
            How many tickets that takes.
        """
        owed = 0
        after: Operation[Any] | None = None
        with self.lock:
            plain = False
            if (
                operation.plain
                and not self._changing
                and succeeded is not None
            ):
                self._changing = plain = True
                try:
                    # As end() does, for nearly all of them.
                    key = operation.key
                    entry = self.entries[key]
                    if entry is operation:
                        del self.entries[key]
                    elif self.wary:
                        plain = False
                    else:
                        after = entry.pass_on(operation)  # type: ignore[union-attr]
                        if after is None:
                            del self.entries[key]
                        else:
                            plain = after is not operation
                    if plain:
                        operation.state = ENDED
                        self.room.append(0)
                        if succeeded:
                            self.succeeded += 1
                        else:
                            self.failed += 1
                finally:
                    self._changing = False
        if not plain:
            return self.change(self.end, operation, succeeded)[1]
        if after is None:
            pass
        elif not goes_on:
            self.put_late(after)
            owed = 1
        elif not self.intake.insert(after):
            # First the one, then the other: a ticket may be taken at once.
            self.put_late(after)
            self.intake.leave_ticket()
        # Look only now: who waits says so first.
        if self.drains or self.blocked or self._put_off:
            owed += self.change(self.tell_waiting, operation)[1]
        return owed
