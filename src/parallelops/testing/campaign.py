"""Run the explored tests of some files for hours.

``python -m parallelops.testing.campaign SCHEDULES PATH...`` runs as many
schedules in all, spread evenly over the tests that are decorated with
:func:`~parallelops.testing.explore`. It says how far it has come, keeps that
in a file, and goes on from there when it was stopped or killed. At the first
schedule that fails it stops, and says how to run that one again.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import inspect
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.runtime import ThreadRuntime
from parallelops.testing.exploring import SEED, Exploration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from parallelops.testing.exploring import Finding, Sim

__all__ = ["Campaign", "Scenario", "main", "scenarios_in"]

# Schedules after which it is another scenario's turn, and progress is kept.
CHUNK = 100
FOUND, INTERRUPTED = 1, 130


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """One explored test.

    Attributes:
        name: the file and the test, as pytest takes them.
        test: what to explore.
        exploration: how; the number of schedules does not count.
    """

    name: str
    test: Callable[[Sim], object]
    exploration: Exploration


def scenarios_in(paths: Iterable[Path]) -> list[Scenario]:
    """The explored tests of these files, and of ``test_*.py`` in folders.

    Raises:
        ValueError: there are none, or one that takes more than ``sim``.
    """
    found = []
    for path in paths:
        files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
        for file in files:
            for name, value in vars(_module(file)).items():
                exploration = getattr(value, "exploration", None)
                if not isinstance(exploration, Exploration):
                    continue
                if inspect.signature(value).parameters:
                    raise ValueError(
                        f"{file}::{name} takes more than sim, and nobody "
                        "here knows what to give it"
                    )
                found.append(
                    Scenario(f"{file}::{name}", value.__wrapped__, exploration)
                )
    if not found:
        raise ValueError("there are no explored tests in these files")
    return found


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Campaign:
    """Many schedules of several scenarios, taking turns.

    Args:
        scenarios: what to explore.
        schedules: how many in all. Each gets the same share.
        state: the file that says how far it has come. It is replaced as a
            whole after each turn, so that a kill costs one turn.

    Attributes:
        share: schedules of each scenario.
    """

    def __init__(
        self, scenarios: Sequence[Scenario], schedules: int, state: Path
    ) -> None:
        self.scenarios = scenarios
        self.share = -(-schedules // len(scenarios))
        self._state = state
        self._next = self._load()

    @property
    def total(self) -> int:
        """Schedules in all."""
        return self.share * len(self.scenarios)

    @property
    def done(self) -> int:
        """Those that have been run."""
        return sum(
            self._next[scenario.name] - scenario.exploration.seed
            for scenario in self.scenarios
        )

    def run(self) -> Iterator[tuple[Scenario, Finding | None]]:
        """Run them, one turn for each item: whose it was, what it found.

        The file is removed when all schedules have passed. A finding is the
        last item; its schedule is the first of the next time.
        """
        while left := [s for s in self.scenarios if self._left(s)]:
            for scenario in left:
                finding = self._turn(scenario)
                yield scenario, finding
                if finding is not None:
                    return
        self._state.unlink(missing_ok=True)

    def _turn(self, scenario: Scenario) -> Finding | None:
        seed = self._next[scenario.name]
        schedules = self._left(scenario)
        # The schedules of other strategies are a tree, and have no seeds to
        # go on from.
        if not scenario.exploration.strategy.startswith("bounded"):
            schedules = min(schedules, CHUNK)
        finding = dataclasses.replace(
            scenario.exploration, schedules=schedules, seed=seed
        ).find(scenario.test)
        following = seed + schedules if finding is None else finding.seed
        self._next[scenario.name] = max(seed, following)
        self._save()
        return finding

    def _left(self, scenario: Scenario) -> int:
        end = scenario.exploration.seed + self.share
        return max(end - self._next[scenario.name], 0)

    def _load(self) -> dict[str, int]:
        try:
            kept = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            kept = {}
        except ValueError as error:
            raise ValueError(
                f"{self._state} does not say how far it has come; remove it "
                "to begin anew"
            ) from error
        following = {}
        for scenario in self.scenarios:
            exploration = scenario.exploration
            place = kept.get(scenario.name, {})
            same = place.get("strategy") == exploration.strategy
            following[scenario.name] = (
                int(place["next_seed"]) if same else exploration.seed
            )
        return following

    def _save(self) -> None:
        places = {
            scenario.name: {
                "strategy": scenario.exploration.strategy,
                "next_seed": self._next[scenario.name],
            }
            for scenario in self.scenarios
        }
        self._state.parent.mkdir(parents=True, exist_ok=True)
        written = self._state.with_name(f"{self._state.name}.new")
        written.write_text(json.dumps(places, indent=1), encoding="utf-8")
        written.replace(self._state)


class _Progress:
    """Says how far it has come, and how long it will take."""

    def __init__(self, campaign: Campaign, every: float) -> None:
        self._campaign = campaign
        self._every = every
        self._now = ThreadRuntime().monotonic
        self._began = self._said = self._now()
        self._before = campaign.done

    def show(self, scenario: Scenario) -> None:
        """A turn has ended."""
        now = self._now()
        if now - self._said < self._every:
            return
        self._said = now
        done, total = self._campaign.done, self._campaign.total
        rate = (done - self._before) / max(now - self._began, 1e-9)
        left = (total - done) / max(rate, 1e-9)
        _say(
            f"{done:,} of {total:,} schedules, {rate:,.0f} a second, "
            f"{_duration(left)} left; {scenario.name}"
        )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and return its exit status.

    0: all passed; 1: one failed; 2: it can't be done; 130: interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m parallelops.testing.campaign",
        description="Run explored tests under many schedules.",
    )
    parser.add_argument("schedules", type=int, help="how many in all")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="files or folders"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".explore.json"),
        metavar="FILE",
        help="keeps how far it has come (default: %(default)s)",
    )
    parser.add_argument(
        "--every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="between two words about that (default: %(default)g)",
    )
    chosen = parser.parse_args(arguments)
    if chosen.schedules < 1:
        parser.error("schedules must be at least 1")
    if SEED in os.environ:
        parser.error(f"{SEED} is set, which has each test run one schedule")
    try:
        campaign = Campaign(
            scenarios_in(chosen.paths), chosen.schedules, chosen.state
        )
    except ValueError as error:
        parser.error(str(error))
    # What the tests have logged of what they have go wrong hides the rest.
    logging.getLogger().addHandler(logging.NullHandler())
    progress = _Progress(campaign, chosen.every)
    try:
        for scenario, finding in campaign.run():
            progress.show(scenario)
            if finding is not None:
                traceback.print_exception(finding.failure)
                _say(
                    f"{scenario.name} fails\n{finding}\nto run it again:\n"
                    f"  {SEED}={finding.seed} pytest {scenario.name}"
                )
                return FOUND
    except KeyboardInterrupt:
        _say(
            f"interrupted after {campaign.done:,} of {campaign.total:,} "
            "schedules; the same command goes on from there"
        )
        return INTERRUPTED
    _say(f"{campaign.total:,} schedules of {len(campaign.scenarios)} tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
