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
    from collections.abc import Hashable, Mapping, Sequence

__all__ = [
    "ArchiveRefused",
    "CatalogError",
    "ConfigError",
    "DataMismatch",
    "DeadlockError",
    "DestinationError",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "Expired",
    "FetchCancelled",
    "FetchError",
    "GroupFailed",
    "IllegalTransition",
    "ImageDataNotFound",
    "InvalidEntry",
    "KeyQuarantined",
    "KeySaturated",
    "LocationRefused",
    "MissingDependency",
    "NoLocationWorked",
    "NotInCatalog",
    "NotPatched",
    "NotPicklable",
    "ParallelopsError",
    "PluginError",
    "RateLimited",
    "ShutdownTimeout",
    "StoreError",
    "StoreUnavailable",
    "Superseded",
    "TaskLost",
    "TransferError",
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


class StoreError(ParallelopsError):
    """A store could not do what it was asked. The data may still be there."""


class ImageDataNotFound(StoreError):
    """The store is there and answers that the data is not."""


class LocationRefused(StoreError):
    """The store will not touch such a location, now or later."""


class StoreUnavailable(StoreError):
    """The store cannot be reached: nothing it says is to be believed."""


class InvalidEntry(ParallelopsError, ValueError):
    """The entry of a location, or its metrics, cannot be what it is.

    Attributes:
        field: the field, as "metrics.node-weights"; a value is never in it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"location entry, {field}: {reason}")
        self.field = field


class FetchError(ParallelopsError):
    """An image, or its data at one location, could not be fetched."""


class TransferError(FetchError):
    """A location did not give its data, or not all of it."""


class DataMismatch(FetchError):
    """The data is not what was asked for.

    Attributes:
        what: "size" or "digest".
        expected: what was asked for.
        actual: what came.
    """

    def __init__(
        self, what: str, expected: str, actual: str, of: str = "the data"
    ) -> None:
        super().__init__(f"the {what} of {of} is {actual}, not {expected}")
        self.what = what
        self.expected = expected
        self.actual = actual


class ArchiveRefused(FetchError):
    """A package is hostile, damaged or of a kind that is not taken.

    Attributes:
        member: the file in it that is at fault; empty for the package.
        reason: what is wrong.
    """

    def __init__(self, reason: str, member: str = "") -> None:
        where = f"{member!r} in the package" if member else "the package"
        super().__init__(f"{where} is refused: {reason}")
        self.member = member
        self.reason = reason


class DestinationError(FetchError):
    """The place where data is to go does not take it.

    Attributes:
        path: that place.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot write {path}: {reason}")
        self.path = path


class FetchCancelled(FetchError):
    """Somebody called the fetch off. Nothing is left of it."""


class NoLocationWorked(FetchError):
    """No location of an image gave its data.

    Attributes:
        reasons: why each attempt failed, in words without secrets; or, if
            none was made, why not.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "no location gave the data: "
            + ("; ".join(reasons) or "there is none")
        )
        self.reasons = tuple(reasons)


class GroupFailed(FetchError):
    """A group of images was not fetched, and nothing of it is there.

    Attributes:
        failures: why, by the name of the image.
    """

    def __init__(self, failures: Mapping[str, BaseException]) -> None:
        super().__init__(
            "nothing of the group was kept: "
            + "; ".join(f"{name}: {why}" for name, why in failures.items())
        )
        self.failures = dict(failures)
