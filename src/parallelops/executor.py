"""The executor: what callers hand in and plug-in authors implement."""

from __future__ import annotations

import abc
import collections
import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from parallelops import watching
from parallelops.intake import Intake
from parallelops.watching import ALL_COMPLETED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parallelops.events import Observer
    from parallelops.intake import Book
    from parallelops.runtime import Runtime

__all__ = ["Executor", "OnSaturation", "Policy", "Stats", "Traits"]

T = TypeVar("T")
P = ParamSpec("P")

Policy = Literal["block", "reject", "caller_runs"]
LONGEST_BUFFER = 1000
POLICIES: tuple[Policy, ...] = ("block", "reject", "caller_runs")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a backend promises, for those who depend on it.

    The conformance tests skip what a backend does not claim.

    Attributes:
        parallel: tasks make progress at the same time.
        ordered: tasks begin in the order in which they were submitted.
        shared_memory: a task sees the objects that the caller sees, so any
            function can be submitted, and context variables go with it.
        exactly_once: an accepted task is never run twice.
        bounded: there is a bound on accepted tasks, and it holds.
        resizable: :meth:`Executor.resize` works.
        cancellable: a task that nobody has begun can be cancelled.
    """

    parallel: bool = True
    ordered: bool = True
    shared_memory: bool = True
    exactly_once: bool = True
    bounded: bool = True
    resizable: bool = True
    cancellable: bool = True

    def check_memory(self, executor: str, who: str) -> None:
        """See that tasks share memory with the one who submits them.

        Args:
            executor: the name of the executor.
            who: the one who submits, for the error.

        Raises:
            ValueError: they don't.
        """
        if not self.shared_memory:
            raise ValueError(
                f"the tasks of {executor} do not share memory with the "
                f"{who}; take a thread, greenthread or serial executor"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One look at an executor; exact when nothing is going on.

    Attributes:
        max_workers: how many tasks may run at the same time.
        max_queue: how many more may wait; None is without bound.
        workers: workers that are alive.
        running: tasks that are running, nested ones not counted.
        queued: tasks that wait for a worker.
        succeeded: tasks that returned.
        failed: tasks that raised.
        cancelled: tasks that were cancelled before they began.
        blocked: submits that had to wait for room.
        rejected: submits that were refused for want of room.
        caller_runs: submits whose task the caller ran for want of room.
    """

    max_workers: int
    max_queue: int | None
    workers: int = 0
    running: int = 0
    queued: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    blocked: int = 0
    rejected: int = 0
    caller_runs: int = 0


# What to do with a submit that finds the executor full: a policy, or a
# callable that chooses one for this submit (or raises, and then that is what
# submit raises). It is called without a lock held.
OnSaturation = Policy | Callable[[Stats], Policy]


