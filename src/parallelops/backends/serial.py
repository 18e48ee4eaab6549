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
        self._running = 0
        self._succeeded = 0
        self._failed = 0
        self._cause: BaseException | None = None
        if initializer is not None:
            try:
                initializer(*initargs)
            except BaseException as cause:
                _log.critical("%s: initializer failed", name, exc_info=True)
                self._closed, self._cause = True, cause

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        if self._closed:
            raise self._refusal()
        future: Future[T] = Future(
            self, [args, kwargs or None, contextvars.copy_context(), fn]
        )
        if self._observers is not None:
            self._observers.watch(future)
        party = waiting.enter(self.runtime, future)
        try:
            succeeded = future.run()
        finally:
            waiting.leave(self.runtime, party)
        with self.lock:
            if succeeded:
                self._succeeded += 1
            else:
                self._failed += 1
        future.publish()
        if future.interrupted():
            future.result()  # Ctrl-C is the caller's as well
        try:
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
        with self.lock:
            return Stats(
                max_workers=1,
                max_queue=0,
                succeeded=self._succeeded,
                failed=self._failed,
            )

    # What its futures ask. Nobody can see one before its call was made but
    # that call itself and other threads it tells; they wait, or deadlock.

    def cancelled(self, future: Future[Any]) -> None:
        """Never: the call is made before anybody has the future."""

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        """Never: the call has begun before anybody has the future."""

    def starters(self) -> Collection[waiting.Party] | None:
        return None
