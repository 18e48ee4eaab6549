"""No concurrency: the caller runs each task at once."""

from __future__ import annotations

import contextvars
import itertools
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from parallelops import waiting
from parallelops.backends.observed import Observers
from parallelops.backends.options import Options
from parallelops.errors import ExecutorBroken, ExecutorShutdown
from parallelops.executor import Executor, Stats, Traits
from parallelops.futures import Future
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from parallelops.events import Observer

__all__ = ["SerialExecutor"]

T = TypeVar("T")
P = ParamSpec("P")

_log = logging.getLogger(__name__)
_copy_context = contextvars.copy_context
_numbers = itertools.count()


class SerialExecutor(Executor):
    """Runs each task in the thread that submits it, before submit returns.

    So what it hands out is done, whatever came of it. For tests, for small
    jobs, and to see how much the others gain. It takes the options of the
    other backends, so that one can stand in for the other; most have
    nothing to act on here. An ``initializer`` is called once, now.
    """

    traits = Traits(parallel=False, resizable=False, cancellable=False)

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        observers: Iterable[Observer] = (),
        name: str = "",
        **options: Any,
    ) -> None:
        checked = Options(
            max_workers=1 if max_workers is None else max_workers,
            initializer=initializer,
            observers=tuple(observers),
            **options,
        )
        self.name = name or thread_name_prefix or f"serial-{next(_numbers)}"
        self.runtime = ThreadRuntime()
        self.observers = checked.observers
        self.lock = self.runtime.rlock()
        self._observers = (
            Observers(self.name, self.runtime, self.observers)
            if self.observers
            else None
        )
        self._closed = False
        self._wrap = checked.wrap
        self._ident = self.runtime.ident
        # What several threads can add to without a lock.
        self._succeeded = itertools.count()
        self._failed = itertools.count()
        self._cause: BaseException | None = None
        if initializer is not None:
            try:
                initializer(*initargs)
            except BaseException as cause:
                _log.critical(
                    "%s: initializer failed", self.name, exc_info=True
                )
                self._closed, self._cause = True, cause

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        if self._closed:
            raise self._refusal()
        if self._wrap is not None:
            fn = self._wrap(fn)
        future: Future[T] = Future(
            self, [(fn, args, kwargs or None, _copy_context())]
        )
        if self._observers is not None:
            self._observers.watch(future)
        ident = self._ident()
        outer = waiting.enter(ident, future)
        try:
            succeeded = future.run()
        finally:
            waiting.leave(ident, outer)
        next(self._succeeded if succeeded else self._failed)
        future.publish()
        try:
            if not succeeded and future.interrupted():
                future.result()  # Ctrl-C is the caller's as well
            return future
        finally:
            # A failure's frames lead back to this one.
            del future

    def _refusal(self) -> ExecutorBroken | ExecutorShutdown:
        if self._cause is None:
            return ExecutorShutdown(
                "cannot schedule new futures after shutdown"
            )
        error = ExecutorBroken(
            "cannot schedule new futures after its initializer failed"
        )
        error.__cause__ = self._cause
        return error

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._closed = True

    def stats(self) -> Stats:
        return Stats(
            max_workers=1,
            max_queue=0,
            succeeded=_reading(self._succeeded),
            failed=_reading(self._failed),
        )

    # What its futures ask. Nobody can see one before its call was made but
    # that call itself and other threads it tells; they wait, or deadlock.

    def cancelled(self, future: Future[Any]) -> None:
        """Never: the call is made before anybody has the future."""

    def released(self, future: Future[Any]) -> None:
        """Its call is made at once, or not at all."""

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        """Never: the call has begun before anybody has the future."""

    def starters(self) -> Collection[waiting.Party] | None:
        return None


def _reading(counter: itertools.count[int]) -> int:
    """How far it has come: its text says so without adding to it."""
    return int(repr(counter)[len("count(") : -1])
