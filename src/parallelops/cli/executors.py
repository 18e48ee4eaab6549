"""``parallelops executors``: which backends there are, and which work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelops import plugins
from parallelops.cli.arguments import add_json
from parallelops.cli.table import print_table
from parallelops.errors import MissingDependency

if TYPE_CHECKING:
    import argparse

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "executors",
        help="list the installed executors, and what is wrong with them",
        description="List the installed executors. The exit status is 1 "
        "when one of them is broken; one whose extra is not installed is "
        "not.",
    )
    add_json(parser, "print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List them; 1 when one is broken."""
    found = plugins.executors()
    print_table(
        [_as_dict(plugin) for plugin in found],
        ("NAME", "FROM", "TARGET", "STATUS"),
        [(p.name, p.distribution, p.target, _status(p)) for p in found],
        as_json=arguments.json,
    )
    if not arguments.json:
        for plugin in found:
            if plugin.error is not None:
                print(f"\n{plugin.name}: {plugin.error}")
    return int(any(_status(plugin) == "broken" for plugin in found))


def _status(plugin: plugins.Plugin) -> str:
    if plugin.error is None:
        return "ok"
    if isinstance(plugin.error, MissingDependency):
        return "not installed"
    return "broken"


def _as_dict(plugin: plugins.Plugin) -> dict[str, str | None]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "target": plugin.target,
        "status": _status(plugin),
        "error": None if plugin.error is None else str(plugin.error),
    }
