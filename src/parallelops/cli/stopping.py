"""Being told to stop: once to come to an end, twice to break off."""

from __future__ import annotations

import math
import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType

    from parallelops.runtime import Runtime

__all__ = ["StopSignal"]

_LOOK = 1.0  # seconds


class StopSignal:
    """An event that SIGTERM and SIGINT set, in a ``with`` block.

    The second signal is a KeyboardInterrupt. It is no event of a runtime:
    the handler may interrupt whoever holds the lock of one.

    Attributes:
        number: of the signal that came; 0 before.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.number = 0
        self._runtime = runtime
        self._lock = runtime.lock()
        self._lock.acquire()
        self._before: dict[int, object] = {}

    def is_set(self) -> bool:
        """Whether one came."""
        return self.number != 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for one; whether it came in time."""
        now = self._runtime.monotonic
        end = math.inf if timeout is None else now() + timeout
        while not self.number and (left := end - now()) > 0:
            # Again and again: on green threads a signal wakes nobody.
            if self._lock.acquire(timeout=min(left, _LOOK)):
                self._lock.release()
        return self.is_set()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        self._lock.release()

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
