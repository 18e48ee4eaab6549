"""What the parts of the contract share."""

from __future__ import annotations

import contextlib
import gc
import logging
import unittest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelops.executor import Executor
    from parallelops.runtime import Event

__all__ = ["Gate", "Part", "log_of", "raised"]


class Part:
    """A part of the contract; the whole of it says how to make one.

    Attributes:
        limit: seconds after which a wait counts as a hang.
    """

    limit = 20.0

    def make(self, **options: Any) -> Executor:
        """Return a new executor of the kind under test.

        Args:
            options: those of :class:`~parallelops.backends.options.Options`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement make(**options)"
        )

    def needs(self, executor: Executor, *traits: str) -> None:
        """Skip the test when the executor does not claim these."""
        for trait in traits:
            if not getattr(executor.traits, trait):
                raise unittest.SkipTest(f"{executor.name} is not {trait}")

    @contextlib.contextmanager
    def executor(self, *traits: str, **options: Any) -> Iterator[Executor]:
        """One to test with; it must end in time, or the test fails."""
        executor = self.make(**options)
        try:
            self.needs(executor, *traits)
            yield executor
        finally:
            executor.shutdown(cancel_futures=True, timeout=self.limit)

    @contextlib.contextmanager
    def busy(self, executor: Executor, workers: int) -> Iterator[Gate]:
        """Keep so many workers busy in the ``with`` block, or until the
        gate is opened."""
        gate = Gate(executor, self.limit)
        futures = [executor.submit(gate.hold) for _ in range(workers)]
        try:
            gate.arrived(workers)
            yield gate
        finally:
            gate.open()
            executor.wait(futures, self.limit)

    def until(
        self, executor: Executor, condition: Callable[[], object]
    ) -> None:
        """Wait for what no event tells of."""
        end = executor.runtime.monotonic() + self.limit
        while not condition():
            assert executor.runtime.monotonic() < end, "it never came to pass"
            executor.runtime.sleep(0.001)


class Gate:
    """Holds the tasks that come to it, until it is opened."""

    def __init__(self, executor: Executor, limit: float) -> None:
        self._limit = limit
        self._runtime = executor.runtime
        self._changed = self._runtime.condition()
        self._opened: Event = self._runtime.event()
        self._held = 0

    def hold(self) -> None:
        """For a task: say that it has begun, and wait."""
        with self._changed:
            self._held += 1
            self._changed.notify_all()
        # Longer than any other wait, of which some are to see it held.
        assert self._opened.wait(3 * self._limit), "nobody opened the gate"

    def arrived(self, tasks: int) -> None:
        """Wait until so many have come."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._held >= tasks, self._limit
            )
        assert came, f"only {self._held} of {tasks} tasks began"

    def open(self) -> None:
        self._opened.set()


def raised(
    kind: type[BaseException], fn: Callable[..., object], *args: Any
) -> BaseException:
    """What ``fn(*args)`` raised, which must be of this kind."""
    try:
        result = fn(*args)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised, but {result!r}")


@contextlib.contextmanager
def log_of(logger: str) -> Iterator[list[logging.LogRecord]]:
    """The records of a logger, and of those below it."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The failure itself would keep its frames alive.
            record.exc_info = None
            records.append(record)

    handler = Keep()
    target = logging.getLogger(logger)
    level, target.propagate = target.level, False
    target.addHandler(handler)
    target.setLevel(logging.DEBUG)
    try:
        yield records
        gc.collect()
    finally:
        target.removeHandler(handler)
        target.setLevel(level)
        target.propagate = True
