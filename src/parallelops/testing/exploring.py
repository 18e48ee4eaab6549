"""Run a test under many schedules, and tell the shortest that fails."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import unittest
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from parallelops.backends.base import PoolExecutor
from parallelops.testing.schedules import Replay, strategies
from parallelops.testing.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from parallelops.runtime import Handle, Runtime
    from parallelops.testing.preemption import Granularity
    from parallelops.testing.schedules import Strategy
    from parallelops.testing.simulation import Switch

__all__ = ["Exploration", "Finding", "Sim", "explore"]

SEED = "PARALLELOPS_SEED"
# How many schedules it may take to shorten one that failed.
SHORTENING = 2000


class Sim:
    """What a test under exploration is given.

    Attributes:
        runtime: hand it to what is under test; see
            :class:`~parallelops.runtime.Runtime`.
        seed: of this schedule.
    """

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self.runtime: Runtime = simulation.runtime
        self.seed = seed

    def executor(self, max_workers: int = 2, **options: Any) -> PoolExecutor:
        """The library's own pool, on simulated threads.

        Args:
            max_workers: how many.
            options: see :class:`~parallelops.backends.options.Options`.
        """
        return PoolExecutor(self.runtime, max_workers, **options)

    def spawn(self, fn: Callable[..., object], *args: Any) -> Handle:
        """Start ``fn(*args)`` in a thread. What it raises fails the test."""
        return self.runtime.spawn(
            functools.partial(fn, *args),
            name=getattr(fn, "__name__", "thread"),
        )

    def together(self, *functions: Callable[[], object]) -> None:
        """Run each in a thread of its own, and wait for all."""
        for handle in [self.spawn(fn) for fn in functions]:
            handle.join()


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A schedule in which a test fails.

    Attributes:
        seed: of the schedule.
        switches: as few as are needed, and where they happen.
        failure: what the test raised under them.
    """

    seed: int
    switches: tuple[Switch, ...]
    failure: BaseException

    def __str__(self) -> str:
        head = (
            f"in the schedule of seed {self.seed}; {SEED}={self.seed} runs "
            f"it again\nwith {len(self.switches)} switches it fails as well:"
        )
        switches = (f"  {switch.text}" for switch in self.switches)
        return "\n".join((head, *switches))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """How to look for a schedule in which something fails.

    Attributes:
        schedules: how many to try.
        strategy: "random"; "pct"; or "bounded:K", every schedule with at
            most K preemptions.
        seed: of the first schedule.
        preempt: ends of names of files in which threads may be switched at
            each line, and not only at locks.
        by: "line", or "instruction" for something finer yet.
        max_steps: after so many a schedule counts as endless.
    """

    schedules: int = 2000
    strategy: str = "random"
    seed: int = 0
    preempt: Collection[str] = ()
    by: Granularity = "line"
    max_steps: int = 100_000

    def find(self, test: Callable[[Sim], object]) -> Finding | None:
        """The first schedule in which ``test`` fails, shortened.

        Args:
            test: called for each schedule; it has to begin anew each time.
        """
        for seed, plan in _plans(self):
            failure, switches = self.run(test, plan, seed)
            if failure is not None:
                return self._shorten(test, seed, failure, switches)
        return None

    def run(
        self,
        test: Callable[[Sim], object],
        plan: Strategy,
        seed: int,
        *,
        explain: bool = False,
    ) -> tuple[BaseException | None, tuple[Switch, ...]]:
        """Run one schedule; what it raised, and the switches it took."""
        simulation = Simulation(
            plan,
            seed,
            explain=explain,
            preempt=self.preempt,
            by=self.by,
            max_steps=self.max_steps,
        )
        sim = Sim(simulation, seed)
        failure: BaseException | None = None
        try:
            simulation.run(lambda: test(sim))
        except (KeyboardInterrupt, SystemExit, unittest.SkipTest):
            raise
        except BaseException as error:
            # Those of pytest are no Exceptions, failures and skips alike.
            if type(error).__name__ == "Skipped":
                raise
            failure = error
        return failure, tuple(simulation.switches)

    def replay(
        self,
        test: Callable[[Sim], object],
        seed: int,
        switches: Iterable[Switch],
        *,
        explain: bool = False,
    ) -> tuple[BaseException | None, tuple[Switch, ...]]:
        """Run the schedule that has these switches and no others."""
        plan = Replay({s.step: s.chosen for s in switches})
        return self.run(test, plan, seed, explain=explain)

    def _shorten(
        self,
        test: Callable[[Sim], object],
        seed: int,
        failure: BaseException,
        switches: tuple[Switch, ...],
    ) -> Finding:
        def fails(attempt: Sequence[Switch]) -> bool:
            other, _ = self.replay(test, seed, attempt)
            return type(other) is type(failure)

        shortest = shortened(switches, fails)
        told, switches = self.replay(test, seed, shortest, explain=True)
        return Finding(seed, switches, told or failure)


def explore(
    schedules: int = 2000, strategy: str = "random", **others: Any
) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """Run a test under many schedules; for pytest and unittest.

    The test has an argument ``sim``, a :class:`Sim`. When it fails, that
    schedule is shortened to as few switches as still make it fail in the
    same way, and they are noted on the failure. The environment variable
    PARALLELOPS_SEED runs one schedule alone.

    Args:
        schedules, strategy, others: see :class:`Exploration`.
    """
    exploration = Exploration(schedules=schedules, strategy=strategy, **others)

    def decorate(test: Callable[..., object]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            finding = exploration.find(
                lambda sim: test(*args, sim=sim, **kwargs)
            )
            if finding is not None:
                finding.failure.add_note(str(finding))
                raise finding.failure

        run.__signature__ = _without_sim(test)  # type: ignore[attr-defined]
        run.exploration = exploration  # type: ignore[attr-defined]
        return run

    return decorate


def _plans(exploration: Exploration) -> Iterator[tuple[int, Strategy]]:
    first, chosen = exploration.seed, os.environ.get(SEED)
    if chosen is None:
        yield from strategies(
            exploration.strategy, exploration.schedules, first
        )
        return
    if not re.fullmatch(r"\d+", chosen):
        raise ValueError(f"{SEED} must be a whole number, not {chosen!r}")
    first = min(first, int(chosen))
    for seed, plan in strategies(
        exploration.strategy, int(chosen) - first + 1, first
    ):
        if seed == int(chosen):
            yield seed, plan


def shortened(
    switches: Sequence[Switch], fails: Callable[[Sequence[Switch]], bool]
) -> Sequence[Switch]:
    """As few of ``switches`` as still fail.

    Leaves out ever smaller parts, the last ones first, since what comes
    later depends on what came before. (Zeller and Hildebrandt, "Simplifying
    and isolating failure-inducing input", 2002.)
    """
    if fails(()):
        return ()
    attempts = SHORTENING
    size = len(switches)
    while size and attempts:
        before = len(switches)
        end = before
        while end > 0 and attempts:
            attempt = (*switches[: max(end - size, 0)], *switches[end:])
            attempts -= 1
            if fails(attempt):
                switches = attempt
            end -= size
        # At the smallest size go on for as long as it helps.
        if size > 1:
            size //= 2
        elif len(switches) == before:
            break
    return switches


def _without_sim(test: Callable[..., object]) -> inspect.Signature:
    signature = inspect.signature(test)
    if "sim" not in signature.parameters:
        raise TypeError(f"{test.__qualname__} must have an argument 'sim'")
    return signature.replace(
        parameters=[
            parameter
            for name, parameter in signature.parameters.items()
            if name != "sim"
        ]
    )
