"""Write the shells' completions and the manual page from the parser.

    python make.py FOLDER

``nox -s share`` has it write into this folder; a wheel takes them along.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import shtab
from argparse_manpage.manpage import Manpage

import parallelops
from parallelops.cli import build_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where shells and man look below each prefix, as bin and share are.
COMPLETIONS = {
    "bash": "bash-completion/completions/parallelops",
    "zsh": "zsh/site-functions/_parallelops",
}
MANUAL = "man/man1/parallelops.1"


def actions_of(
    parser: argparse.ArgumentParser,
) -> Iterator[argparse.Action]:
    """All arguments, those of the commands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions_of(command)
        else:
            yield action


def main(folder: Path) -> None:
    """Write all of them."""
    os.environ["COLUMNS"] = "80"  # else usage is as wide as the terminal
    parser = build_parser()
    for action in actions_of(parser):
        if action.type is Path or action.metavar in ("FILE", "FOLDER"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    manual = Manpage(
        parser,
        {
            "project_name": "parallelops",
            "version": parallelops.__version__,
            "manual_title": "User Commands",
            "description": "executors, and the jobs they drive",
        },
    )
    manual.date = ""  # the same whenever it is made
    texts = {MANUAL: str(manual)}
    for shell, name in COMPLETIONS.items():
        texts[name] = shtab.complete(parser, shell=shell)
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = (line.rstrip() for line in text.splitlines())
        file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
