"""``parallelops image``: get an image, alone or with others."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import load_executor
from parallelops.cli.arguments import count, seconds
from parallelops.cli.progress import shown
from parallelops.cli.table import print_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.download import Swarm, Torrent
    from parallelops.executor import Executor

__all__ = ["add_to", "run"]

_PIECE = 1 << 20


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "image",
        help="get an image, or make its torrent",
        description="Get an image, alone or with others, or make a torrent "
        "of one.",
    )
    actions = parser.add_subparsers(
        metavar="ACTION", required=True, title="actions"
    )
    _add_get(actions)
    torrent = actions.add_parser("torrent", help="make or show a torrent")
    kinds = torrent.add_subparsers(
        metavar="ACTION", required=True, title="actions"
    )
    create = kinds.add_parser("create", help="make the torrent of an image")
    create.add_argument("image", type=Path, metavar="IMAGE")
    create.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="write it here"
    )
    create.add_argument(
        "--tracker",
        action="append",
        default=[],
        metavar="URL",
        help="whom to announce to; may be repeated",
    )
    create.set_defaults(run=_create)
    show = kinds.add_parser("show", help="show what a torrent says")
    show.add_argument("torrent", type=Path, metavar="TORRENT")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)


def _add_get(actions: Any) -> None:
    get = actions.add_parser(
        "get",
        help="get an image",
        description="Get an image from its origin, from others, or from "
        "both. The file is there once it is whole and verified. What an "
        "earlier run began is gone on with.",
    )
    get.add_argument(
        "--url",
        action="append",
        default=[],
        help="where the origin has it; may be repeated",
    )
    get.add_argument(
        "--digest",
        required=True,
        metavar="sha512:HEX",
        help="what it must come to",
    )
    get.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="write it here"
    )
    get.add_argument(
        "--torrent", type=Path, metavar="FILE", help="share it with others"
    )
    get.add_argument(
        "--listen",
        default="0.0.0.0:6881",
        metavar="ADDRESS:PORT",
        help="for those others; default: 0.0.0.0:6881",
    )
    get.add_argument(
        "--peer",
        action="append",
        type=_address,
        default=[],
        metavar="ADDRESS:PORT",
        help="another one; may be repeated",
    )
    get.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="CIDR",
        help="talk to nobody elsewhere; may be repeated",
    )
    get.add_argument(
        "--rack", metavar="NAME", help="what is near has the same"
    )
    get.add_argument(
        "--gate",
        default="auto",
        metavar="NAME",
        help="who goes to the origin: auto (the default), rendezvous, lease, "
        "lottery, always, never, or one that a plug-in adds",
    )
    get.add_argument(
        "--seed-for",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="give it to others afterwards; default: 0",
    )
    get.add_argument(
        "--done-file",
        type=Path,
        metavar="FILE",
        help="make this file once the image is there",
    )
    get.add_argument(
        "--connections",
        type=count,
        default=4,
        metavar="N",
        help="to the origin, at the same time; default: 4",
    )
    get.add_argument("--json", action="store_true", help="print JSON")
    get.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Get an image, and share it for a while."""
    from parallelops.download import SeedLimits, Swarm

    signal.signal(signal.SIGTERM, _interrupt)
    torrent = None
    if arguments.torrent is not None:
        torrent = _torrent(arguments.torrent)
    with load_executor("thread", max_workers=8) as executor:
        if torrent is None:
            _get(arguments, executor, None, None)
            return 0
        with Swarm(
            arguments.listen,
            networks=arguments.network,
            rack=arguments.rack,
            seed_limits=SeedLimits(seconds=arguments.seed_for),
        ) as swarm:
            _get(arguments, executor, torrent, swarm)
            executor.runtime.sleep(arguments.seed_for)
    return 0


def _get(
    arguments: argparse.Namespace,
    executor: Executor,
    torrent: Torrent | None,
    swarm: Swarm | None,
) -> None:
    from parallelops.download import (
        Downloader,
        GateContext,
        HTTPSource,
        Image,
        load_gate,
    )

    trackers = torrent.trackers if torrent is not None else ()
    context = GateContext(
        runtime=executor.runtime, trackers=trackers, executor=executor
    )

    with shown("B") as progress:
        image = Image(
            digest=arguments.digest,
            sources=[HTTPSource(arguments.url)] if arguments.url else [],
            torrent=torrent,
            peers=arguments.peer,
        )
        result = Downloader(
            executor,
            connections=arguments.connections,
            swarm=swarm,
            gate=load_gate(arguments.gate, context),
        ).fetch(image, arguments.out, progress=progress)
    if arguments.done_file is not None:
        arguments.done_file.touch()
    if arguments.json:
        said = {**dataclasses.asdict(result), "path": str(result.path)}
        print(json.dumps(said), flush=True)
    else:
        print(
            f"{result.path}: {result.size} bytes in {result.seconds:.1f} s, "
            + ", ".join(f"{v} from {k}" for k, v in result.received.items())
            + f" ({result.decision}: {result.reason})",
            flush=True,
        )


def _create(arguments: argparse.Namespace) -> int:
    from parallelops.download import TorrentWriter

    writer = TorrentWriter(arguments.image.stat().st_size)
    for piece in _pieces(arguments.image):
        writer.update(piece)
    torrent = writer.finish(arguments.tracker)
    arguments.out.write_bytes(torrent.dump())
    print(f"{arguments.out}: {torrent.info_hash.hex()}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    torrent = _torrent(arguments.torrent)
    said = {
        "info_hash": torrent.info_hash.hex(),
        "size": torrent.size,
        "piece_size": torrent.piece_size,
        "pieces": len(torrent),
        "trackers": list(torrent.trackers),
        "private": torrent.private,
    }
    print_fields(said, as_json=arguments.json)
    return 0


def _torrent(path: Path) -> Torrent:
    from parallelops.download import Torrent
    from parallelops.download.torrent import LARGEST_TORRENT

    with path.open("rb") as file:
        return Torrent.load(file.read(LARGEST_TORRENT + 1))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _interrupt(*_: object) -> None:
    sys.exit(0)
