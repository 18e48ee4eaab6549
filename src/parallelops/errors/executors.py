"""Errors of executors, and of what runs on them."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

from parallelops.errors.root import ParallelopsError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = [
    "DeadlockError",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "Expired",
    "KeyQuarantined",
    "KeySaturated",
    "NotPatched",
    "NotPicklable",
    "RateLimited",
    "ShutdownTimeout",
    "Superseded",
    "TaskLost",
    "WorkerStartError",
]


class ExecutorShutdown(ParallelopsError, RuntimeError):
    """The executor takes no new work: it was shut down. Nothing ran."""


class ExecutorSaturated(ParallelopsError, RuntimeError):
    """The executor is full and its policy is to reject. Nothing ran.

    Attributes:
        executor: the name of the executor.
        capacity: how many tasks it accepts at once, running and queued.
    """

    def __init__(
        self, executor: str, capacity: int, message: str = ""
    ) -> None:
        super().__init__(
            message
            or f"cannot schedule new futures: executor {executor!r} already "
            f"holds {capacity} tasks; raise max_queue, submit more slowly, "
            "or choose another on_saturation"
        )
        self.executor = executor
        self.capacity = capacity


class KeySaturated(ExecutorSaturated):
    """A key has as many operations queued as it may have. Nothing ran.

    Attributes:
        key: the key.
        bound: how many operations of one key may wait or run at once.
    """

    def __init__(
        self, key: Hashable, bound: int, executor: str = "keyed"
    ) -> None:
        super().__init__(
            executor,
            bound,
            f"cannot schedule new futures: {executor} already holds {bound} "
            f"operations of key {key!r}; submit more slowly, raise "
            "max_pending_per_key, or choose another on_full",
        )
        self.key = key
        self.bound = bound


class KeyQuarantined(ParallelopsError, RuntimeError):
    """A key takes no operations until it is released. Nothing ran.

    Attributes:
        key: the key.
        reason: why, as whoever put it in quarantine said.
    """

    def __init__(self, key: Hashable, reason: object) -> None:
        super().__init__(
            f"key {key!r} is in quarantine until it is released: {reason}"
        )
        self.key = key
        self.reason = reason


class Superseded(ParallelopsError, RuntimeError):
    """An operation gave way to a later one before it began. It never ran.

    Attributes:
        key: its key.
        tag: the tag that it shared with the later one.
    """

    def __init__(self, key: Hashable, tag: Hashable) -> None:
        super().__init__(
            f"an operation of key {key!r} was superseded by a later one "
            f"with the tag {tag!r}"
        )
        self.key = key
        self.tag = tag


class Expired(ParallelopsError, TimeoutError):
    """An operation's turn came too late. It never ran.

    Attributes:
        key: its key.
        late: seconds from its deadline until that was noticed.
    """

    def __init__(self, key: Hashable, late: float) -> None:
        super().__init__(
            f"an operation of key {key!r} expired {late:.3f} s before its "
            "turn came"
        )
        self.key = key
        self.late = late


class ExecutorBroken(ParallelopsError, concurrent.futures.BrokenExecutor):
    """A worker's initializer failed, so no task can run any more."""


class WorkerStartError(ParallelopsError, RuntimeError):
    """No worker could be started for a task, and none was there. It did
    not run."""


class NotPicklable(ParallelopsError, TypeError):
    """A task cannot be sent to another process. It did not run."""


class TaskLost(ParallelopsError, RuntimeError):
    """What became of a task on another machine is not known. It may have
    run, in part, once or more than once."""


class DeadlockError(ParallelopsError, RuntimeError):
    """A task waited for something that could only happen after itself."""


class ShutdownTimeout(ParallelopsError, TimeoutError):
    """Tasks were still running when the time for a shutdown was up.

    Attributes:
        tasks: descriptions of the tasks that were still running.
    """

    def __init__(self, executor: str, tasks: Sequence[str]) -> None:
        super().__init__(
            f"executor {executor!r} is still running: {', '.join(tasks)}"
        )
        self.executor = executor
        self.tasks = tuple(tasks)


class RateLimited(ParallelopsError, TimeoutError):
    """A call was not let through in time, so as to keep to a rate.

    Attributes:
        retry_after: seconds after which the same call would be let through
            in time, if nobody else comes before.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "the rate limit lets no more calls through in time; try again "
            f"in {retry_after:.3g} s, or wait longer"
        )
        self.retry_after = retry_after


class NotPatched(ParallelopsError, RuntimeError):
    """Green threads need standard modules patched, early; they are not.

    Attributes:
        modules: the modules that are not patched, or that hold on to what
            was there before the patch.
    """

    def __init__(self, message: str, modules: Sequence[str]) -> None:
        super().__init__(message)
        self.modules = tuple(modules)
