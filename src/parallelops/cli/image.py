"""``parallelops image``: get an image, alone or with others."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import load_executor
from parallelops.cli import imageseed
from parallelops.cli.arguments import (
    add_json,
    add_repeated,
    count,
    digest,
    endpoint,
    seconds,
)
from parallelops.cli.helping import Rare, add_help
from parallelops.cli.imageseed import read_torrent, swarm_options
from parallelops.cli.progress import shown
from parallelops.cli.stopping import StopSignal
from parallelops.cli.table import print_fields
from parallelops.errors import ParallelopsError
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.download import Image, Swarm
    from parallelops.executor import Executor
    from parallelops.runtime import Runtime

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
    imageseed.add_to(actions)
    torrent = actions.add_parser("torrent", help="make or show a torrent")
    kinds = torrent.add_subparsers(
        metavar="ACTION", required=True, title="actions"
    )
    create = kinds.add_parser("create", help="make the torrent of an image")
    create.add_argument("image", type=Path, metavar="IMAGE")
    create.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="write it here"
    )
    add_repeated(create, "--tracker", "URL", "whom to announce to")
    add_json(create)
    create.set_defaults(run=_create)
    show = kinds.add_parser("show", help="show what a torrent says")
    show.add_argument("torrent", type=Path, metavar="TORRENT")
    imageseed.add_ca_to(show)
    add_json(show)
    show.set_defaults(run=_show)


def _add_get(actions: Any) -> None:
    get = actions.add_parser(
        "get",
        add_help=False,
        help="get an image",
        description="Get an image from its origin, from others, or from "
        "both. The file is there once it is whole and verified. What an "
        "earlier run began is gone on with.",
    )
    sharing = Rare(get, "how it is shared")
    rare = Rare(get, "what else there is")
    add_help(get, sharing, rare)
    add_repeated(get, "--url", "URL", "where the origin has it")
    get.add_argument(
        "--digest",
        type=digest,
        metavar="sha512:HEX",
        help="what it must come to",
    )
    get.add_argument(
        "--lookup",
        type=Path,
        metavar="FILE",
        help="take them from Ironic's answer to a look-up, in JSON",
    )
    get.add_argument(
        "--kernel",
        type=Path,
        nargs="?",
        const="/proc/cmdline",
        metavar="FILE",
        help="take them from the kernel's arguments; default: /proc/cmdline",
    )
    get.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="write it here"
    )
    get.add_argument(
        "--torrent", type=Path, metavar="FILE", help="share it with others"
    )
    imageseed.add_swarm_to(get, sharing)
    add_repeated(
        sharing, "--peer", "ADDRESS:PORT", "another one", kind=endpoint
    )
    sharing.add_argument(
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
    rare.add_argument(
        "--done-file",
        type=Path,
        metavar="FILE",
        help="make this file once the image is there",
    )
    rare.add_argument(
        "--connections",
        type=count,
        default=4,
        metavar="N",
        help="to the origin, at the same time; default: 4",
    )
    add_json(get)
    get.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Get an image, and share it for a while."""
    from parallelops.download import SeedLimits, Swarm

    # What has come by then is kept for the next run.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with load_executor("thread", max_workers=8) as executor:
        image = _image(arguments, executor.runtime)
        if image.torrent is None:
            _get(arguments, executor, image, None)
            return 0
        with Swarm(
            **swarm_options(arguments),
            devices=arguments.out.is_block_device(),
            seed_limits=SeedLimits(seconds=arguments.seed_for),
        ) as swarm:
            _get(arguments, executor, image, swarm)
            with StopSignal(executor.runtime) as stop:
                stop.wait(arguments.seed_for)
    if stop.number == signal.SIGINT:
        raise KeyboardInterrupt
    return 0


def _image(arguments: argparse.Namespace, runtime: Runtime) -> Image:
    """What to get, as whoever is asked says it."""
    from parallelops.download import (
        HTTPSource,
        Image,
        image_from_instance_info,
        image_from_kernel,
    )

    trackers = arguments.tracker
    if arguments.lookup is not None:
        answer = _answer(arguments.lookup)
        return image_from_instance_info(
            answer, trackers=trackers, runtime=runtime
        )
    if arguments.kernel is not None:
        line = arguments.kernel.read_text(errors="replace")
        return image_from_kernel(line, trackers=trackers, runtime=runtime)
    if arguments.digest is None:
        raise ParallelopsError(
            "what is to be got? give --digest, --lookup or --kernel"
        )
    torrent = None
    if arguments.torrent is not None:
        torrent = read_torrent(arguments.torrent, trackers)
    if torrent is None and not arguments.url:
        raise ParallelopsError("where is it? give --url or --torrent")
    return Image(
        digest=arguments.digest,
        sources=[HTTPSource(arguments.url)] if arguments.url else [],
        torrent=torrent,
        peers=arguments.peer,
    )


def _answer(path: Path) -> dict[str, Any]:
    """The ``instance_info`` of an answer, or of a node."""
    try:
        said = json.loads(path.read_bytes())
    except ValueError as error:
        raise ParallelopsError(f"{path} is not JSON: {error}") from error
    for name in ("node", "instance_info"):
        if isinstance(said, dict):
            said = said.get(name, said)
    if not isinstance(said, dict):
        raise ParallelopsError(f"{path} has no instance_info")
    return said


def _get(
    arguments: argparse.Namespace,
    executor: Executor,
    image: Image,
    swarm: Swarm | None,
) -> None:
    from parallelops.download import Downloader, GateContext, load_gate

    trackers = image.torrent.trackers if image.torrent is not None else ()
    context = GateContext(
        runtime=executor.runtime, trackers=trackers, executor=executor
    )
    try:
        gate = load_gate(arguments.gate, context)
    except ValueError as error:
        raise ParallelopsError(str(error)) from error
    downloader = Downloader(
        executor, connections=arguments.connections, swarm=swarm, gate=gate
    )
    with shown("B") as progress:
        result = downloader.fetch(image, arguments.out, progress=progress)
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
    from parallelops.download import Progress, TorrentWriter

    size = arguments.image.stat().st_size
    done = 0
    try:
        writer = TorrentWriter(size)
        with shown("B") as progress:
            for piece in _pieces(arguments.image):
                writer.update(piece)
                done += len(piece)
                if progress is not None:
                    progress(Progress(done, size))
        torrent = writer.finish(arguments.tracker)
    except ValueError as error:
        raise ParallelopsError(f"{arguments.image}: {error}") from error
    arguments.out.write_bytes(torrent.dump())
    shown_hash = torrent.info_hash.hex()
    if arguments.json:
        print(
            json.dumps(
                {"torrent": str(arguments.out), "info_hash": shown_hash}
            )
        )
    else:
        print(f"{arguments.out}: {shown_hash}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    torrent = read_torrent(arguments.torrent, [], arguments.tls_ca)
    said = {
        "info_hash": torrent.info_hash.hex(),
        "size": torrent.size,
        "piece_size": torrent.piece_size,
        "pieces": len(torrent),
        "trackers": [redact_url(url) for url in torrent.trackers],
        "private": torrent.private,
    }
    print_fields(said, as_json=arguments.json)
    return 0


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
