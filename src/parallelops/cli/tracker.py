"""``parallelops tracker``: tell those who want an image of each other."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import load_executor
from parallelops.cli.arguments import (
    add_repeated,
    count,
    listening,
    seconds,
)
from parallelops.cli.imageseed import add_ca_to, read_torrent
from parallelops.errors import ParallelopsError

if TYPE_CHECKING:
    import argparse

    from parallelops.download import Register, Tracker
    from parallelops.executor import Executor

__all__ = ["add_to", "run"]

_MOST_WAITING = 1 << 14


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "tracker",
        help="run a tracker",
        description="Run a tracker until it is interrupted. Its URL is "
        "printed first.",
    )
    parser.add_argument(
        "--listen",
        type=listening,
        default="0.0.0.0:6969",
        metavar="ADDRESS:PORT",
        help="default: 0.0.0.0:6969",
    )
    add_repeated(
        parser,
        "--torrent",
        "FILE",
        "serve this image and no others",
        kind=Path,
    )
    add_ca_to(parser)
    parser.add_argument(
        "--interval",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="between two announcements of one agent; default: 30",
    )
    parser.add_argument(
        "--fetchers",
        type=count,
        default=8,
        metavar="N",
        help="how many leases there are for an image; default: 8",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until it is interrupted."""
    from parallelops.download import Register

    allowed = [
        read_torrent(path, [], arguments.tls_ca).info_hash
        for path in arguments.torrent
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    room = _room()
    with load_executor("thread", max_workers=16, max_queue=room) as executor:
        register = Register(
            executor.runtime,
            allowed=allowed or None,
            interval=arguments.interval,
            places=arguments.fetchers,
        )
        with _tracker(executor, register, arguments.listen) as tracker:
            print(tracker.url, flush=True)
            tracker.serve()
    return 0


def _room() -> int:
    """How many requests may wait: each is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 2 * _MOST_WAITING
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    files = max(files, soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return min(_MOST_WAITING, files // 2)


def _tracker(executor: Executor, register: Register, listen: str) -> Tracker:
    from parallelops.download import Tracker

    try:
        return Tracker(executor, register, listen)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParallelopsError(
            f"cannot listen at {listen}: {reason}; choose another address "
            f"or port with --listen"
        ) from error
