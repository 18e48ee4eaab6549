"""A scrub with slow deletes, against the ideal: all work, spread evenly."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

IMAGES = 320
DELAY = 0.05
WORKERS = 16
IDEAL = IMAGES * DELAY / WORKERS
GOAL = 1.10


def seconds(executor: str, folder: Path) -> float:
    """How long one scrub took, in a process of its own."""
    todo = {
        "folder": str(folder),
        "executor": executor,
        "workers": WORKERS,
        "images": IMAGES,
        "delay": DELAY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "parallelops.cli.rehearsal"],
        input=json.dumps(todo),
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert not result["failures"], result
    return float(result["seconds"])


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=5)
    print(
        f"{IMAGES} images, {DELAY * 1000:g} ms a delete, {WORKERS} workers: "
        f"the ideal is {IDEAL:g} s, the goal {GOAL:g} x that"
    )
    with tempfile.TemporaryDirectory() as folder:
        for executor in ("thread", "greenthread"):
            took = [
                seconds(executor, Path(folder, f"{executor}-{number}")) / IDEAL
                for number in range(rounds)
            ]
            print(
                f"{executor:<12} {statistics.median(took):.3f} x the ideal "
                f"({min(took):.3f} to {max(took):.3f})"
            )


if __name__ == "__main__":
    main()
