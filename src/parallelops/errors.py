"""Every error that parallelops raises of its own accord.

One root, :class:`ParallelopsError`. An error that stands in for one of the
standard library's is also an instance of that one, so that code written for
``concurrent.futures`` keeps working. What a handler might want to know is a
typed attribute, not a word in the message.
"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CatalogError",
    "ConfigError",
    "DeadlockError",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "IllegalTransition",
    "ImageDataNotFound",
    "LocationBlocked",
    "LocationRefused",
    "MissingDependency",
    "NotInCatalog",
    "NotPatched",
    "NotPicklable",
    "ParallelopsError",
    "PluginError",
    "RateLimited",
    "RestoreRefused",
    "ShutdownTimeout",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "TaskLost",
    "WorkerStartError",
]


class ParallelopsError(Exception):
    """The root of all errors of this library."""


class ExecutorShutdown(ParallelopsError, RuntimeError):
    """The executor takes no new work: it was shut down. Nothing ran."""


class ExecutorSaturated(ParallelopsError, RuntimeError):
    """The executor is full and its policy is to reject. Nothing ran.

    Attributes:
        executor: the name of the executor.
        capacity: how many tasks it accepts at once, running and queued.
    """

    def __init__(self, executor: str, capacity: int) -> None:
        super().__init__(
            f"cannot schedule new futures: executor {executor!r} already "
            f"holds {capacity} tasks; raise max_queue, submit more slowly, "
            "or choose another on_saturation"
        )
        self.executor = executor
        self.capacity = capacity


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


class PluginError(ParallelopsError):
    """A plug-in is missing, broken, of the wrong kind or doubly defined.

    Attributes:
        namespace: the entry-point namespace it was looked for in.
        plugin: its name.
        distributions: the distributions that define it, as "name version".
    """

    def __init__(
        self,
        namespace: str,
        plugin: str,
        reason: str,
        distributions: Sequence[str] = (),
    ) -> None:
        origin = f" from {', '.join(distributions)}" if distributions else ""
        super().__init__(f"{namespace} plug-in {plugin!r}{origin}: {reason}")
        self.namespace = namespace
        self.plugin = plugin
        self.distributions = tuple(distributions)


class MissingDependency(ParallelopsError, ImportError):
    """An optional dependency is not installed.

    Attributes:
        extra: the extra of this package that installs it, if there is one.
    """

    def __init__(self, what: str, module: str, extra: str | None) -> None:
        remedy = (
            f"pip install 'parallelops[{extra}]'"
            if extra
            else f"install {module}"
        )
        super().__init__(f"{what} needs {module}: {remedy}", name=module)
        self.extra = extra


class NotPatched(ParallelopsError, RuntimeError):
    """Green threads need standard modules patched, early; they are not.

    Attributes:
        modules: the modules that are not patched, or that hold on to what
            was there before the patch.
    """

    def __init__(self, message: str, modules: Sequence[str]) -> None:
        super().__init__(message)
        self.modules = tuple(modules)


class ConfigError(ParallelopsError, ValueError):
    """A configuration option has a value that cannot work.

    Attributes:
        option: the option as "[group] name".
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option


class IllegalTransition(ParallelopsError, ValueError):
    """A location or image was asked for a status that it cannot reach.

    Attributes:
        old: the status it has.
        new: the status that was asked for.
    """

    def __init__(self, old: str, new: str, what: str = "a location") -> None:
        super().__init__(f"{what} cannot go from {old} to {new}")
        self.old = old
        self.new = new


class CatalogError(ParallelopsError):
    """A catalogue cannot be read or written, or is not a catalogue."""


class NotInCatalog(CatalogError, LookupError):
    """The catalogue has no such image or location."""


class RestoreRefused(CatalogError):
    """An image can't be restored: its data may be gone, or will be.

    Attributes:
        image_id: the image.
    """

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f"image {image_id!r} cannot be restored: {reason}")
        self.image_id = image_id


class StoreError(ParallelopsError):
    """A store could not do what it was asked. The data may still be there."""


class ImageDataNotFound(StoreError):
    """The store is there and answers that the data is not."""


class LocationBlocked(StoreError):
    """The data may not be deleted now: somebody uses it, or forbids it."""


class LocationRefused(StoreError):
    """The store will not touch such a location, now or later."""


class StoreUnavailable(StoreError):
    """The store cannot be reached: nothing it says is to be believed."""


class StoreBusy(StoreError):
    """The store asks to be called less often. It did nothing.

    Attributes:
        retry_after: the seconds that it asks to wait; None if it does not
            say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
