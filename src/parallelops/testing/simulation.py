"""A runtime in which a strategy decides who runs, and time is virtual.

Threads are real, but only the one that holds the baton runs. At each *seam*
(taking or releasing a lock, spawning, sleeping, ending) the strategy says
who holds it next; time stands still until all wait, and then jumps to where
the first of them goes on. So the same decisions give the same run, and a
wait of an hour takes no time.
"""

from __future__ import annotations

import _thread
import dataclasses
import gc
import sys
import traceback
from typing import TYPE_CHECKING

from parallelops.testing.preemption import seams_in
from parallelops.testing.simulated import (
    Over,
    SimulatedLock,
    SimulatedRuntime,
    SimulatedThread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops.testing.preemption import Granularity
    from parallelops.testing.schedules import Strategy

__all__ = [
    "Deadlock",
    "Endless",
    "Simulation",
    "SimulationFailure",
    "Stuck",
    "Switch",
]

# Seconds of real time without a step, after which a thread counts as stuck.
PATIENCE = 5.0


class SimulationFailure(AssertionError):
    """A schedule ended in a way that no schedule should."""


class Deadlock(SimulationFailure):
    """All threads wait, and none for the clock."""


class Endless(SimulationFailure):
    """The schedule went on for too many steps."""


class Stuck(SimulationFailure):
    """A thread blocked in something that is not the runtime's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Switch:
    """Another thread than the obvious one was chosen.

    The obvious one is the one that runs, or, if that cannot go on, the
    oldest that can.

    Attributes:
        step: the number of the choice, from 1.
        chosen: the number of the thread that was chosen.
        text: who gave the baton to whom, and where.
    """

    step: int
    chosen: int
    text: str


class Simulation:
    """One run of a function, and of all it spawns, under one schedule.

    Args:
        strategy: decides who runs.
        seed: for the runtime's random numbers.
        explain: note for each switch where it happened, which takes time.
        preempt: ends of names of files in which each line is a seam.
        by: or each "instruction".
        max_steps: seams after which the schedule counts as endless.

    Attributes:
        runtime: what the code under test gets its threads and locks from.
        now: the virtual time.
        current: the thread that holds the baton.
        over: the run has ended; whoever still waits is let out.
        steps: seams so far.
        switches: where another thread than the obvious one was chosen.
    """

    def __init__(
        self,
        strategy: Strategy,
        seed: int = 0,
        *,
        explain: bool = False,
        preempt: Collection[str] = (),
        by: Granularity = "line",
        max_steps: int = 100_000,
    ) -> None:
        self.runtime = SimulatedRuntime(self, seed)
        self.now = 0.0
        self.current: SimulatedThread | None = None
        self.over = False
        self.steps = 0
        self.switches: list[Switch] = []
        self._choices = 0
        self._explain = explain
        self._files = preempt
        self._by = by
        self._prepare: Callable[[], None] = _nothing
        self._strategy = strategy
        self._max_steps = max_steps
        self._threads: list[SimulatedThread] = []
        self._failure: BaseException | None = None
        self._ended = _thread.allocate_lock()
        self._left = 0

    # -- what the runtime does

    def spawn(
        self, target: Callable[[], object], name: str
    ) -> SimulatedThread:
        """Begin a thread; who runs next is as open as at any seam."""
        thread = self._begin(target, name)
        self.seam()
        return thread

    def seam(self) -> None:
        """Here another thread may go on."""
        me = self.current
        if me is None:
            return  # before the run, or after
        self._leave_if_over()
        self.steps += 1
        if self.steps > self._max_steps:
            self._fail(
                Endless(f"the schedule has not ended after {self.steps} steps")
            )
        chosen = self._choose(me)
        if chosen is not None and chosen is not me:
            self._pass_to(chosen, me)

    def block(
        self, awaited: SimulatedLock | SimulatedThread, timeout: float | None
    ) -> None:
        """Wait until :meth:`wake`, or for so many seconds."""
        me = self.current
        if me is None:
            raise RuntimeError("nobody can wait outside of the simulation")
        me.awaits = awaited
        me.until = None if timeout is None else self.now + max(timeout, 0)
        self._go_on(me)

    def sleep(self, seconds: float) -> None:
        """Wait for the clock."""
        self._leave_if_over()
        if self.current is not None:
            self.block(self.current, seconds)

    def wake(self, awaited: SimulatedLock | SimulatedThread) -> None:
        """Whoever waits for it may go on, and look again."""
        for thread in self._threads:
            if thread.awaits is awaited:
                thread.awaits = thread.until = None

    # -- the baton

    def run(self, target: Callable[[], object]) -> None:
        """Run it to its end, under the strategy; once for each simulation.

        Raises:
            SimulationFailure: it did not end well.
            BaseException: what ``target`` raised.
        """
        collecting = gc.isenabled()
        gc.disable()  # or finalizers would run when it pleases the collector
        self._ended.acquire()
        try:
            with seams_in(self._files, self._by, self.seam) as prepare:
                self._prepare = prepare
                first = self._begin(target, "main", main=True)
                self.current = first
                first.baton.release()
                self._watch()
        finally:
            if collecting:
                gc.enable()
        if self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        seen = -1
        while not self._ended.acquire(timeout=PATIENCE):
            if seen == self.steps and not self.over:
                current = self.current
                where = "".join(
                    traceback.format_stack(
                        sys._current_frames().get(current.native)
                    )
                    if current
                    else []
                )
                self._failure = Stuck(
                    f"{current and current.name} blocks in something that is "
                    f"not the runtime's:\n{where}"
                )
                self.over = True
                return
            seen = self.steps

    def _begin(
        self, target: Callable[[], object], name: str, main: bool = False
    ) -> SimulatedThread:
        thread = SimulatedThread(self, len(self._threads), name)
        self._threads.append(thread)
        self._left += 1

        prepare = self._prepare

        def body() -> None:
            thread.native = _thread.get_ident()
            thread.baton.acquire()
            try:
                if not self.over:
                    thread.began = True
                    prepare()
                    target()
            except Over:
                pass
            except BaseException as failure:
                if not self.over:
                    self._failure = failure
                    self.over = True
            self._end(thread, main)

        _thread.start_new_thread(body, ())
        return thread

    def _end(self, me: SimulatedThread, main: bool) -> None:
        me.ended = True
        self._left -= 1
        self.wake(me)
        if main:
            self.over = True  # what still waits is of no interest
        if self.over:
            self._let_out()
        else:
            self._go_on(me)

    def _let_out(self) -> None:
        """Have the next thread that waits leave; the last one says so."""
        for thread in self._threads:
            if not thread.ended:
                self.current = thread
                thread.baton.release()
                return
        self.current = None
        self._ended.release()

    def _go_on(self, me: SimulatedThread) -> None:
        """``me`` cannot go on now: give the baton to one that can."""
        while (chosen := self._choose(me)) is None:
            waiting = [t for t in self._threads if t.until is not None]
            if not waiting:
                self._fail(Deadlock(self._who_waits()))
                return
            # Nobody can run: time passes.
            self.now = max(self.now, min(t.until or 0.0 for t in waiting))
            for thread in waiting:
                if (thread.until or 0.0) <= self.now:
                    thread.awaits = thread.until = None
        if chosen is not me:
            self._pass_to(chosen, me)

    def _choose(self, me: SimulatedThread) -> SimulatedThread | None:
        """Who is to have the baton; None when nobody can go on."""
        ready = [t for t in self._threads if t.awaits is None and not t.ended]
        if len(ready) < 2:
            return ready[0] if ready else None
        self._choices += 1
        obvious = me if me in ready else ready[0]
        number = self._strategy.choose(
            self._choices, [t.number for t in ready], obvious.number
        )
        chosen = self._threads[number]
        if chosen is not obvious:
            self.switches.append(
                Switch(
                    self._choices,
                    number,
                    f"{me.name} at {me.place()} -> {chosen.name} at "
                    f"{chosen.place()}"
                    if self._explain
                    else "",
                )
            )
        return chosen

    def _pass_to(self, chosen: SimulatedThread, me: SimulatedThread) -> None:
        self.current = chosen
        chosen.baton.release()
        if not me.ended:
            me.baton.acquire()
            self._leave_if_over()

    def _leave_if_over(self) -> None:
        if self.over and self.current is not None:
            raise Over

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self.over = True
        me = self.current
        if me is not None and me.ended:
            self._let_out()
        else:
            raise Over

    def _who_waits(self) -> str:
        lines = ["all threads wait:"]
        for thread in self._threads:
            if thread.ended:
                continue
            awaited = thread.awaits
            whom = "nobody who could wake it"
            if isinstance(awaited, SimulatedThread):
                whom = f"the end of {awaited.name}"
            elif isinstance(awaited, SimulatedLock) and isinstance(
                awaited.holder, SimulatedThread
            ):
                whom = f"a lock that {awaited.holder.name} took"
            lines.append(
                f"  {thread.name} at {thread.place()} waits for {whom}"
            )
        return "\n".join(lines)


def _nothing() -> None:
    pass
