"""A lock for green and native threads alike.

Whoever waits here waits in the manner of its own kind of thread, and whoever
wakes another does it in the manner of the other's.
"""

from __future__ import annotations

import collections
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import greenlet
from eventlet import hubs, patcher

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GreenLock", "Waker"]

_native = patcher.original("threading")
_native_os = patcher.original("os")


class GreenLock:
    """A lock for green and native threads alike.

    Eventlet's own may only be released in the thread of their hub; this one
    anywhere, a signal handler included. First come, first served.
    """

    __slots__ = ("_permits", "_waiters")

    def __init__(self) -> None:
        # Lists, for their atomic append, pop and remove.
        self._permits: list[None] = [None]
        self._waiters: list[_Waiter] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        try:
            self._permits.pop()
        except IndexError:
            return blocking and timeout != 0 and self._wait(timeout)
        return True

    def release(self) -> None:
        if self._permits:
            raise RuntimeError("release unlocked lock")
        self._permits.append(None)
        if self._waiters:
            self._match()

    def locked(self) -> bool:
        return not self._permits

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def _wait(self, timeout: float) -> bool:
        waiter = _waiter()
        self._waiters.append(waiter)
        # Look only now: who releases from here on sees us.
        self._match()
        try:
            waiter.wait(timeout)
        except BaseException:
            if not self._withdraw(waiter):
                self.release()  # it was given to us on our way out
            raise
        return waiter.granted or not self._withdraw(waiter)

    def _withdraw(self, waiter: _Waiter) -> bool:
        try:
            self._waiters.remove(waiter)
        except ValueError:
            return False  # granted, or about to be
        return True

    def _match(self) -> None:
        while self._waiters:
            try:
                permit = self._permits.pop()
            except IndexError:
                return
            try:
                waiter = self._waiters.pop(0)
            except IndexError:
                self._permits.append(permit)
            else:
                waiter.grant()


class _Waiter(Protocol):
    granted: bool

    def wait(self, timeout: float) -> None: ...
    def grant(self) -> None: ...


def _waiter() -> _Waiter:
    """What the calling thread waits with."""
    hub = getattr(hubs._threadlocal, "hub", None)
    return _NativeWaiter() if hub is None else _GreenWaiter(Waker.of(hub))


class _NativeWaiter:
    """A native thread without a hub, as tpool's are."""

    __slots__ = ("_lock", "granted")

    def __init__(self) -> None:
        self.granted = False
        self._lock = _native.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> None:
        self._lock.acquire(timeout=timeout)

    def grant(self) -> None:
        self.granted = True
        self._lock.release()


class _GreenWaiter:
    """A green thread: it leaves the processor to the others of its hub."""

    __slots__ = ("_expired", "_greenlet", "_waiting", "_waker", "granted")

    def __init__(self, waker: Waker) -> None:
        self.granted = False
        self._waker = waker
        self._greenlet = greenlet.getcurrent()
        self._expired = False
        self._waiting = False

    def wait(self, timeout: float) -> None:
        hub = self._waker.hub
        if self._greenlet is hub.greenlet:
            raise RuntimeError(
                "would block the hub: wait in a green thread, not in one of "
                "the hub's callbacks"
            )
        timer = None
        if timeout >= 0:
            timer = hub.schedule_call_global(timeout, self._expire)
        try:
            while not (self.granted or self._expired):
                self._waiting = True
                try:
                    hub.switch()
                finally:
                    # A late call of _resume must not wake the next wait.
                    self._waiting = False
        finally:
            if timer is not None:
                timer.cancel()

    def grant(self) -> None:
        self.granted = True
        self._waker.call_soon(self._resume)

    def _expire(self) -> None:
        self._expired = True
        self._resume()

    def _resume(self) -> None:
        if self._waiting:
            self._greenlet.switch()


class Waker:
    """Has a hub call functions, from whatever thread they come.

    Attributes:
        hub: the hub.
    """

    _all: ClassVar[weakref.WeakKeyDictionary[Any, Waker]] = (
        weakref.WeakKeyDictionary()
    )

    @classmethod
    def of(cls, hub: Any) -> Waker:
        """The one of ``hub``, which is the calling thread's."""
        waker = cls._all.get(hub)
        if waker is None:
            waker = cls._all[hub] = cls(hub)
        return waker

    def __init__(self, hub: Any) -> None:
        self._hub = weakref.ref(hub)
        self._thread = _native.get_ident()
        self._calls: collections.deque[Callable[[], object]] = (
            collections.deque()
        )
        self._reader, self._writer = _native_os.pipe()
        for end in (self._reader, self._writer):
            _native_os.set_blocking(end, False)
        hub.add(hub.READ, self._reader, self._make_calls, None, lambda: None)

    @property
    def hub(self) -> Any:
        return self._hub()

    def call(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` in the hub's thread: now if that is this one."""
        if self._is_here():
            fn()
        else:
            self._send(fn)

    def call_soon(self, fn: Callable[[], object]) -> None:
        """Have the hub call ``fn`` when the running green thread yields."""
        if self._is_here():
            self.hub.schedule_call_global(0, fn)
        else:
            self._send(fn)

    def _is_here(self) -> bool:
        # In the hub itself we may be in a signal handler that interrupted
        # its poll, which new timers do not wake.
        return (
            _native.get_ident() == self._thread
            and greenlet.getcurrent() is not self.hub.greenlet
        )

    def _send(self, fn: Callable[[], object]) -> None:
        self._calls.append(fn)
        # If the pipe is full the hub is awake as it is.
        with contextlib.suppress(BlockingIOError):
            _native_os.write(self._writer, b"\0")

    def _make_calls(self, _: object) -> None:
        _native_os.read(self._reader, 4096)
        while self._calls:
            self._calls.popleft()()
