"""Compare two ways of doing the same thing on a machine that is never quiet.

Both sides take part in each round, in turn the first of the two, and what
counts is the median over the rounds: of each side, and of the ratio of the
two, with the quartiles of the ratios. Trust the ratio; the rest depends on
the machine.

Where the environment variable ``PARALLELOPS_BENCH`` names a file, each
comparison is added to it as a line of JSON, for
``docs/pictures/ratios.py`` to draw.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

# One round of one side. It returns a cost: less is better.
Round = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two sides of one thing.

    Attributes:
        what: what both do.
        unit: of the costs, for people to read.
        other: the name of the other side.
        theirs: one round of the other side.
        ours: one round of our side.
    """

    what: str
    unit: str
    other: str
    theirs: Round
    ours: Round


def interleave(
    first: Round, second: Round, rounds: int
) -> list[tuple[float, float]]:
    """The costs of both, a pair for each round."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            cost = _alone(second)
            pairs.append((_alone(first), cost))
        else:
            cost = _alone(first)
            pairs.append((cost, _alone(second)))
    return pairs


def _alone(side: Round) -> float:
    # What the other side left behind is not this one's to clear away.
    gc.collect()
    return side()


def rounds_wanted(description: str | None, default: int) -> int:
    """The number of rounds, which the command line may say."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=default)
    return max(1, parser.parse_args().rounds)


def report(comparisons: Sequence[Comparison], rounds: int) -> None:
    """Run all comparisons, and print a table as it fills.

    Beside the median of the ratios are their quartiles.
    """
    line = "{:<36} {:>9} {:>9} {:>9} {:>15}   {}"
    print(line.format("", "theirs", "ours", "ratio", "", "theirs is"))
    for comparison in comparisons:
        pairs = interleave(comparison.theirs, comparison.ours, rounds)
        theirs = statistics.median(their for their, _ in pairs)
        ours = statistics.median(our for _, our in pairs)
        ratios = [their / our for their, our in pairs]
        low, ratio, high = quartiles(ratios)
        print(
            line.format(
                f"{comparison.what}, {comparison.unit}",
                f"{theirs:,.2f}",
                f"{ours:,.2f}",
                f"{ratio:.2f} x",
                f"{low:.2f} to {high:.2f}",
                comparison.other,
            ),
            flush=True,
        )
        keep(
            {
                "what": comparison.what,
                "unit": comparison.unit,
                "other": comparison.other,
                "theirs": theirs,
                "ours": ours,
                "ratio": ratio,
                "low": low,
                "high": high,
                "rounds": len(pairs),
            }
        )


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper one."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def keep(result: dict[str, object]) -> None:
    """Add a result to the file that the environment names, if it does."""
    file = os.environ.get("PARALLELOPS_BENCH")
    if file:
        with Path(file).open("a") as lines:
            lines.write(json.dumps(result) + "\n")
