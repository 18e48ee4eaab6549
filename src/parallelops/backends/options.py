"""The options that every built-in backend takes, checked in one place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from parallelops.executor import POLICIES

if TYPE_CHECKING:
    from parallelops.events import Observer
    from parallelops.executor import OnSaturation

__all__ = ["Options", "Wrap"]

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an executor is to behave.

    Attributes:
        max_workers: how many tasks may run at the same time.
        max_queue: how many more may wait for a worker. None is without
            bound; 0 accepts a task only when a worker is free for it.
        on_saturation: what a submit does that finds no room. "block" waits
            (a task of this executor runs the new one itself, since it would
            wait for itself), "reject" raises ExecutorSaturated,
            "caller_runs" runs the task in the caller; or a callable that
            gets the Stats and returns one of these.
        thread_name_prefix: for the names of workers; a number follows.
        initializer: called in each worker before its first task, with
            ``initargs``. If it raises, the executor is broken for good.
        wrap: called by submit with the function, in the caller; what it
            returns is called in its place, in the worker. It carries what
            lives in thread-locals, as context variables go by themselves.
        fair: whoever submits takes turns: one that has queued much does not
            hold up one that comes late. True goes by the thread that
            submits; a callable is called by submit and returns what to go
            by. It costs some speed.
        idle_timeout: seconds after which an idle worker ends; None keeps
            it.
        exit_timeout: seconds that the interpreter waits for accepted tasks
            when it exits; None waits as long as it takes. What still runs
            then is named in the log, and ends with the process.
        observers: callables that are told the executor's events.
        name: for logs, events and errors; made up when empty.

    Raises:
        TypeError, ValueError: an option cannot be what it is.
    """

    max_workers: int
    max_queue: int | None = 1000
    on_saturation: OnSaturation = "block"
    thread_name_prefix: str = ""
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    wrap: Wrap | None = None
    fair: bool | Callable[[], Hashable] = False
    idle_timeout: float | None = 60.0
    exit_timeout: float | None = 60.0
    observers: tuple[Observer, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        check_max_workers(self.max_workers)
        if self.max_queue is not None:
            _check_whole("max_queue", self.max_queue)
            if self.max_queue < 0:
                raise ValueError("max_queue must not be negative")
        if self.on_saturation not in POLICIES and not callable(
            self.on_saturation
        ):
            raise ValueError(
                f"on_saturation must be one of {', '.join(POLICIES)} or a "
                f"callable, not {self.on_saturation!r}"
            )
        for option in ("idle_timeout", "exit_timeout"):
            seconds = getattr(self, option)
            if seconds is not None and not 0 <= seconds < math.inf:
                raise ValueError(
                    f"{option} must be seconds or None, not {seconds!r}"
                )
        for option in ("initializer", "wrap"):
            value = getattr(self, option)
            if value is not None and not callable(value):
                raise TypeError(f"{option} must be a callable")
        if not isinstance(self.fair, bool) and not callable(self.fair):
            raise TypeError("fair must be a bool or a callable")
        for observer in self.observers:
            if not callable(observer):
                raise TypeError(f"observer {observer!r} is not callable")


def check_max_workers(number: object) -> None:
    """Raise unless ``number`` can be a number of workers."""
    _check_whole("max_workers", number)
    if number < 1:  # type: ignore[operator]
        raise ValueError("max_workers must be greater than 0")


def _check_whole(option: str, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{option} must be a whole number, not {number!r}")
