"""A future that costs little.

:class:`Future` is a ``concurrent.futures.Future``: the standard library's
``wait`` and ``as_completed``, ``asyncio.wrap_future`` and users take it for
one. What it leaves out until somebody asks for it are the lock and the two
lists that the standard one makes for each task.

Two rules make that safe without a lock on the way through:

*Whoever pops the call owns the future.* ``_call`` is a list with one item,
the call; ``list.pop`` is atomic, so that of a worker, a canceller and a
waiter that helps, one gets it.

*Finish first, look for watchers second.* A watcher sets ``_watched`` before
it reads the status; whoever finishes sets the status before it reads
``_watched``. At least one of the two sees the other. Where both do, the
watchers' lock settles who tells them, once.
"""

from __future__ import annotations

import concurrent.futures
import logging
from concurrent.futures import CancelledError, InvalidStateError
from concurrent.futures import _base as _std
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from parallelops import waiting
from parallelops.naming import describe
from parallelops.synchronization import at_most
from parallelops.unseen import Unseen
from parallelops.watchers import Signal, Watchers, wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Lock
    from parallelops.waiting import Owner

__all__ = ["Future"]

T = TypeVar("T")
AnyFuture = concurrent.futures.Future[Any]

_PENDING: Final = _std.PENDING
_RUNNING: Final = _std.RUNNING
_CANCELLED: Final = _std.CANCELLED_AND_NOTIFIED
FINISHED: Final = _std.FINISHED
DONE: Final = (FINISHED, _CANCELLED, _std.CANCELLED)

# What an owned future has for a call: nothing left to pop.
TAKEN: Final[list[Any]] = []

_log = logging.getLogger(__name__)


class Observed(Protocol):
    """What tells the observers of a call."""

    def cancelled(self) -> None: ...


