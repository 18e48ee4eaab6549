"""``parallelops demo``: scrub real files with every backend, and compare."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import plugins
from parallelops.cli import herddemo
from parallelops.cli.arguments import add_json, add_repeated, count, seconds
from parallelops.cli.table import print_table
from parallelops.errors import ParallelopsError
from parallelops.executor import Traits

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["add_to", "run"]

HEAD = (
    "EXECUTOR",
    "WORKERS",
    "IMAGES",
    "FAILURES",
    "SECONDS",
    "x SERIAL",
    "x IDEAL",
)


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "demo",
        help="scrub a folder of image files with every installed executor",
        usage="%(prog)s [images | containers | download] [option ...]",
        description="Scrub a folder of image files in two stores, one of "
        "them slow, on each installed executor. Or operate on containers, "
        "kill the conductor half-way, and recover. Or have agents download "
        "one image, each from the origin, and then in a swarm.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("images", "containers", "download"),
        default="images",
        metavar="what",
        help="images (the default), containers or download",
    )
    parser.add_argument(
        "--containers", type=count, default=50, metavar="N", help="default: 50"
    )
    parser.add_argument(
        "--operations",
        type=count,
        default=1000,
        metavar="N",
        help="on all containers; default: 1000",
    )
    parser.add_argument(
        "--images", type=count, default=240, metavar="N", help="default: 240"
    )
    parser.add_argument(
        "--workers", type=count, default=16, metavar="N", help="default: 16"
    )
    parser.add_argument(
        "--delay",
        type=seconds,
        default=0.02,
        metavar="SECONDS",
        help="for a delete in the slow store; default: 0.02",
    )
    add_repeated(parser, "--executor", "NAME", "only this one, and serial")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="work in this new folder, and keep it",
    )
    add_json(parser, "print JSON instead of a table")
    parser.set_defaults(run=run)
    herddemo.add_to(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; 1 when something was not scrubbed, or an operation lost."""
    if arguments.what == "download":
        return herddemo.run(arguments)
    if arguments.what == "containers":
        return _containers(arguments)
    rounds = [("serial", 1)]
    for name in arguments.executor or _working_executors():
        if name != "serial":
            plugins.executor_class(name)  # an error now rather than later
            rounds += [
                (name, workers) for workers in sorted({1, arguments.workers})
            ]
    results: list[dict[str, Any]] = []
    with _folder(arguments.keep) as folder:
        for name, workers in rounds:
            if sys.stderr.isatty():
                print(f"scrubbing: {name} x {workers} ...", file=sys.stderr)
            result = _scrub(folder, name, workers, arguments)
            deletes = math.ceil(arguments.images / workers) * arguments.delay
            took = result["seconds"]
            result["x_serial"] = (results or [result])[0]["seconds"] / took
            result["x_ideal"] = took / deletes if deletes else None
            results.append(result)
    rows = map(_row, results)
    print_table(results, HEAD, rows, as_json=arguments.json)
    return int(any(result["failures"] for result in results))


def _containers(arguments: argparse.Namespace) -> int:
    from parallelops.cli import containerdemo

    with _folder(arguments.keep) as folder:
        result = containerdemo.demonstrate(
            folder,
            arguments.containers,
            arguments.operations,
            arguments.workers,
        )
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(*containerdemo.lines(result), sep="\n")
    return int(bool(result["lost"] or result["doubled"]))


def _working_executors() -> list[str]:
    names = [p.name for p in plugins.executors() if p.error is None]
    # A scrub works with objects of its own process.
    return [
        name
        for name in names
        if getattr(
            plugins.executor_class(name), "traits", Traits()
        ).shared_memory
    ]


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir()
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="parallelops-demo-") as name:
        yield Path(name)


def _scrub(
    folder: Path, name: str, workers: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    # A process of its own for each: green threads need a patched one.
    rehearsal = {
        "folder": str(folder / f"{name}-{workers}"),
        "executor": name,
        "workers": workers,
        "images": arguments.images,
        "delay": arguments.delay,
    }
    done = subprocess.run(
        [sys.executable, "-m", "parallelops.cli.rehearsal"],
        input=json.dumps(rehearsal),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ParallelopsError(f"the scrub with {name} failed: {reason}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _row(result: dict[str, Any]) -> tuple[object, ...]:
    return (
        result["executor"],
        result["workers"],
        result["images"],
        result["failures"],
        result["seconds"],
        result["x_serial"],
        math.nan if result["x_ideal"] is None else result["x_ideal"],
    )
