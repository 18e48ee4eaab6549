"""The threads, locks and clocks of a simulation."""

from __future__ import annotations

import _thread
import logging
import random
import sys
from typing import TYPE_CHECKING, Self

from parallelops.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from parallelops.runtime import Handle, Lock
    from parallelops.testing.simulation import Simulation

__all__ = ["Over", "SimulatedLock", "SimulatedRuntime", "SimulatedThread"]

EPOCH = 1_700_000_000.0
# Code that is not what the test is about.
_OURS = {
    __name__,
    "parallelops.synchronization",
    "parallelops.testing.exploring",
    "parallelops.testing.preemption",
    "parallelops.testing.simulation",
}


class Over(BaseException):
    """Takes a thread out of a simulation that has ended."""


# Tasks that were cut off are of no interest to whoever reads the log.
logging.getLogger("parallelops.unseen").addFilter(
    lambda record: (
        not (record.exc_info and isinstance(record.exc_info[1], Over))
    )
)


class SimulatedThread:
    """One simulated thread: a real one, and the lock that it waits on while
    it does not hold the baton."""

    def __init__(self, simulation: Simulation, number: int, name: str) -> None:
        self.simulation = simulation
        self.number = number
        self.name = name
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.native = 0
        self.began = self.ended = False
        # What it waits for, and until when on the virtual clock.
        self.awaits: SimulatedLock | SimulatedThread | None = None
        self.until: float | None = None

    def join(self, timeout: float | None = None) -> None:
        """Wait for it to end; a thread's own kind of wait."""
        simulation = self.simulation
        simulation.seam()
        if not self.ended and not simulation.over:
            simulation.block(self, timeout)

    def is_alive(self) -> bool:
        return not self.ended and not self.simulation.over

    def frame(self) -> FrameType | None:
        """Where it is, outside of this module and what it is made of."""
        frame = sys._current_frames().get(self.native)
        while frame is not None and _is_ours(frame):
            frame = frame.f_back
        return frame

    def place(self) -> str:
        """The same in words."""
        if self.ended:
            return "its end"
        frame = self.frame()
        if frame is None or not self.began:
            return "its beginning"
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") in _OURS


# Holds the locks that are taken before the run, or after.
_OUTSIDE = object()


class SimulatedLock:
    """A lock of the simulation. Whoever is chosen takes it: there is no
    line, so that every order that a real lock allows can come about."""

    __slots__ = ("_simulation", "holder")

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.holder: object = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        simulation = self._simulation
        simulation.seam()
        until = None if timeout < 0 else simulation.now + timeout
        while self.holder is not None and not simulation.over:
            if not blocking or (until is not None and simulation.now >= until):
                return False
            simulation.block(
                self, None if until is None else until - simulation.now
            )
        self.holder = simulation.current or _OUTSIDE
        return True

    def release(self) -> None:
        if self.holder is None:
            raise RuntimeError("release unlocked lock")
        self.holder = None
        self._simulation.wake(self)
        self._simulation.seam()

    def locked(self) -> bool:
        return self.holder is not None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class SimulatedRuntime(Runtime):
    """The runtime of a simulation; what it makes works only there."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)  # noqa: S311 - it is to be known
        self._simulation = simulation

    def spawn(self, target: Callable[[], object], *, name: str) -> Handle:
        return self._simulation.spawn(target, name)

    def ident(self) -> int:
        current = self._simulation.current
        return -current.number if current else 0

    def thread_name(self) -> str:
        current = self._simulation.current
        return current.name if current else "outside"

    def lock(self) -> Lock:
        return SimulatedLock(self._simulation)

    def monotonic(self) -> float:
        return self._simulation.now

    def time(self) -> float:
        return EPOCH + self._simulation.now

    def sleep(self, seconds: float) -> None:
        self._simulation.sleep(seconds)
