"""PoolExecutor: the executor's face of a pool. A backend adds its runtime."""

from __future__ import annotations

import atexit
import contextvars
import itertools
import logging
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from parallelops.backends.intake import PoolIntake
from parallelops.backends.options import Options, check_max_workers
from parallelops.backends.pool import Pool
from parallelops.errors import ShutdownTimeout
from parallelops.executor import Executor, Stats, Traits
from parallelops.futures import Future

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.events import Observer
    from parallelops.intake import Book, Call, Intake
    from parallelops.runtime import Runtime

__all__ = ["PoolExecutor"]

T = TypeVar("T")
P = ParamSpec("P")

_log = logging.getLogger(__name__)
_copy_context = contextvars.copy_context
_numbers = itertools.count()
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class PoolExecutor(Executor):
    """An executor with a pool of workers on a given runtime.

    Args:
        runtime: where its threads come from.
        others: see :class:`~parallelops.backends.options.Options`.
    """

    traits = Traits()

    def __init__(
        self,
        runtime: Runtime,
        max_workers: int,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        observers: Iterable[Observer] = (),
        **others: Any,
    ) -> None:
        options = Options(
            max_workers=max_workers,
            thread_name_prefix=thread_name_prefix,
            initializer=initializer,
            initargs=initargs,
            observers=tuple(observers),
            **others,
        )
        self.runtime = runtime
        self.observers = options.observers
        self.name = (
            options.name
            or thread_name_prefix
            or f"{type(self).__name__}-{next(_numbers)}"
        )
        self._pool = Pool(runtime, self.name, options)
        _pools.add(self._pool)

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        pool = self._pool
        if pool.closed:
            raise pool.refuse()
        if pool.wrap is not None:
            fn = pool.wrap(fn)
        here = False
        try:
            pool.admission.slots.take()
        except IndexError:
            here = not pool.admission.overflow()
        future: Future[T] = Future(
            pool, [(fn, args, kwargs or None, _copy_context())]
        )
        if pool.observers:
            pool.observers.watch(future)
        if here:
            try:
                pool.run_here(future)
                return future
            finally:
                # A failure's frames lead back to this one.
                del future
        try:
            pool.ready.append(future)
            if pool.idle:
                pool.wake_or_hire()
            elif pool.seats.left:
                pool.hire()
            # Look only now: workers empty the queue after they see this.
            if pool.closed:
                raise pool.refuse()
        except BaseException as error:
            # What has begun is accepted; but an interrupt is never lost.
            if pool.take_back(future) or not isinstance(error, Exception):
                raise
        return future

    def intake(self, book: Book) -> Intake:
        bind = None if self._pool.wrap is None else self._bind
        return PoolIntake(self, self._pool, book, bind)

    def _bind(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Call:
        pool = self._pool
        if pool.closed:
            raise pool.refuse()
        return (fn if pool.wrap is None else pool.wrap(fn)), args, kwargs

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._pool.close()
        if cancel_futures:
            self._pool.cancel_ready()
        if wait:
            self._pool.join(timeout)

    def resize(self, max_workers: int) -> None:
        check_max_workers(max_workers)
        self._pool.resize(max_workers)

    def stats(self) -> Stats:
        return self._pool.stats()

    def __del__(self) -> None:
        # What was accepted is still done; then the workers end. When the
        # interpreter ends, that has been seen to.
        pool = getattr(self, "_pool", None)
        if pool is not None and not sys.is_finalizing():
            pool.close("its executor was dropped")

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<{type(self).__name__} {self.name!r} "
            f"{stats.running} of {stats.max_workers} running, "
            f"{stats.queued} queued>"
        )


@atexit.register
def _finish_at_exit() -> None:
    """Do what was accepted; name what does not end."""
    pools = list(_pools)
    for pool in pools:
        pool.close("interpreter shutdown")
    for pool in pools:
        try:
            pool.join(pool.options.exit_timeout)
        except ShutdownTimeout as error:
            _log.error("leaving at interpreter exit: %s", error)


def _reset_after_fork() -> None:
    for pool in list(_pools):
        pool.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)
