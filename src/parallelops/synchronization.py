"""Conditions, events, queues and reentrant locks made of a runtime's locks.

What a :class:`~parallelops.runtime.Runtime` gives when it has nothing
faster. Interfaces and semantics are those of ``threading`` and ``queue``.
"""

from __future__ import annotations

import collections
import queue
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops import runtime as _runtime

__all__ = ["Condition", "Event", "Queue", "RLock"]

T = TypeVar("T")


class RLock:
    """A lock that the thread which holds it may take again."""

    def __init__(self, runtime: _runtime.Runtime) -> None:
        self._ident = runtime.ident
        self._lock = runtime.lock()
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = self._ident()
        if self._owner != me:
            if not self._lock.acquire(blocking, timeout):
                return False
            self._owner = me
        self._depth += 1
        return True

    def release(self) -> None:
        if self._owner != self._ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()

    def give_up(self) -> int:
        """Release at any depth; the depth is what :meth:`retake` wants."""
        depth, self._depth, self._owner = self._depth, 0, None
        self._lock.release()
        return depth

    def retake(self, depth: int) -> None:
        """Take again what :meth:`give_up` released."""
        self._lock.acquire()
        self._owner, self._depth = self._ident(), depth

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class Condition:
    """Wait until another thread says that something may have changed."""

    def __init__(
        self, runtime: _runtime.Runtime, lock: _runtime.Lock | None = None
    ) -> None:
        self._runtime = runtime
        self._lock = runtime.rlock() if lock is None else lock
        self._waiters: collections.deque[_runtime.Lock] = collections.deque()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def wait(self, timeout: float | None = None) -> bool:
        """Release, wait to be notified, take again: False if time is up."""
        waiter = self._runtime.lock()
        waiter.acquire()
        self._waiters.append(waiter)
        lock = self._lock
        depth = 0
        if isinstance(lock, RLock):
            depth = lock.give_up()
        else:
            lock.release()
        notified = False
        try:
            notified = waiter.acquire(timeout=at_most(timeout))
        finally:
            if isinstance(lock, RLock):
                lock.retake(depth)
            else:
                lock.acquire()
            if not notified and waiter in self._waiters:
                self._waiters.remove(waiter)
        return notified

    def wait_for(
        self, predicate: Callable[[], T], timeout: float | None = None
    ) -> T:
        """Wait until ``predicate()`` is true; return what it returned."""
        now = self._runtime.monotonic
        end = None if timeout is None else now() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - now()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        for _ in range(min(n, len(self._waiters))):
            self._waiters.popleft().release()

    def notify_all(self) -> None:
        self.notify(len(self._waiters))

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class Event:
    """A flag that threads can wait for."""

    def __init__(self, runtime: _runtime.Runtime) -> None:
        self._changed = runtime.condition(runtime.lock())
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout)


class Queue:
    """First in, first out, with a bound when ``maxsize`` is above 0."""

    def __init__(self, runtime: _runtime.Runtime, maxsize: int = 0) -> None:
        lock = runtime.lock()
        self._filled = runtime.condition(lock)
        self._emptied = runtime.condition(lock)
        self._maxsize = maxsize
        self._items: collections.deque[Any] = collections.deque()

    def qsize(self) -> int:
        return len(self._items)

    def put(
        self, item: Any, block: bool = True, timeout: float | None = None
    ) -> None:
        with self._emptied:
            if not self._emptied.wait_for(
                self._has_room, timeout if block else 0
            ):
                raise queue.Full
            self._items.append(item)
            self._filled.notify()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        with self._filled:
            if not self._filled.wait_for(self.qsize, timeout if block else 0):
                raise queue.Empty
            item = self._items.popleft()
            self._emptied.notify()
            return item

    def _has_room(self) -> bool:
        return not self._maxsize or len(self._items) < self._maxsize


# The longest time that a lock of the standard library can wait.
_LONGEST = 2**31 / 1000


def at_most(timeout: float | None) -> float:
    """A lock's ``timeout`` for ours: None is for ever, nothing is negative.

    Waits are cut to about 24 days.
    """
    return -1 if timeout is None else min(max(timeout, 0), _LONGEST)
