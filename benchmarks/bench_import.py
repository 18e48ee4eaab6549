"""What importing parallelops costs over a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import harness

GOAL = 60  # ms


def milliseconds(code: str) -> float:
    """How long a fresh interpreter takes to run ``code`` and end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
    return (time.perf_counter() - begin) * 1e3


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=21)
    milliseconds("import parallelops")  # so that it is compiled
    pairs = harness.interleave(
        lambda: milliseconds("pass"),
        lambda: milliseconds("import parallelops"),
        rounds,
    )
    extra = statistics.median(ours - bare for bare, ours in pairs)
    bare = statistics.median(bare for bare, _ in pairs)
    print(
        f"import parallelops: {extra:.1f} ms over the {bare:.1f} ms of a "
        f"bare interpreter (goal: under {GOAL} ms)"
    )


if __name__ == "__main__":
    main()
