"""Who runs next: the strategies of the simulation."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["PCT", "Bounded", "RandomWalk", "Replay", "Strategy", "strategies"]


class Strategy(Protocol):
    """Decides a schedule, choice by choice.

    The same strategy gives the same schedule to the same program.
    """

    def choose(self, step: int, ready: Sequence[int], obvious: int) -> int:
        """Choose the thread that goes on.

        Args:
            step: the number of the choice, from 1.
            ready: the threads that can go on, by number, at least two.
            obvious: the one that runs, or else the oldest that can.
        """


class RandomWalk:
    """Switches at random; how often is random too, for each schedule."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a schedule
        self._often = self._random.choice((0.02, 0.1, 0.3, 0.6))

    def choose(self, step: int, ready: Sequence[int], obvious: int) -> int:
        """See :class:`Strategy`."""
        if self._random.random() >= self._often:
            return obvious
        return self._random.choice(ready)


class PCT:
    """Gives threads random priorities, and lowers the running one's at
    ``depth`` - 1 random steps.

    Finds a bug of that depth with a probability of at least one in the
    number of threads times the number of steps to the depth less one.
    (Burckhardt and others, "A randomized scheduler with probabilistic
    guarantees of finding bugs", ASPLOS 2010.)
    """

    def __init__(self, seed: int, depth: int = 3, steps: int = 200) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a schedule
        self._priorities: dict[int, float] = {}
        self._changes = {
            self._random.randint(1, steps): -float(change)
            for change in range(1, depth)
        }

    def choose(self, step: int, ready: Sequence[int], obvious: int) -> int:
        """See :class:`Strategy`."""
        for number in ready:
            if number not in self._priorities:
                self._priorities[number] = self._random.random()
        if step in self._changes:
            self._priorities[obvious] = self._changes[step]
        return max(
            ready, key=lambda number: (self._priorities[number], -number)
        )


class Replay:
    """Follows what was noted: at these steps these threads, else the obvious
    one.

    Args:
        switches: the numbers of threads by the number of the choice. One
            that cannot go on at its step is passed over.
    """

    def __init__(self, switches: Mapping[int, int]) -> None:
        self._switches = switches

    def choose(self, step: int, ready: Sequence[int], obvious: int) -> int:
        """See :class:`Strategy`."""
        number = self._switches.get(step, obvious)
        return number if number in ready else obvious


class Bounded:
    """One schedule of a tree, and what is needed to go on to the next.

    Args:
        path: at each choice up to its end the index of the one to take;
            from there on the first.
        most: how often at the most another thread than the running one is
            chosen although that could go on.
    """

    def __init__(self, path: Sequence[int], most: int) -> None:
        self._path = list(path)
        self._most = most
        self._preemptions = 0
        # For each choice made: the index taken, and how many there were.
        self._taken: list[tuple[int, int]] = []

    def choose(self, step: int, ready: Sequence[int], obvious: int) -> int:
        """See :class:`Strategy`."""
        others = [number for number in ready if number != obvious]
        options = [obvious]
        if self._preemptions < self._most:
            options += others
        index = self._path[step - 1] if step <= len(self._path) else 0
        self._taken.append((index, len(options)))
        chosen = options[index]
        self._preemptions += chosen != obvious
        return chosen

    def following(self) -> list[int] | None:
        """The path of the next schedule; None when this was the last."""
        taken = list(self._taken)
        while taken:
            index, number = taken.pop()
            if index + 1 < number:
                return [i for i, _ in taken] + [index + 1]
        return None


def strategies(
    name: str, schedules: int, seed: int
) -> Iterator[tuple[int, Strategy]]:
    """Seeds and strategies for so many schedules.

    Args:
        name: "random", "pct", or "bounded:K" for all schedules with at most
            K preemptions, which may be fewer than ``schedules``.
        schedules: how many, at the most.
        seed: the first of their seeds.

    Raises:
        ValueError: there is no such strategy.
    """
    kind, _, number = name.partition(":")
    if kind == "bounded":
        path: list[int] | None = []
        for index in range(schedules):
            if path is None:
                return
            bounded = Bounded(path, int(number or 2))
            yield index, bounded
            path = bounded.following()
    elif kind in ("random", "pct"):
        make = RandomWalk if kind == "random" else PCT
        for index in range(seed, seed + schedules):
            yield index, make(index)
    else:
        raise ValueError(
            f"there is no strategy {name!r}; there are random, pct and "
            "bounded:K"
        )
