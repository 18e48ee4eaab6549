"""``parallelops swarm``: look at those who share an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.cli.arguments import add_json, add_repeated
from parallelops.cli.imageseed import add_ca_to, read_torrent
from parallelops.cli.table import print_table
from parallelops.errors import FetchError, ParallelopsError
from parallelops.redact import redact_url
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    import argparse

__all__ = ["add_to", "run"]

HEAD = ("TRACKER", "COMPLETE", "INCOMPLETE", "PROBLEM")


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "swarm",
        help="look at those who share an image",
        description="Look at those who share an image.",
    )
    actions = parser.add_subparsers(
        metavar="ACTION", required=True, title="actions"
    )
    status = actions.add_parser(
        "status",
        help="say how many they are",
        description="Ask the trackers of a torrent how many have all of the "
        "image, and how many have not. The exit status is 1 if none answers.",
    )
    status.add_argument("torrent", type=Path, metavar="TORRENT")
    add_repeated(
        status,
        "--tracker",
        "URL",
        "ask this one, in the place of the torrent's",
    )
    add_ca_to(status)
    add_json(status)
    status.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask each tracker; 1 if none answers."""
    from parallelops.download import scrape

    torrent = read_torrent(
        arguments.torrent, arguments.tracker, arguments.tls_ca
    )
    if not torrent.trackers:
        raise ParallelopsError(
            f"{arguments.torrent} names no tracker: name one by --tracker"
        )
    runtime = ThreadRuntime()
    found: list[dict[str, Any]] = []
    for tracker in torrent.trackers:
        said: dict[str, Any] = {"tracker": redact_url(tracker)}
        try:
            counts = scrape(tracker, torrent.info_hash, runtime)
        except (FetchError, ValueError) as error:
            said |= {"complete": None, "incomplete": None}
            said["problem"] = str(error)
        else:
            said |= dict(zip(("complete", "incomplete"), counts, strict=True))
            said["problem"] = None
        found.append(said)
    rows = [
        ["" if value is None else value for value in said.values()]
        for said in found
    ]
    print_table(found, HEAD, rows, as_json=arguments.json)
    return int(all(said["problem"] for said in found))
