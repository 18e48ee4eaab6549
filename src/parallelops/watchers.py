"""What waits for one future, and what it is to call back.

Most futures that are waited for have one thread that asks for the result: the
lock that it sleeps on is all they get. Whatever else comes makes it
:class:`Watchers`, with what the standard library's functions reach for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future as AnyFuture

    from parallelops.runtime import Lock
    from parallelops.waiting import Owner

__all__ = ["Signal", "Watchers", "wake"]


def wake(permit: Lock) -> None:
    """Wake the thread that sleeps on a lock, unless it was woken before."""
    try:
        permit.release()
    except RuntimeError:
        pass


class Signal:
    """A thread that sleeps on a lock, as a waiter of the kind that the
    standard library's futures know."""

    __slots__ = ("permit",)

    def __init__(self, permit: Lock) -> None:
        self.permit = permit

    def add_result(self, future: AnyFuture[Any]) -> None:
        """Wake it."""
        wake(self.permit)

    add_exception = add_cancelled = add_result


class Watchers:
    """All that watches one future.

    Attributes:
        lock: guards the others. Each future has its own, as the standard
            ``wait`` takes those of all it is given, of whatever owners.
        guard: the lock that the owner had then; see
            :class:`~parallelops.waiting.Owner`.
        told: whether they know that the future is done.
    """

    __slots__ = ("callbacks", "guard", "lock", "told", "waiters")

    def __init__(self, owner: Owner) -> None:
        self.lock = owner.runtime.rlock()
        self.guard = owner.lock
        self.told = False
        self.waiters: list[Any] = []
        self.callbacks: list[Callable[[Any], object]] = []

    def tell(
        self, future: AnyFuture[Any]
    ) -> Iterable[Callable[[Any], object]]:
        """The future is done: wake who waits, once.

        Returns:
            What is to be called back, without a lock.
        """
        with self.lock:
            if self.told:
                return ()
            for waiter in self.waiters:
                if future.cancelled():
                    waiter.add_cancelled(future)
                elif future._exception is not None:
                    waiter.add_exception(future)
                else:
                    waiter.add_result(future)
            self.told = True
            callbacks, self.callbacks = self.callbacks, []
        return callbacks

    def forget(self, permit: Lock) -> None:
        """The thread that slept on it waits no more."""
        with self.lock:
            self.waiters[:] = [
                waiter
                for waiter in self.waiters
                if getattr(waiter, "permit", None) is not permit
            ]
