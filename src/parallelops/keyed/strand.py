"""A key as an executor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from parallelops.errors import ExecutorShutdown, ShutdownTimeout
from parallelops.executor import Executor, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from parallelops.futures import Future
    from parallelops.keyed.executor import KeyedExecutor

__all__ = ["Strand"]

T = TypeVar("T")
P = ParamSpec("P")


class Strand(Executor):
    """Runs one task at a time, in order, on a keyed executor.

    Args:
        keyed: whose operations the tasks are.
        key: and of which key.
    """

    def __init__(self, keyed: KeyedExecutor, key: Hashable) -> None:
        self._keyed = keyed
        self._key = key
        self._closed = False
        self.name = f"{keyed.name}[{key!r}]"
        self.runtime = keyed.runtime
        self.traits = dataclasses.replace(
            keyed.executor.traits,
            parallel=False,
            ordered=True,
            bounded=True,
            resizable=False,
        )

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        if self._closed:
            raise ExecutorShutdown(
                f"cannot schedule new futures after shutdown of {self.name}"
            )
        return self._keyed.submit(self._key, fn, *args, **kwargs)

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take nothing new, and wait for what the key has; others of the
        same key go on."""
        self._closed = True
        if cancel_futures:
            self._keyed.cancel_pending(self._key)
        if wait and not self._keyed.is_inside():
            try:
                self._keyed.drain(self._key, timeout)
            except TimeoutError as error:
                raise ShutdownTimeout(self.name, [str(error)]) from None

    def stats(self) -> Stats:
        """One look at its key."""
        running, queued = self._keyed.load(self._key)
        return Stats(
            max_workers=1,
            max_queue=self._keyed.max_pending_per_key - 1,
            running=running,
            queued=queued,
        )
