"""What was observed of one source, and what that says."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Observation", "Source", "add", "mean", "pause", "rewards", "weigh"]

# Failures in a row that are less likely than this, by what was before, are
# a change: what was before says nothing now.
_CHANGE = 0.001
# Seconds until a source that only fails is tried again; it begins with two,
# and each failure doubles them.
_LONGEST_PAUSE = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """One measurement of a source.

    Attributes:
        number: later ones have greater numbers.
        at: when, on the monotonic clock.
        speed: bytes a second; 0 for a failure.
        first_byte: seconds until the first byte; None if nobody measured.
    """

    number: int
    at: float
    speed: float
    first_byte: float | None = None


@dataclasses.dataclass(slots=True)
class Source:
    """What is known of one source.

    Attributes:
        observations: the last ones, the oldest first.
        pending: how often it is in use now.
        failures: how many of the last ones failed, in a row.
    """

    observations: collections.deque[Observation]
    pending: int = 0
    failures: int = 0


def add(source: Source, observation: Observation) -> None:
    """Add the next one, and drop what no longer says anything.

    More failures in a row than chance explains are a change, and so is the
    success that ends them.
    """
    observations = source.observations
    if observation.speed:
        if source.failures == len(observations):
            observations.clear()  # nothing but failures: it is back
        source.failures = 0
        observations.append(observation)
        return
    observations.append(observation)
    source.failures = min(source.failures + 1, len(observations))
    before = len(observations) - source.failures
    failed = sum(not o.speed for o in observations) - source.failures
    # By Laplace's rule of succession, each after those before it.
    chance = math.prod(
        (failed + 1 + n) / (before + 2 + n) for n in range(source.failures)
    )
    if before and chance < _CHANGE:
        for _ in range(before):
            observations.popleft()


def pause(failures: list[Observation], pending: int, now: float) -> float:
    """The index of a source that only fails: first once its pause is over,
    and last until then."""
    seconds = min(2.0 ** min(len(failures), 64), _LONGEST_PAUSE)
    left = failures[-1].at + seconds - now
    return math.inf if left <= 0 and not pending else min(-left, 0.0) - 1.0


def rewards(
    sources: list[list[tuple[float, float]]],
) -> list[tuple[float, float]]:
    """The mean reward of each source, and from how many.

    Args:
        sources: weights and speeds.
    """
    # Of those that did not fail: a failure makes nothing slower.
    means = [mean([pair for pair in each if pair[1]]) for each in sources]
    best = max((mean for mean, _ in means), default=0.0) or 1.0
    found = []
    for each in sources:
        gained, whole = 0.0, 0.0
        for weight, speed in each:
            whole += weight
            gained += weight * speed if speed < best else weight * best
        found.append((gained / best / whole if whole else 0.0, whole))
    return found


def weigh(
    observations: Sequence[Observation], now: float, half_life: float
) -> list[tuple[float, float]]:
    """For how much each counts, and its speed; at ``half_life``, half."""
    return [(2.0 ** ((o.at - now) / half_life), o.speed) for o in observations]


def mean(weighed: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The mean, and the weight of all."""
    whole = sum(weight for weight, _ in weighed)
    if not whole:
        return 0.0, 0.0
    return sum(weight * value for weight, value in weighed) / whole, whole
