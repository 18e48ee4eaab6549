"""``parallelops operations``: what a journal of container operations says."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from parallelops.cli.arguments import add_json, add_repeated, count
from parallelops.cli.table import print_fields, print_table, table
from parallelops.errors import ParallelopsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.containers import Entry, SQLiteJournal

__all__ = ["add_to", "run"]

HEAD = ("SEQUENCE", "ID", "CONTAINER", "ACTION", "STATE", "REASON")
_STATES = (
    *("accepted", "running", "unknown"),
    *("succeeded", "failed", "cancelled"),
)
_SETTLED = ("succeeded", "failed", "accepted")


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "operations",
        help="look into a journal of container operations, and settle what "
        "is unknown",
        description="Look into a journal of container operations.",
    )
    todo = parser.add_subparsers(metavar="WHAT", required=True, dest="todo")
    for name, text in (
        ("list", "list operations"),
        ("show", "show all of one operation"),
        (
            "recover",
            "take the journal over from an ended conductor, and settle",
        ),
        (
            "audit",
            "look for damage, and count; the exit status is 1 for damage",
        ),
    ):
        one = todo.add_parser(name, help=text, description=text + ".")
        one.add_argument("journal", help="the file")
        if name == "show":
            one.add_argument("id", help="the operation")
        if name == "list":
            one.add_argument(
                "--container", metavar="NAME", help="the history of this one"
            )
            one.add_argument(
                "--state",
                action="append",
                choices=_STATES,
                metavar="STATE",
                help=f"only those that are {', '.join(_STATES[:-1])} or "
                f"{_STATES[-1]}; may be repeated",
            )
            one.add_argument(
                "--limit",
                type=count,
                default=1000,
                metavar="N",
                help="the last so many; default: 1000",
            )
        if name == "recover":
            add_repeated(
                one,
                "--settle",
                "ID=STATE",
                "what became of an unknown one: succeeded, failed, or "
                "accepted to have the next conductor do it again",
                kind=_settled,
            )
        add_json(one, "print JSON instead of text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked; 1 when an audit finds something, or when something
    is unknown after a recovery."""
    from parallelops.containers import SQLiteJournal

    with SQLiteJournal(arguments.journal, make=False) as journal:
        if arguments.todo == "list":
            return _list(journal, arguments)
        if arguments.todo == "show":
            return _show(journal, arguments)
        if arguments.todo == "recover":
            return _recover(journal, arguments)
        return _audit(journal, arguments)


def _list(journal: SQLiteJournal, arguments: argparse.Namespace) -> int:
    states = arguments.state or _STATES
    found = [
        entry
        for entry in journal.entries()
        if entry.state in states
        and arguments.container in (None, entry.container)
    ]
    _print_entries(found[-arguments.limit :], as_json=arguments.json)
    return 0


def _show(journal: SQLiteJournal, arguments: argparse.Namespace) -> int:
    entry = journal.find(arguments.id)
    if entry is None:
        raise ParallelopsError(
            f"there is no operation {arguments.id!r} in {arguments.journal}"
        )
    print_fields(entry.as_dict(), as_json=arguments.json)
    return 0


def _recover(journal: SQLiteJournal, arguments: argparse.Namespace) -> int:
    from parallelops.containers.audit import take_over

    unknown = take_over(journal, dict(arguments.settle))
    _print_entries(unknown, as_json=arguments.json)
    return int(bool(unknown))


def _audit(journal: SQLiteJournal, arguments: argparse.Namespace) -> int:
    from parallelops.containers.audit import audit

    found = audit(journal)
    if arguments.json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        print(*table(("STATE", "OPERATIONS"), found.states.items()), sep="\n")
        for scope, epoch in found.leases.items():
            print(f"scope {scope!r} is in epoch {epoch}")
        for name in found.unknown:
            print(f"unknown: {name}")
        print(*found.problems or ["nothing is wrong"], sep="\n")
    return int(bool(found.problems))


def _print_entries(entries: Iterable[Entry], *, as_json: bool) -> None:
    entries = list(entries)
    rows = [
        (e.sequence, e.id, e.container, e.action, e.state, e.reason)
        for e in entries
    ]
    said = [entry.as_dict() for entry in entries]
    print_table(said, HEAD, rows, as_json=as_json)


def _settled(text: str) -> tuple[str, str]:
    name, _, state = text.rpartition("=")
    if not name or state not in _SETTLED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ID=STATE with one of {', '.join(_SETTLED)}"
        )
    return name, state
