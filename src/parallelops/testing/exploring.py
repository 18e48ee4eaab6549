"""Run a test under many schedules, and tell the shortest that fails."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from parallelops.backends.base import PoolExecutor
from parallelops.testing.schedules import Replay, strategies
from parallelops.testing.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from parallelops.runtime import Handle, Runtime
    from parallelops.testing.preemption import Granularity
    from parallelops.testing.schedules import Strategy

__all__ = ["Sim", "explore"]

SEED = "PARALLELOPS_SEED"
# How many schedules it may take to shorten one that failed.
_SHORTENING = 2000


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


def explore(
    schedules: int = 2000,
    strategy: str = "random",
    *,
    seed: int = 0,
    preempt: Collection[str] = (),
    by: Granularity = "line",
    max_steps: int = 100_000,
) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """Run a test under many schedules; for pytest and unittest.

    The test has an argument ``sim``, a :class:`Sim`. It is called for each
    schedule, so it has to begin anew each time. When it fails, that
    schedule is shortened to as few switches as still make it fail in the
    same way, and they are noted on the failure. The environment variable
    PARALLELOPS_SEED runs one schedule alone.

    Args:
        schedules: how many.
        strategy: "random"; "pct"; or "bounded:K", every schedule with at
            most K preemptions.
        seed: of the first schedule.
        preempt: ends of names of files in which threads may be switched at
            each line, and not only at locks.
        by: "line", or "instruction" for something finer yet.
        max_steps: after so many a schedule counts as endless.
    """

    def decorate(test: Callable[..., object]) -> Callable[..., None]:
        def once(
            strategy: Strategy,
            seed: int,
            explain: bool,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
        ) -> tuple[BaseException | None, Simulation]:
            simulation = Simulation(
                strategy,
                seed,
                explain=explain,
                preempt=preempt,
                by=by,
                max_steps=max_steps,
            )
            sim = Sim(simulation, seed)
            try:
                simulation.run(lambda: test(*args, sim=sim, **kwargs))
            except Exception as failure:
                return failure, simulation
            return None, simulation

        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for number, plan in _plans(strategy, schedules, seed):
                failure, simulation = once(plan, number, False, args, kwargs)
                if failure is None:
                    continue
                switches = {s.step: s.chosen for s in simulation.switches}

                def fails(
                    attempt: Mapping[int, int],
                    number: int = number,
                    failure: BaseException = failure,
                ) -> bool:
                    other, _ = once(
                        Replay(attempt), number, False, args, kwargs
                    )
                    return other is not None and _alike(other, failure)

                shortest = shortened(switches, fails)
                told, simulation = once(
                    Replay(shortest), number, True, args, kwargs
                )
                told = told or failure
                told.add_note(_report(number, simulation))
                raise told

        run.__signature__ = _without_sim(test)  # type: ignore[attr-defined]
        return run

    return decorate


def _plans(
    name: str, schedules: int, seed: int
) -> Iterator[tuple[int, Strategy]]:
    chosen = os.environ.get(SEED)
    if chosen is None:
        yield from strategies(name, schedules, seed)
        return
    if not re.fullmatch(r"\d+", chosen):
        raise ValueError(f"{SEED} must be a whole number, not {chosen!r}")
    for number, plan in strategies(
        name, sys.maxsize - seed, min(seed, int(chosen))
    ):
        if number == int(chosen):
            yield number, plan
            return


def _alike(one: BaseException, other: BaseException) -> bool:
    return type(one) is type(other)


def shortened(
    switches: dict[int, int], fails: Callable[[dict[int, int]], bool]
) -> dict[int, int]:
    """As few of ``switches`` as still fail.

    Leaves out ever smaller parts, the last ones first, since what comes
    later depends on what came before. (Zeller and Hildebrandt, "Simplifying
    and isolating failure-inducing input", 2002.)
    """
    left = _SHORTENING
    size = len(switches)
    while size:
        start = len(switches)
        while start > 0 and left:
            steps = sorted(switches)
            without = steps[: max(start - size, 0)] + steps[start:]
            attempt = {step: switches[step] for step in without}
            left -= 1
            if fails(attempt):
                switches = attempt
            start -= size
        size = min(size // 2, len(switches)) if size > 1 else 0
    return switches


def _report(seed: int, simulation: Simulation) -> str:
    lines = [
        f"in the schedule of seed {seed}; {SEED}={seed} runs it again",
        f"with {len(simulation.switches)} switches it fails as well:",
    ]
    lines += [f"  {switch.text}" for switch in simulation.switches]
    return "\n".join(lines)


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
