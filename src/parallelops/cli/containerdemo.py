"""``parallelops demo containers``: kill a conductor, and recover it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from parallelops.cli.conductor import requests
from parallelops.cli.table import table
from parallelops.errors import ParallelopsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["demonstrate", "lines"]

_LONGEST_LIFE = 60  # seconds


def demonstrate(
    folder: Path, containers: int, operations: int, workers: int
) -> dict[str, Any]:
    """Operate on containers, be killed half-way, recover, and look.

    Args:
        folder: where the containers and the journal are.
        containers: how many.
        operations: on all of them together.
        workers: how many are done at the same time.

    Returns:
        What came of it; the operations that were ``lost`` or ``doubled``
        are none.

    Raises:
        ParallelopsError: one of the lives failed.
    """
    if not sys.platform.startswith("linux"):
        raise ParallelopsError("the containers of this demo need Linux")
    (folder / "containers").mkdir()
    todo = json.dumps(
        {
            "folder": str(folder),
            "containers": containers,
            "operations": operations,
            "workers": workers,
        }
    )
    _life(todo, operations // 2)
    result: dict[str, Any] = json.loads(_life(todo, None))
    wanted = list(requests(containers, operations))
    executed = [
        name
        for log in (folder / "containers").glob("*.log")
        for name in log.read_text().split()
    ]
    finished = sum(
        result["states"][state]
        for state in ("succeeded", "failed", "cancelled")
    )
    result |= {
        "requested": len(wanted),
        "lost": len(wanted)
        - finished
        + sum(action == "exec" for _, action in wanted)
        - len(set(executed)),
        "doubled": len(executed) - len(set(executed)),
    }
    return result


def lines(result: dict[str, Any]) -> list[str]:
    """The same for people to read."""
    return table(
        ("WHAT", "OPERATIONS"),
        [
            ("requested", result["requested"]),
            ("in the journal when it was killed", result["left"]),
            ("  of those, done", result["done"]),
            ("  waited, and were done after it", result["queued"]),
            ("  had begun, and were done again", result["repeated"]),
            ("  had begun; the engine was asked", result["reconciling"]),
            ("  had begun; an operator looked", result["unknown"]),
            (
                "requested again, or for the first time",
                result["requested"] - result["left"],
            ),
            ("done in the end", result["states"]["succeeded"]),
            ("lost", result["lost"]),
            ("done twice that must not be", result["doubled"]),
        ],
    )


def _life(todo: str, dots: int | None) -> str:
    """One life, killed after so many dots; the last line of its output."""
    with subprocess.Popen(
        [sys.executable, "-m", "parallelops.cli.conductor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as life:
        if life.stdin is None or life.stdout is None:
            raise ParallelopsError("the conductor has no pipes")
        try:
            if dots is not None:
                life.stdin.write(todo)
                life.stdin.close()
                life.stdout.read(dots)
                return ""
            output, errors = life.communicate(todo, _LONGEST_LIFE)
        except subprocess.TimeoutExpired:
            raise ParallelopsError(
                f"the conductor has not ended in {_LONGEST_LIFE} s"
            ) from None
        finally:
            life.kill()
    if life.returncode:
        reason = (errors.strip().splitlines() or ["no output"])[-1]
        raise ParallelopsError(f"the conductor failed: {reason}")
    return output.rpartition("\n")[2]
