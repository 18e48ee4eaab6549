"""What happens in an executor, as frozen values.

An observer is any callable that takes one event. It is called in the thread
where the event happens, without a lock held, so it must be quick and must
not block. What it raises is logged and touches nothing else.

Times are in seconds on the executor's own monotonic clock; ``task`` counts
the tasks of one executor from 1 in the order they were accepted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

__all__ = [
    "DeleteTried",
    "Event",
    "ExecutorEvent",
    "LocationRecorded",
    "Observer",
    "Outcome",
    "Saturated",
    "ScrubEnded",
    "ScrubEvent",
    "ScrubStarted",
    "StoreClosed",
    "StoreThrottled",
    "TaskFinished",
    "TaskStarted",
    "TaskSubmitted",
    "WorkerStarted",
    "WorkerStopped",
]

Outcome = Literal["succeeded", "failed", "cancelled"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all events: something happened at ``time``."""

    time: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorEvent(Event):
    """Something happened in the executor called ``executor``."""

    executor: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskSubmitted(ExecutorEvent):
    """A task was accepted. ``name`` is the qualified name of its function."""

    task: int
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(ExecutorEvent):
    """A task began to run in ``worker`` (the caller's name for one that the
    caller runs itself), ``waited`` seconds after it was submitted."""

    task: int
    name: str
    worker: str
    waited: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished(ExecutorEvent):
    """A task is done, ``ran`` seconds after it started. ``worker`` and
    ``ran`` are None for one that never started."""

    task: int
    name: str
    worker: str | None
    outcome: Outcome
    ran: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Saturated(ExecutorEvent):
    """A submit found the executor full; ``policy`` is what was done."""

    policy: Literal["block", "reject", "caller_runs"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(ExecutorEvent):
    """A worker began to take tasks."""

    worker: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(ExecutorEvent):
    """A worker ended: it was idle, surplus, or the executor shut down."""

    worker: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScrubEvent(Event):
    """Something happened to a scrubber on the executor called
    ``executor``. ``wall`` is seconds since the epoch."""

    executor: str
    wall: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScrubStarted(ScrubEvent):
    """A run began. ``images`` are due, the first of them for ``oldest_age``
    seconds, None if there is none, and ``parked`` locations are parked."""

    images: int
    oldest_age: float | None
    parked: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTried(ScrubEvent):
    """A store answered a delete after ``seconds``; ``kind`` is what that
    means, as in :class:`parallelops.images.Kind`."""

    store: str | None
    kind: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreThrottled(ScrubEvent):
    """A store asked for fewer calls, and to wait ``retry_after`` seconds;
    None if it did not say."""

    store: str | None
    retry_after: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreClosed(ScrubEvent):
    """A store is left alone for the rest of the run."""

    store: str | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocationRecorded(ScrubEvent):
    """What became of a location is recorded. ``url`` is without secrets;
    the others are as in :class:`parallelops.images.LocationResult`."""

    image: str
    location: int
    url: str
    store: str | None
    outcome: str
    reason: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScrubEnded(ScrubEvent):
    """A run ended after ``seconds``. ``locations`` have a result, of which
    ``failures`` are not as they should be; ``error`` is what ended it, in
    words, or empty."""

    locations: int
    failures: int
    seconds: float
    error: str


Observer = Callable[[Event], object]
