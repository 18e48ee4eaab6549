"""An executor and a clock that move only when the test says so."""

from __future__ import annotations

import collections
import contextvars
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from parallelops.errors import DeadlockError, ExecutorShutdown
from parallelops.executor import Executor, Stats, Traits
from parallelops.futures import Future
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops import waiting
    from parallelops.runtime import Lock

__all__ = ["FakeClock", "ManualExecutor"]

T = TypeVar("T")
P = ParamSpec("P")


class FakeClock(ThreadRuntime):
    """Real threads, under a clock that stands still until it is moved.

    Args:
        now: the time it begins with, in seconds since the epoch; its
            monotonic clock begins at 0.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        super().__init__()
        self._epoch = now
        self._now = 0.0

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            ValueError: they are less than none.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds!r}")
        self._now += seconds

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._epoch + self._now

    def sleep(self, seconds: float) -> None:
        """Whoever sleeps moves the clock; nobody waits."""
        self.advance(max(seconds, 0))


class ManualExecutor(Executor):
    """Keeps what it is given until the test has it run, task by task.

    For one thread. In it a wait for a task that nobody has run could never
    end, and raises DeadlockError at once.

    Attributes:
        clock: the clock that its waits see.
        pending: the futures of the tasks that wait, oldest first.
    """

    traits = Traits(parallel=False, bounded=False, resizable=False)

    def __init__(
        self, *, name: str = "manual", runtime: FakeClock | None = None
    ) -> None:
        self.name = name
        self.clock = runtime or FakeClock()
        self.runtime = _NobodyElse(self.clock)
        self.lock = ThreadRuntime().rlock()
        self.pending: collections.deque[Future[Any]] = collections.deque()
        self._counts = collections.Counter[str]()
        self._closed = False

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        if self._closed:
            raise ExecutorShutdown(
                "cannot schedule new futures after shutdown"
            )
        context = contextvars.copy_context()
        future: Future[T] = Future(self, [(fn, args, kwargs or None, context)])
        self.pending.append(future)
        return future

    def step(self, tasks: int = 1) -> int:
        """Run so many tasks, oldest first.

        Returns:
            How many there were to run.
        """
        ran = 0
        while ran < tasks and self.pending:
            future = self.pending.popleft()
            succeeded = future.run()
            self._counts["succeeded" if succeeded else "failed"] += 1
            future.publish()
            ran += 1
        return ran

    def run_all(self) -> int:
        """Run tasks until there is none, those that they submit too.

        Returns:
            How many there were.
        """
        ran = 0
        while self.pending:
            ran += self.step()
        return ran

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._closed = True
        if cancel_futures:
            for future in tuple(self.pending):
                future.cancel()
        if wait:
            self.run_all()

    def stats(self) -> Stats:
        return Stats(
            max_workers=1,
            max_queue=None,
            queued=len(self.pending),
            succeeded=self._counts["succeeded"],
            failed=self._counts["failed"],
            cancelled=self._counts["cancelled"],
        )

    # What its futures ask.

    def cancelled(self, future: Future[Any]) -> None:
        """One that waits was cancelled."""
        self.released(future)
        self._counts["cancelled"] += 1

    def released(self, future: Future[Any]) -> None:
        """One that waits is completed by hand."""
        self.pending.remove(future)

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        """Nothing runs but by the hand of the test."""

    def starters(self) -> Collection[waiting.Party] | None:
        """Nobody: the test is not a party."""
        return ()


class _NobodyElse(ThreadRuntime):
    """Has a clock of its own, and locks that nobody else will release."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.monotonic = clock.monotonic  # type: ignore[method-assign]
        self.time = clock.time  # type: ignore[method-assign]
        self.sleep = clock.sleep  # type: ignore[method-assign]

    def lock(self) -> Lock:
        return _Unwaited(super().lock(), self._clock)


class _Unwaited:
    """A lock for one thread: to wait for it is a mistake."""

    def __init__(self, lock: Lock, clock: FakeClock) -> None:
        self._lock = lock
        self._clock = clock
        self.release = lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        if blocking and timeout < 0:
            raise DeadlockError(
                "nobody runs the task that is waited for: step() first"
            )
        self._clock.advance(max(timeout, 0))
        return False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()
