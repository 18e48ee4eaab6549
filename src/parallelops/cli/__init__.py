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

__all__ = ["build_parser", "main"]

# As a shell has it of one that a signal ended: SIGINT, SIGPIPE.
INTERRUPTED = 130
UNREAD = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: those after the name of the program; None takes the
            process's own.
    """
    _open_streams()
    parser = build_parser()
    try:
        try:
            chosen = parser.parse_args(arguments)
            status: int = chosen.run(chosen)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain
        # when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (ParallelopsError, OSError) as error:
        print(f"{parser.prog}: error: {_in_a_line(error)}", file=sys.stderr)
        return 1
    return status


def _open_streams() -> None:
    """See that there are standard streams, if the process got none.

    Else the first file that is opened would be one of them, and what is
    printed would go there.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115,PTH123


def _in_a_line(error: ParallelopsError | OSError) -> str:
    text = str(error)
    match error:
        case ParallelopsError():
            pass
        case OSError(filename=str(file), strerror=str(reason)):
            text = f"{file}: {reason}"  # without Python's number of it
    return " ".join(text.split())


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands, which completion and manual are made
    from as well."""
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
