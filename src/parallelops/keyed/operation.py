"""An operation: a future that waits for its turn."""

from __future__ import annotations

from concurrent.futures._base import (
    CANCELLED_AND_NOTIFIED,
    PENDING,
)
from concurrent.futures._base import RUNNING as MAKING_CALL
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from parallelops.errors import Superseded
from parallelops.futures import FINISHED, TAKEN, Future
from parallelops.naming import describe
from parallelops.watchers import Watchers, wake

if TYPE_CHECKING:
    from collections.abc import Hashable

    from parallelops.keyed.turns import Turns
    from parallelops.runtime import Lock

__all__ = [
    "ENDED",
    "MODES",
    "QUEUED",
    "READY",
    "RUNNING",
    "Mode",
    "Operation",
]

T = TypeVar("T")

Mode = Literal["exclusive", "shared", "bypass"]
MODES: tuple[Mode, ...] = ("exclusive", "shared", "bypass")

# Waits for others of its key; has its turn, and waits for a worker; begun.
QUEUED: Final = 0
READY: Final = 1
RUNNING: Final = 2
ENDED: Final = 3


class Operation(Future[T]):
    """One call of a keyed executor.

    It begins when somebody pops its call while it has its turn. Who ends it
    otherwise, or takes its turn back, pops the call as well. So of all of
    them one succeeds.

    In a pool's ready queue it is its own ticket.

    Attributes:
        key: what it is ordered by.
        arrival: its number; older ones have smaller ones.
        state: where it is; written under the owner's lock, except by who
            pops the call.
        plain: whether it is as most are: ordered, exclusive, without a
            deadline, and run by a worker.
        ordered: False if it has no turn to wait for.
        shared: whether it may run together with others that are.
        deadline: on the runtime's clock, when it is too late to begin.
        tag: tells which operations may supersede each other.
        permit: what the caller waits on that is to run it, if one is.
    """

    takes_slot = False

    # What most leave as it is.
    ordered = True
    shared = False
    deadline: float | None = None
    tag: Hashable = None
    permit: Lock | None = None

    _owner: Turns

    __slots__ = ("arrival", "key", "plain", "state")

    def __init__(
        self, turns: Turns, call: list[Any], key: Hashable, arrival: float
    ) -> None:
        # What its class does, without a call: there are many of them.
        self._owner = turns
        self._call = call
        self._status = PENDING
        self._exception = None
        self._watched = None
        self.key = key
        self.arrival = arrival
        self.state = READY
        self.plain = True

    # -- beginning

    def take(self) -> Any:
        """Take the call, to make it; None if it has not its turn."""
        # In this order, since who takes the turn back makes a new list.
        calls = self._call
        if self.state != READY:
            return None
        if self.deadline is not None and self._owner.expire(self):
            return None
        try:
            call = calls.pop()
        except IndexError:
            return None
        self.state = RUNNING
        return call

    def begin(self) -> bool:
        """Claim the right to run it; False if it has not its turn."""
        call = self.take()
        if call is None:
            return False
        self._call = [call]
        return True

    def run(self) -> None:
        """A pool's worker has come to it: run it, or one that is older.

        Returns:
            None, so that the pool counts nothing: it took no slot.
        """
        turns = self._owner
        call = None
        # In this order, since who takes the turn back makes a new list.
        calls = self._call
        if self.state == READY and self.plain and not turns.late:
            try:
                call = calls.pop()
                self.state = RUNNING
            except IndexError:
                pass  # somebody else has it, so this is but a ticket
        if call is None:
            self, call = turns.exchange(self)
            if call is None:
                return
        self._call = TAKEN
        # What its class does, and perform(), without the calls.
        fn, args, kwargs, context = call
        self._result = fn
        self._status = MAKING_CALL
        try:
            if kwargs:
                self._result = context.run(fn, *args, **kwargs)
            else:
                self._result = context.run(fn, *args)
        except BaseException as failure:
            self._fail(failure, describe(fn))
            succeeded = False
        else:
            succeeded = True
        # Or what dies with them could hold up the next.
        del call, fn, args, kwargs, context
        self._status = FINISHED
        # Callbacks are the user's code; who just waits is told in no time.
        calls_back = type(self._watched) is Watchers
        owed = turns.finish(self, succeeded, goes_on=not calls_back)
        if owed:
            turns.bring(owed)
        if self._watched is not None:
            self._announce()
        if not succeeded:
            if self.interrupted():
                turns.runtime.interrupted()
            # The failure's frames lead back to this one.
            del self

    def make_call(self) -> bool | None:
        """After :meth:`begin`: see ``Future.run``. It is done then, but
        nobody has been told."""
        try:
            succeeded = super().run()
            if succeeded is not None:
                self._status = FINISHED
            return succeeded
        finally:
            # A failure's frames lead back to this one.
            del self

    def tell(self) -> None:
        """After :meth:`make_call`: tell those who wait."""
        if self._watched is not None:
            self._announce()

    # -- not beginning

    def claim(self) -> bool:
        """Take the call away, unless it has begun; the ledger does so."""
        calls = self._call
        if self.state > READY:
            return False
        try:
            calls.pop()
        except IndexError:
            return False
        return True

    def wait_again(self) -> bool:
        """Take its turn back, unless it has begun; the ledger does so."""
        calls = self._call
        if self.state != READY:
            return False
        try:
            call = calls.pop()
        except IndexError:
            return False
        self.state = QUEUED
        self._call = [call]
        return True

    def end_unbegun(self, error: BaseException | None) -> None:
        """After :meth:`claim`: it ends with the error; None cancels it.
        Nobody is told before :meth:`tell_unbegun`; the ledger does both."""
        if error is None:
            self._status = CANCELLED_AND_NOTIFIED
            return
        self._fail(error, "an operation that never began", own=0)
        # Who superseded it wanted it so.
        self._unseen.seen = isinstance(error, Superseded)
        self._status = FINISHED

    def tell_unbegun(self) -> None:
        """After :meth:`end_unbegun`: tell those who wait or observe."""
        if self.observed is not None:
            self.observed.cancelled()
        self.tell()
        self.wake_caller()

    def wake_caller(self) -> None:
        """Have who is to run it look, if there is one."""
        if self.permit is not None:
            wake(self.permit)

    def withdraw(self) -> None:
        """It was never accepted: its submit says so."""
        super().revoke()

    def lose(self, error: BaseException) -> None:
        """In a forked child: nobody is left to make the call."""
        self.state = ENDED
        super().abandon(error)

    # -- what a pool asks of what is in its ready queue

    def drop(self) -> bool:
        """The pool cancels what waits; it is in none of its counts."""
        self._owner.cancel(self)
        return False

    def revoke(self) -> bool:
        """The pool has broken down; nothing more is to be done for it."""
        self._owner.fail(self)
        return False

    def abandon(self, failure: BaseException) -> None:
        """In a forked child its owner sees to it; see :meth:`lose`."""
