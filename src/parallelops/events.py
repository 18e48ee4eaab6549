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
    "Event",
    "ExecutorEvent",
    "Observer",
    "Outcome",
    "Saturated",
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


Observer = Callable[[Event], object]
