"""Telling observers; an executor that has none pays nothing for it."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from parallelops import events
from parallelops.futures import describe

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
        self._executor = executor
        self._observers = observers
        self._numbers = itertools.count(1)

    def tell(self, kind: type[events.ExecutorEvent], **fields: Any) -> None:
        """Tell all of them of an event that happens now."""
        event = kind(
            time=self.runtime.monotonic(), executor=self._executor, **fields
        )
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

    __slots__ = ("_name", "_number", "_observers", "func")

    def __init__(
        self, observers: Observers, number: int, future: Future[Any]
    ) -> None:
        self._observers = observers
        self._number = number
        self.func = future.replace_function(self)
        self._name = describe(self.func)
        self._tell(events.TaskSubmitted)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        worker = self._observers.runtime.thread_name()
        self._tell(events.TaskStarted, worker=worker)
        outcome = "failed"
        try:
            result = self.func(*args, **kwargs)
            outcome = "succeeded"
            return result
        finally:
            self._tell(events.TaskFinished, worker=worker, outcome=outcome)

    def cancelled(self) -> None:
        self._tell(events.TaskFinished, worker=None, outcome="cancelled")

    def _tell(self, kind: type[events.ExecutorEvent], **fields: Any) -> None:
        self._observers.tell(
            kind, task=self._number, name=self._name, **fields
        )
