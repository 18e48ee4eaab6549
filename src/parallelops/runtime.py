"""Where threads, locks, clocks, sleeping and randomness come from.

The rest of the library never asks ``threading``, ``time`` or ``random``: it
asks the runtime it was handed. So the same code runs on operating-system
threads, on green threads, and under a simulation that decides who runs next.

A new kind of runtime implements the abstract methods of :class:`Runtime`;
conditions, events and queues are then built from its locks. A runtime whose
platform has faster ones overrides those too, as :class:`ThreadRuntime` does.
"""

from __future__ import annotations

import abc
import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from parallelops import synchronization

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "Condition",
    "Event",
    "Handle",
    "Lock",
    "Queue",
    "Runtime",
    "ThreadRuntime",
]

T = TypeVar("T")


class Lock(Protocol):
    """A lock that any thread may release, as ``threading.Lock``.

    Releasing one that is not locked raises RuntimeError.
    """

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object: ...


class Condition(Lock, Protocol):
    """As ``threading.Condition``."""

    def wait(self, timeout: float | None = None) -> bool: ...
    def wait_for(
        self, predicate: Callable[[], T], timeout: float | None = None
    ) -> T: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...


class Event(Protocol):
    """As ``threading.Event``."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Queue(Protocol):
    """As ``queue.Queue``: raises ``queue.Full`` and ``queue.Empty``."""

    def put(
        self, item: Any, block: bool = True, timeout: float | None = None
    ) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def qsize(self) -> int: ...


class Handle(Protocol):
    """A thread that was spawned."""

    @property
    def name(self) -> str: ...
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...


class Runtime(abc.ABC):
    """The source of everything that depends on the kind of threads.

    Attributes:
        random: a generator of random numbers. The simulation seeds it; never
            use it for secrets.
    """

    random: random.Random

    def __init__(self) -> None:
        self.random = random.Random()  # noqa: S311 - jitter, not secrets

    @abc.abstractmethod
    def spawn(self, target: Callable[[], object], *, name: str) -> Handle:
        """Start ``target()`` in a thread that does not keep the process.

        Raises:
            RuntimeError: no thread can be started.
        """

    @abc.abstractmethod
    def ident(self) -> int:
        """An identifier of the calling thread, unique while it lives."""

    @abc.abstractmethod
    def thread_name(self) -> str:
        """The name of the calling thread, for people to read."""

    @abc.abstractmethod
    def lock(self) -> Lock:
        """A new lock, unlocked."""

    @abc.abstractmethod
    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    @abc.abstractmethod
    def time(self) -> float:
        """Seconds since the epoch, for what outlives the process."""

    @abc.abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let others run for ``seconds``."""

    def interrupted(self) -> None:  # noqa: B027 - most have nothing to do
        """A task of a worker ended with KeyboardInterrupt.

        On native threads it can only have raised that itself.
        """

    def rlock(self) -> Lock:
        """A new lock that its owner may take again."""
        return synchronization.RLock(self)

    def condition(self, lock: Lock | None = None) -> Condition:
        """A new condition, over ``lock`` or a reentrant lock of its own."""
        return synchronization.Condition(self, lock)

    def event(self) -> Event:
        """A new event, not set."""
        return synchronization.Event(self)

    def queue(self, maxsize: int = 0) -> Queue:
        """A new first-in first-out queue; ``maxsize`` 0 has no bound."""
        return synchronization.Queue(self, maxsize)


class ThreadRuntime(Runtime):
    """Threads of the operating system, as the standard library has them.

    Everything is looked up when the runtime is made or later: a process may
    be monkey-patched after this module was imported.
    """

    def __init__(self) -> None:
        super().__init__()
        # Asked for at each wait, and at each task that a caller runs.
        self.ident = threading.get_ident  # type: ignore[method-assign]

    def spawn(self, target: Callable[[], object], *, name: str) -> Handle:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def ident(self) -> int:
        return threading.get_ident()

    def thread_name(self) -> str:
        return threading.current_thread().name

    def lock(self) -> Lock:
        return threading.Lock()

    def rlock(self) -> Lock:
        return threading.RLock()

    def condition(self, lock: Lock | None = None) -> Condition:
        return threading.Condition(lock)  # type: ignore[arg-type]

    def event(self) -> Event:
        return threading.Event()

    def queue(self, maxsize: int = 0) -> Queue:
        return queue.Queue(maxsize)

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
