"""``parallelops demo download``: one image to many agents, three ways."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.cli.arguments import count
from parallelops.cli.table import print_table
from parallelops.errors import ParallelopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["add_to", "run"]

HEAD = ("WAY", "AGENTS", "SECONDS", "x IDEAL", "ORIGIN MB", "x IMAGE")
_MB = 1_000_000
_WAYS = {
    "origin": "each from the origin",
    "web-seed": "web seed on each",
    "swarm": "in a swarm",
}


def add_to(parser: Any) -> None:
    """Add what the demonstration takes to the parser of ``demo``."""
    parser.add_argument(
        "--agents",
        type=count,
        default=8,
        metavar="N",
        help="that download; default: 8",
    )
    parser.add_argument(
        "--size",
        type=count,
        default=24,
        metavar="MB",
        help="of the image they download; default: 24",
    )
    parser.add_argument(
        "--rate",
        type=count,
        default=8,
        metavar="MB",
        help="a second, what the origin sends in all; default: 8",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="parallelops-demo-") as name:
        folder = Path(name)
        image = folder / "image"
        image.write_bytes(os.urandom(arguments.size * _MB))
        results = [_herd(folder, image, way, arguments) for way in _WAYS]
    rows = [
        (
            _WAYS[result["way"]],
            result["agents"],
            result["seconds"],
            result["x_ideal"],
            result["origin_bytes"] / _MB,
            result["x_image"],
        )
        for result in results
    ]
    print_table(results, HEAD, rows, as_json=arguments.json)
    return 0


def _herd(
    folder: Path, image: Path, way: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    if sys.stderr.isatty():
        print(f"downloading: {way} ...", file=sys.stderr)
    size = image.stat().st_size
    rate = arguments.rate * _MB
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(
            _process(
                "parallelops.cli.localorigin",
                *(str(image), "127.0.0.1:0", str(rate)),
            )
        )
        url, digest = _line(origin), _digest(image)
        common = ["image", "get", "--json", "--url", url, "--digest", digest]
        torrent = folder / "image.torrent"
        if way != "origin":
            tracker = stack.enter_context(
                _process("parallelops", "tracker", "--listen", "127.0.0.1:0")
            )
            _torrent(image, torrent, _line(tracker))
            common += ["--torrent", str(torrent), "--seed-for", "600"]

        def agent(number: int) -> subprocess.Popen[str]:
            to = str(folder / f"{way}-{number}")
            listen = f"127.0.1.{number % 250 + 1}:0"
            command = ["parallelops", *common, "--out", to, "--listen", listen]
            if way == "web-seed":
                command = ["parallelops.cli.webseedagent", url]
                command += [str(torrent), digest, to, listen]
            return stack.enter_context(_process(*command))

        agents = [agent(number) for number in range(arguments.agents)]
        said = [agent.stdout.readline() for agent in agents if agent.stdout]
        if not all(said):
            failed = agents[said.index("")]
            raise ParallelopsError(f"an agent failed: {_last_words(failed)}")
        assert origin.stdin is not None  # noqa: S101 - for types
        origin.stdin.close()
        sent = int(_line(origin))
    seconds = max(json.loads(line)["seconds"] for line in said)
    return {
        "way": way,
        "agents": len(agents),
        "seconds": seconds,
        "x_ideal": seconds / (size / rate),
        "origin_bytes": sent,
        "x_image": sent / size,
    }


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line:
        raise ParallelopsError(f"the demo failed: {_last_words(process)}")
    return line


def _last_words(process: subprocess.Popen[str]) -> str:
    """What a process that has ended said at last, without its name."""
    _, errors = process.communicate()
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    return last.removeprefix("parallelops: error: ")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        made = hashlib.file_digest(file, "sha512")
    return f"sha512:{made.hexdigest()}"


def _torrent(image: Path, path: Path, tracker: str) -> None:
    from parallelops.download import TorrentWriter

    writer = TorrentWriter(image.stat().st_size)
    writer.update(image.read_bytes())
    path.write_bytes(writer.finish([tracker]).dump())