class Executor(concurrent.futures.Executor, abc.ABC):
    """Runs calls, and hands out futures for them.

    A backend implements :meth:`submit`, :meth:`shutdown` and :meth:`stats`,
    and :meth:`resize` where it can; the rest is built on those. Who creates
    an executor shuts it down, best with a ``with`` block: leaving it waits
    for what was accepted, or, when an exception is passing through, cancels
    what nobody has begun and waits for the rest.

    Attributes:
        name: for logs, events and errors.
        runtime: where its threads and clocks come from; who waits for what
            the executor does waits with this.
        traits: what it promises.
        observers: the callables that are told its events.
    """

    name: str
    runtime: Runtime
    traits: Traits
    observers: tuple[Observer, ...] = ()

    @abc.abstractmethod
    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """Accept ``fn(*args, **kwargs)`` to be called once.

        A submit that raises never runs the function. The call sees the
        context variables as they are now; what it sets stays its own.

        Raises:
            ExecutorShutdown: it was shut down.
            ExecutorSaturated: it is full, and its policy is to reject.
            ExecutorBroken: the initializer failed.
            WorkerStartError: there is no worker, and none can be started.
        """

    @abc.abstractmethod
    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take no new work; end when what was accepted is done.

        Args:
            wait: return when everything accepted is done and the workers
                have ended. In one of its own tasks it never waits.
            cancel_futures: cancel what nobody has begun.
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            ShutdownTimeout: tasks were still running when time was up.
                They go on; it takes no new work all the same.
        """

    @abc.abstractmethod
    def stats(self) -> Stats:
        """One look at what is going on."""

    def resize(self, max_workers: int) -> None:
        """Change how many tasks may run at the same time, from now on.

        Running tasks are never interrupted.

        Raises:
            ValueError: ``max_workers`` is not above 0.
            NotImplementedError: this backend's traits say it can't.
        """
        raise NotImplementedError(f"{self.name} cannot be resized")

    def intake(self, book: Book) -> Intake:
        """The way in for those who order their work themselves.

        It is built on :meth:`submit`; a backend that has a shorter way may
        override it.

        Args:
            book: what a worker is to serve.
        """
        return Intake(self, book)

    @classmethod
    def prepare_process(cls) -> None:
        """Do what the process needs before this backend can start.

        A program calls it first thing. Most backends need nothing; that of
        green threads patches the standard library.
        """

    def wait(
        self,
        futures: Iterable[concurrent.futures.Future[Any]],
        timeout: float | None = None,
        return_when: str = ALL_COMPLETED,
    ) -> concurrent.futures._base.DoneAndNotDoneFutures[Any]:
        """As ``concurrent.futures.wait``, the way this executor waits.

        On green threads only the calling one waits, not all of them. A task
        of this executor that waits here helps; see ``Future.result``.

        Raises:
            DeadlockError: the wait would never end.
        """
        return watching.wait(futures, self.runtime, timeout, return_when)

    def as_completed(
        self,
        futures: Iterable[concurrent.futures.Future[Any]],
        timeout: float | None = None,
    ) -> Iterator[concurrent.futures.Future[Any]]:
        """As ``concurrent.futures.as_completed``, the way this one waits.

        Raises:
            TimeoutError: ``timeout`` seconds after the call some are not
                done.
            DeadlockError: the wait would never end.
        """
        return watching.as_completed(futures, self.runtime, timeout)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As ``map(fn, *iterables)``, with the calls made by the executor.

        Args:
            timeout: seconds from the call until the last result.
            chunksize: how many calls make one task. More cost less each,
                and are lost together when one of them fails.
            buffersize: how many tasks may be ahead of the reader; None is
                as many as the executor holds at once, but 1000 in its queue
                at the most. The iterables are read no further.

        Raises:
            TimeoutError: a result was not there in time.
            ValueError: ``chunksize`` or ``buffersize`` is not above 0.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is None:
            stats = self.stats()
            queue = stats.max_queue
            buffersize = stats.max_workers + (
                LONGEST_BUFFER if queue is None else min(queue, LONGEST_BUFFER)
            )
        if buffersize < 1:
            raise ValueError("buffersize must be >= 1.")
        monotonic = self.runtime.monotonic
        end = None if timeout is None else monotonic() + timeout
        calls = zip(*iterables, strict=False)
        submit = self.submit

        def one(call: tuple[Any, ...]) -> concurrent.futures.Future[Any]:
            return submit(fn, *call)

        def chunk(
            part: tuple[tuple[Any, ...], ...],
        ) -> concurrent.futures.Future[Any]:
            return submit(_call_each, fn, part)

        parts: Iterator[Any] = calls
        start: Callable[[Any], concurrent.futures.Future[Any]] = one
        if chunksize > 1:
            parts = iter(lambda: tuple(itertools.islice(calls, chunksize)), ())
            start = chunk
        ahead = collections.deque(
            map(start, itertools.islice(parts, buffersize))
        )
        left = None if end is None else lambda: end - monotonic()
        results = _in_order(ahead, parts, start, left)
        return (
            itertools.chain.from_iterable(results)
            if chunksize > 1
            else results
        )

    def __exit__(
        self, exc_type: object, exc_value: object, traceback: object
    ) -> None:
        self.shutdown(wait=True, cancel_futures=exc_type is not None)


def _call_each(
    fn: Callable[..., T], calls: tuple[tuple[Any, ...], ...]
) -> list[T]:
    return [fn(*call) for call in calls]


def _in_order(
    ahead: collections.deque[concurrent.futures.Future[Any]],
    parts: Iterator[Any],
    start: Callable[[Any], concurrent.futures.Future[Any]],
    left: Callable[[], float] | None,
) -> Iterator[Any]:
    """Yield results in order, starting one more for each."""
    try:
        while ahead:
            ahead[0].result(left() if left else None)
            for part in itertools.islice(parts, 1):
                ahead.append(start(part))
            # Nothing here is to hold the result while the reader has it.
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
