"""Telling observers; an executor that has none pays nothing for it."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from parallelops import events
from parallelops.naming import describe

if TYPE_CHECKING:
    from parallelops.events import Observer
    from parallelops.futures import Future
    from parallelops.runtime import Runtime

__all__ = ["Observers"]

_log = logging.getLogger(__name__)


class Observers:
    """The observers of one executor."""

    def __init__(
        self, executor: str, runtime: Runtime, observers: tuple[Observer, ...]
    ) -> None:
        self.runtime = runtime
        self.now = runtime.monotonic
        self._executor = executor
        self._observers = observers
        self._numbers = itertools.count(1)

    def tell(
        self,
        kind: type[events.ExecutorEvent],
        time: float | None = None,
        **fields: Any,
    ) -> None:
        """Tell all of them of an event; without a ``time`` it is now."""
        if time is None:
            time = self.now()
        event = kind(time=time, executor=self._executor, **fields)
        for observer in self._observers:
            try:
                observer(event)
            except BaseException:
                _log.exception("observer %s failed", describe(observer))

    def watch(self, future: Future[Any]) -> None:
        """Tell of a new future now, and of what becomes of it later."""
        future.observed = _Observed(self, next(self._numbers), future)


class _Observed:
    """Stands in for a future's function, to tell when it is called.

    Attributes:
        func: the function itself.
    """

    __slots__ = ("_name", "_number", "_observers", "_since", "func")

    def __init__(
        self, observers: Observers, number: int, future: Future[Any]
    ) -> None:
        self._observers = observers
        self._number = number
        self.func = future.replace_function(self)
        self._name = describe(self.func)
        self._since = self._observers.now()
        self._tell(events.TaskSubmitted, self._since)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        worker = self._observers.runtime.thread_name()
        start = self._observers.now()
        waited = start - self._since
        self._tell(events.TaskStarted, start, worker=worker, waited=waited)
        outcome = "failed"
        try:
            result = self.func(*args, **kwargs)
            outcome = "succeeded"
            return result
        finally:
            end = self._observers.now()
            self._tell(
                events.TaskFinished,
                end,
                worker=worker,
                outcome=outcome,
                ran=end - start,
            )

    def cancelled(self) -> None:
        self._tell(
            events.TaskFinished,
            self._observers.now(),
            worker=None,
            outcome="cancelled",
            ran=None,
        )

    def _tell(
        self, kind: type[events.ExecutorEvent], time: float, **fields: Any
    ) -> None:
        self._observers.tell(
            kind, time, task=self._number, name=self._name, **fields
        )
