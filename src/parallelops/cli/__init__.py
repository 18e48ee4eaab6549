"""The command line: ``parallelops COMMAND``.

One module a command. Each has ``add_to(subparsers)``, which says what the
command takes, and ``run(arguments)``, which returns the exit status: 0 for
done, 1 for not all done. Errors that a user can mend end in one line.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import parallelops
from parallelops.cli import (
    demo,
    executors,
    image,
    operations,
    scrub,
    swarm,
    tracker,
)
from parallelops.errors import ParallelopsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: those after the name of the program; None takes the
            process's own.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain
        # when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ParallelopsError, OSError) as error:
        text = " ".join(str(error).split())
        print(f"{parser.prog}: error: {text}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parallelops",
        description="Executors, and the jobs they drive.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {parallelops.__version__}",
    )
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands"
    )
    for command in (
        demo,
        scrub,
        image,
        swarm,
        tracker,
        executors,
        operations,
    ):
        command.add_to(commands)
    return parser