class Future(concurrent.futures.Future[T]):
    """The result, still to come, of one call; made by executors.

    Attributes:
        observed: what tells the observers of the call, if there are any.
        takes_slot: whether it holds one of its pool's slots until it ends.
    """

    observed: Observed | None = None
    takes_slot = True

    __slots__ = (
        "_call",
        "_exception",
        "_owner",
        "_result",
        "_status",
        "_unseen",
        "_watched",
    )

    def __init__(self, owner: Owner, call: list[Any]) -> None:
        # The standard constructor is what this class exists to avoid.
        self._owner = owner
        self._call = call
        self._status = _PENDING
        self._exception = None
        self._watched: Lock | Watchers | None = None  # until somebody looks

    # What the standard library's functions reach for. A future that nobody
    # watches has none of it.

    @property
    def _state(self) -> str:  # type: ignore[override]
        # They hold the lock, look, and add a waiter. So it is done for them
        # once those who wait have been told, which takes the lock.
        watched, status = self._watched, self._status
        told = not isinstance(watched, Watchers) or watched.told
        return status if told or status not in DONE else _RUNNING

    @property
    def _condition(self) -> Lock:  # type: ignore[override]
        return self._watchers().lock

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return self._watchers().waiters

    @property
    def _done_callbacks(self) -> list[Any]:
        return self._watchers().callbacks

    def _watchers(self) -> Watchers:
        owner = self._owner
        watched = self._watched
        if not isinstance(watched, Watchers) or (
            watched.guard is not owner.lock
        ):
            made = Watchers(owner)
            with owner.lock:
                watched = self._watched
                if not isinstance(watched, Watchers):
                    if watched is not None:
                        made.waiters.append(Signal(watched))
                    watched = self._watched = made
                elif watched.guard is not owner.lock:
                    # In a forked child: who holds the lock may not be here.
                    watched.lock, watched.guard = made.lock, owner.lock
            if self._status in DONE:
                self._announce()
        return watched

    # -- asking

    def cancelled(self) -> bool:
        """True if it was cancelled before anybody began it."""
        return self._status == _CANCELLED

    def running(self) -> bool:
        """True while the call is being made."""
        return self._status == _RUNNING

    def done(self) -> bool:
        """True if it was cancelled or the call has ended."""
        return self._status in DONE

    def result(self, timeout: float | None = None) -> T:
        """What the call returned, or raise what it raised.

        Args:
            timeout: seconds to wait; None waits until it is done. A worker
                of a pool that waits for a call of the same pool which
                nobody has begun makes that call itself, when nobody else
                is free to or there is no timeout: then it is waited for
                however long it takes.

        Raises:
            CancelledError: it was cancelled.
            TimeoutError: the time is up; the call goes on.
            DeadlockError: the wait would never end.
        """
        if self._status is not FINISHED and self._status not in DONE:
            self._wait(timeout)
        if self._status is not FINISHED:
            raise CancelledError
        if self._exception is None:
            return self._result  # type: ignore[return-value]
        unseen = self._unseen
        unseen.seen = True
        try:
            # Or each look would add to the traceback of the last.
            raise self._exception.with_traceback(unseen.traceback)
        finally:
            # The traceback will hold this frame; don't let it hold itself.
            del self, unseen

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None; otherwise as :meth:`result`."""
        if self._status not in DONE:
            self._wait(timeout)
        if self._status != FINISHED:
            raise CancelledError
        if self._exception is not None:
            self._unseen.seen = True
        return self._exception

    def add_done_callback(
        self, fn: Callable[[concurrent.futures.Future[T]], object]
    ) -> None:
        """Call ``fn(self)`` when done, or now; what it raises is logged."""
        watched = self._watchers()
        with watched.lock:
            if not watched.told:
                watched.callbacks.append(fn)
                return
        self._call_back(fn)

    # -- ending it

    def run(self) -> bool | None:
        """Make the call, unless somebody else has; never raises.

        Nobody is told before :meth:`publish`, so that who runs it can set
        its books right first.

        Returns:
            True if it returned, False if it raised, None if it was not
            ours to make.
        """
        try:
            fn, args, kwargs, context = self._call.pop()
        except IndexError:
            return None
        self._call = TAKEN
        self._result = fn  # until there is one; see label()
        self._status = _RUNNING
        try:
            if kwargs:
                self._result = context.run(fn, *args, **kwargs)
            else:
                self._result = context.run(fn, *args)
        except BaseException as failure:
            self._fail(failure, describe(fn))
            # The frames of the failure lead back to this one, which is not
            # to lead to the failure.
            del self, fn, args, kwargs, context
            return False
        return True

    def interrupted(self) -> bool:
        """After :meth:`run`: did Ctrl-C end it?"""
        return isinstance(self._exception, KeyboardInterrupt)

    def label(self) -> str:
        """What to call it in logs: its function, while it is running."""
        return describe(self._result) if self.running() else repr(self)

    def publish(self) -> None:
        """After :meth:`run`: it is done, for all to see."""
        self._status = FINISHED
        if self._watched is not None:
            self._announce()

    def replace_function(self, fn: Callable[..., T]) -> Callable[..., T]:
        """Before anybody else has it: call ``fn`` instead of what it was."""
        before, *others = self._call.pop()
        self._call.append((fn, *others))
        return before  # type: ignore[no-any-return]

    def abandon(self, failure: BaseException) -> None:
        """In a forked child: nobody is left to make the call."""
        if self._status not in DONE:
            self._claim()
            self.set_exception(failure)

    def _claim(self) -> bool:
        """Take the call away from all others; False if it has begun."""
        try:
            self._call.pop()
        except IndexError:
            return False
        self._call = TAKEN
        return True

    def revoke(self) -> bool:
        """Take the call away, unless it has begun; who does so sees to what
        becomes of the future.

        Returns:
            False if the call has begun.
        """
        claimed = self._claim()
        if claimed and self.observed is not None:
            self.observed.cancelled()
        return claimed

    def cancel(self) -> bool:
        """Cancel a call that nobody has begun; True if it is cancelled."""
        with self._owner.lock:
            if not self._claim():
                return self._status == _CANCELLED
            self._status = _CANCELLED
        self._owner.cancelled(self)
        if self._watched is not None:
            self._announce()
        return True

    def drop(self) -> bool:
        """As :meth:`cancel`, for the owner, which keeps its own books.

        Returns:
            True if this call cancelled it.
        """
        if not self._claim():
            return False
        self._status = _CANCELLED
        if self._watched is not None:
            self._announce()
        if self.observed is not None:
            self.observed.cancelled()
        return True

    def set_running_or_notify_cancel(self) -> bool:
        """For who completes a future by hand: may the call begin?"""
        with self._owner.lock:
            if self._status == _CANCELLED:
                return False
            if not self._claim():
                raise InvalidStateError(f"{self._status}: {self!r}")
            self._status = _RUNNING
        self._owner.released(self)
        return True

    def set_result(self, result: T) -> None:
        """For who completes a future by hand: it returned ``result``."""
        self._end(result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        """For who completes a future by hand: it raised ``exception``."""
        self._end(None, exception)

    def _end(self, result: Any, failure: BaseException | None) -> None:
        with self._owner.lock:
            if self._status in DONE:
                raise InvalidStateError(f"{self._status}: {self!r}")
            unbegun = self._claim()
            self._result = result
            if failure is not None:
                self._fail(failure, "a future completed by hand", own=0)
            self._status = FINISHED
        if unbegun:
            self._owner.released(self)
        if self._watched is not None:
            self._announce()

    def _fail(self, failure: BaseException, name: str, own: int = 1) -> None:
        traceback = failure.__traceback__
        # Our own frame holds this future, which is to hold the traceback.
        for _ in range(own):
            traceback = traceback and traceback.tb_next
        self._result = None
        self._exception = failure.with_traceback(traceback)
        self._unseen = Unseen(failure, traceback, name)

    def _announce(self) -> None:
        watched = self._watched
        if isinstance(watched, Watchers):
            for fn in self._watchers().tell(self):
                self._call_back(fn)
        elif watched is not None:
            wake(watched)

    def _call_back(
        self, fn: Callable[[concurrent.futures.Future[T]], object]
    ) -> None:
        try:
            fn(self)
        except BaseException:
            _log.exception("done callback %s failed", describe(fn))

    def _wait(self, timeout: float | None) -> None:
        owner = self._owner
        party = waiting.party_of(owner.runtime)
        if party is not None and (timeout is None or timeout > 0):
            owner.help(self, party, timeout)
            if self._status in DONE:
                return
        permit = owner.runtime.lock()
        permit.acquire()
        with owner.lock:
            alone = self._watched is None
            if alone:
                self._watched = permit
        if not alone:
            self._watchers().waiters.append(Signal(permit))
        # Look only now: who finishes it from here on sees us.
        if self._status in DONE:
            return
        try:
            if timeout is not None:
                came = permit.acquire(timeout=at_most(timeout))
            elif party is None:
                came = permit.acquire()
            else:
                waiting.wait_for_futures(party, permit, (self,), bool)
                came = True
            if not came:
                raise TimeoutError
        except BaseException:
            self._unwatch(permit)
            raise

    def _unwatch(self, permit: Lock) -> None:
        with self._owner.lock:
            if self._watched is permit:
                self._watched = None
                return
        self._watchers().forget(permit)
