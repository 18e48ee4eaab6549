"""Which of several sources to use, when only using one tells how good it is.

A multi-armed bandit whose arms change: SW-MOSS of Lai Wei and Vaibhav
Srivastava, "Nonstationary Stochastic Multiarmed Bandits: UCB Policies and
Minimax Regret" (2021, arXiv:2101.08980). Of the last ``window`` rewards, all
in [0, 1], an arm's index is the mean of its own plus a bonus that shrinks
with their number. The arm with the greatest index is next.
"""

from __future__ import annotations

import dataclasses
import math

__all__ = ["EXPLORATION", "Arm", "indices"]

EXPLORATION = 0.6
"""The paper's eta. Its bound needs more than 1/2; more explores more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arm:
    """What the window has of one arm.

    Attributes:
        reward: the mean of its rewards, in [0, 1].
        count: how many there are; what is old may count for less than one.
        pending: how often it is in use now, with a reward still to come.
    """

    reward: float
    count: float
    pending: int = 0


def indices(arms: list[Arm], exploration: float = EXPLORATION) -> list[float]:
    """The index of each arm; infinite for one that was never used.

    Regret: over T rounds with K arms whose mean rewards change by V in all,
    the expected loss against always knowing the best arm is of the order of
    ``(K V)^(1/3) T^(2/3)``, with a window of ``K^(1/3) (T/V)^(2/3)``; no
    policy can do better by more than a constant. While the window is not
    full, what it has so far takes its place, as in MOSS-anytime (Degenne and
    Perchet 2016).
    """
    total = sum(arm.count + arm.pending for arm in arms)
    share = total / len(arms) if arms else 0.0
    return [_index(arm, share, exploration) for arm in arms]


def _index(arm: Arm, fair_share: float, exploration: float) -> float:
    count = arm.count + arm.pending
    if not count:
        return math.inf
    # Hoped for the best, until something is known.
    reward = arm.reward if arm.count else 1.0
    # One that had its share, and more, gets no bonus.
    surplus = max(math.log(fair_share / count), 0.0)
    return reward + math.sqrt(exploration * surplus / count)
