"""Help that fits a screen: what few need is told by ``--help-all``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["Rare", "add_help"]


class _Help(argparse.Action):
    """Prints the help without what is rare; that is its ``const``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        for group in self.const:
            group.hide()
        parser.print_help()
        parser.exit()


class Rare:
    """A group of options that ``--help`` leaves out.

    Args:
        parser: of the command; see ``add_help``.
        title: of the group.
    """

    def __init__(self, parser: argparse.ArgumentParser, title: str) -> None:
        self._group = parser.add_argument_group(title)
        self._actions: list[argparse.Action] = []

    def add_argument(self, *names: str, **choices: Any) -> None:
        """Add an option, as to a group of argparse's."""
        self._actions.append(self._group.add_argument(*names, **choices))

    def hide(self) -> None:
        """Leave it out from now on."""
        for action in self._actions:
            action.help = argparse.SUPPRESS


def add_help(parser: argparse.ArgumentParser, *rare: Rare) -> None:
    """Add ``--help`` and ``--help-all``.

    Args:
        parser: one that was made with ``add_help=False``.
        rare: what the one leaves out, and the other does not.
    """
    parser.add_argument(
        *("-h", "--help"),
        action=_Help,
        nargs=0,
        const=rare,
        default=argparse.SUPPRESS,
        help="show what is needed most, and exit",
    )
    parser.add_argument(
        "--help-all", action="help", help="show all options, and exit"
    )
