"""Waiting for many futures, the way a runtime's threads wait."""

from __future__ import annotations

import collections
import contextlib
from concurrent.futures import _base as _std
from typing import TYPE_CHECKING, Any, Self

from parallelops import waiting
from parallelops.futures import DONE, FINISHED
from parallelops.synchronization import at_most
from parallelops.watchers import wake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parallelops.futures import AnyFuture
    from parallelops.runtime import Runtime

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "as_completed",
    "wait",
]

ALL_COMPLETED = _std.ALL_COMPLETED
FIRST_COMPLETED = _std.FIRST_COMPLETED
FIRST_EXCEPTION = _std.FIRST_EXCEPTION


def _cannot_fail(future: AnyFuture) -> bool:
    return future._state in DONE and future._exception is None


class _Watch:
    """Sees futures finish, in a ``with`` block; one thread waits on it.

    It is a waiter as the standard library's futures know them, so it takes
    those as well.

    Attributes:
        finished: the futures that have finished and were not yet taken.
    """

    def __init__(
        self,
        futures: dict[AnyFuture, None],
        runtime: Runtime,
        need: int,
        *,
        until_failure: bool = False,
    ) -> None:
        self.finished: collections.deque[AnyFuture] = collections.deque()
        self._futures = futures
        self._runtime = runtime
        self._need = need
        self._until_failure = until_failure
        self._failed = False
        self._wary = False
        self._permit = runtime.lock()
        self._permit.acquire()

    def __enter__(self) -> Self:
        for future in self._futures:
            with future._condition:
                if future._state not in DONE:
                    future._waiters.append(self)  # type: ignore[arg-type]
                    continue
            if future._state == FINISHED and future._exception is not None:
                self.add_exception(future)
            else:
                self.add_result(future)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for future in self._futures:
            self._leave(future)

    def _leave(self, future: AnyFuture) -> None:
        with future._condition, contextlib.suppress(ValueError):
            future._waiters.remove(self)  # type: ignore[arg-type]

    def add_result(self, future: AnyFuture) -> None:
        self.finished.append(future)
        if self._is_over() or self._wary:
            wake(self._permit)

    add_cancelled = add_result

    def add_exception(self, future: AnyFuture) -> None:
        self._failed = self._until_failure
        self.add_result(future)

    def _is_over(self) -> bool:
        return self._failed or len(self.finished) >= self._need

    def take(self) -> AnyFuture:
        """One of those that have finished, to be watched no more."""
        future = self.finished.popleft()
        del self._futures[future]
        self._leave(future)
        return future

    def wait(self, timeout: float | None) -> bool:
        """Until as many have finished as are needed; False if time is up."""
        party = waiting.party_of(self._runtime)
        if party is not None and (timeout is None or timeout > 0):
            timeout = self._help(party, timeout)
        if party is None or timeout is not None or self._is_over():
            return self._permit.acquire(timeout=at_most(timeout))
        # With one failure less to hope for, this may be a deadlock.
        self._wary = self._until_failure
        # Others look at the futures as well, so it is a copy.
        futures = tuple(self._futures)
        while not self._is_over():
            waiting.wait_for_futures(
                party, self._permit, futures, self._is_enough
            )
        return True

    def _help(
        self, party: waiting.Party, timeout: float | None
    ) -> float | None:
        """Run what the party would wait for; return the time that is left."""
        monotonic = self._runtime.monotonic
        end = None if timeout is None else monotonic() + timeout
        for future in self._futures:
            if self._is_over() or (end is not None and monotonic() >= end):
                break
            owner: waiting.Owner | None = getattr(future, "_owner", None)
            if owner is not None and not future.done():
                owner.help(future, party, timeout)  # type: ignore[arg-type]
        return None if end is None else end - monotonic()

    def _is_enough(self, finished: list[AnyFuture]) -> bool:
        if len(finished) >= self._need:
            return True
        return self._until_failure and not all(map(_cannot_fail, finished))


def wait(
    futures: Iterable[AnyFuture],
    runtime: Runtime,
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
) -> _std.DoneAndNotDoneFutures[Any]:
    """Wait as ``runtime``'s threads do; see ``Executor.wait``."""
    # Not a set: what is asked first is to be the same in each run.
    todo = dict.fromkeys(futures)
    if return_when not in (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION):
        raise ValueError(f"invalid return condition: {return_when!r}")
    need = min(len(todo), 1 if return_when == FIRST_COMPLETED else len(todo))
    if need:
        with _Watch(
            todo,
            runtime,
            need,
            until_failure=return_when == FIRST_EXCEPTION,
        ) as watch:
            watch.wait(timeout)
    done = {future for future in todo if future.done()}
    return _std.DoneAndNotDoneFutures(done, todo.keys() - done)


def as_completed(
    futures: Iterable[AnyFuture],
    runtime: Runtime,
    timeout: float | None = None,
) -> Iterator[AnyFuture]:
    """Yield as they finish; see ``Executor.as_completed``."""
    end = None if timeout is None else runtime.monotonic() + timeout
    todo = dict.fromkeys(futures)
    total = len(todo)
    with _Watch(todo, runtime, 1) as watch:
        while todo:
            if not watch.finished:
                left = None if end is None else end - runtime.monotonic()
                if not watch.wait(left) and not watch.finished:
                    raise TimeoutError(
                        f"{len(todo)} (of {total}) futures unfinished"
                    )
                continue
            # Nothing here is to hold it while the caller has it.
            yield watch.take()
