"""``parallelops image seed``: give an image to others."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.cli.arguments import (
    add_json,
    add_repeated,
    address,
    amount,
    count,
    digest,
    listening,
    network,
    seconds,
)
from parallelops.cli.helping import Rare, add_help
from parallelops.cli.progress import shown
from parallelops.cli.stopping import StopSignal
from parallelops.cli.table import print_fields
from parallelops.errors import DataMismatch, ParallelopsError, SwarmError
from parallelops.landing import Digest
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    import argparse

    from parallelops.download import Torrent
    from parallelops.download.member import Member

__all__ = [
    "add_ca_to",
    "add_swarm_to",
    "add_to",
    "read_torrent",
    "run",
    "swarm_options",
]

_PIECE = 1 << 20
_LOOK = 0.2  # seconds


def add_swarm_to(parser: argparse.ArgumentParser, rare: Rare) -> None:
    """Add the arguments that say with whom an image is shared."""
    parser.add_argument(
        "--listen",
        type=listening,
        default="0.0.0.0:6881",
        metavar="ADDRESS:PORT",
        help="for others; default: 0.0.0.0:6881",
    )
    rare.add_argument(
        "--ip",
        type=address,
        metavar="ADDRESS",
        help="where others find this machine, if it has several addresses: "
        "listen there, and call them and the trackers from there",
    )
    add_repeated(
        rare, "--network", "CIDR", "talk to nobody elsewhere", kind=network
    )
    rare.add_argument(
        "--rack", metavar="NAME", help="what is near has the same"
    )
    add_repeated(
        rare,
        "--tracker",
        "URL",
        "whom to announce to, in the place of what the torrent says",
    )
    for name, what in {
        "ca": "share by TLS, with those whom this CA has signed; all three "
        "options or none, in PEM",
        "certificate": "of this machine, for the name parallelops",
        "key": "of the certificate, without a passphrase",
    }.items():
        rare.add_argument(f"--tls-{name}", metavar="FILE", help=what)


def swarm_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What these arguments come to, for a swarm.

    Raises:
        ParallelopsError: some of those for TLS are missing.
    """
    from parallelops.download import PeerTLS

    names = ("ca", "certificate", "key")
    files = {name: getattr(arguments, f"tls_{name}") for name in names}
    tls = None
    if any(files.values()):
        missing = [f"--tls-{name}" for name in names if not files[name]]
        if missing:
            raise ParallelopsError(f"TLS needs {' and '.join(missing)} too")
        tls = PeerTLS(**files)
    return {
        "listen": arguments.listen,
        "ip": arguments.ip,
        "networks": arguments.network,
        "rack": arguments.rack,
        "tls": tls,
    }


def add_ca_to(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which swarm of a torrent is meant."""
    parser.add_argument(
        "--tls-ca",
        metavar="FILE",
        help="the image as it is shared by TLS among those of this CA; its "
        "info-hash is another one",
    )


def add_to(actions: Any) -> None:
    """Add the command to the parser's."""
    seed = actions.add_parser(
        "seed",
        add_help=False,
        help="give an image to others",
        description="Give an image to others until told to stop, or until a "
        "limit is reached. It is read once before that, to see that it is "
        "what the torrent says.",
    )
    sharing = Rare(seed, "how it is shared")
    add_help(seed, sharing)
    seed.add_argument("image", type=Path, metavar="IMAGE")
    seed.add_argument(
        "--torrent", type=Path, required=True, metavar="FILE", help="of it"
    )
    seed.add_argument(
        "--digest",
        type=digest,
        metavar="sha512:HEX",
        help="what it must come to",
    )
    add_swarm_to(seed, sharing)
    for name, kind, metavar, limit in (
        ("--for", seconds, "SECONDS", "no longer than that"),
        (
            "--idle",
            seconds,
            "SECONDS",
            "no longer than that without anybody who wants it",
        ),
        ("--ratio", amount, "N", "no more than so many times its size"),
    ):
        seed.add_argument(
            name, type=kind, default=math.inf, metavar=metavar, help=limit
        )
    sharing.add_argument(
        "--upload-limit",
        type=count,
        default=0,
        metavar="BYTES",
        help="a second, to all others; default: without limit",
    )
    add_json(seed)
    seed.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Give it to others, and say in the end what came of it."""
    from parallelops.download import SeedLimits, Swarm

    runtime = ThreadRuntime()
    torrent = read_torrent(arguments.torrent, arguments.tracker)
    _check(arguments, torrent)
    with (
        StopSignal(runtime) as stop,
        Swarm(
            **swarm_options(arguments),
            upload_limit=arguments.upload_limit,
            seed_limits=SeedLimits(
                seconds=vars(arguments)["for"],
                ratio=arguments.ratio,
                idle=arguments.idle,
            ),
            runtime=runtime,
        ) as swarm,
    ):
        began = runtime.monotonic()
        member = swarm.join(torrent, arguments.image.absolute())
        _wait_for_it(member, stop)
        member.seed()
        if not arguments.json:
            print(f"{arguments.image} is given to others", flush=True)
        sent = 0
        while not member.ended and not stop.wait(_LOOK):
            sent = _sent(member, sent)
        said = {
            "image": str(arguments.image),
            "seconds": runtime.monotonic() - began,
            "sent": _sent(member, sent),
            "ended": member.ended or "told to stop",
        }
    print_fields(said, as_json=arguments.json)
    if stop.number == signal.SIGINT:
        raise KeyboardInterrupt
    return 0


def read_torrent(
    path: Path, trackers: list[str], ca: str | None = None
) -> Torrent:
    """The torrent in a file, with these trackers if there are any.

    With a CA, as it is shared among those whom that has signed.
    """
    import dataclasses

    from parallelops.download import Torrent
    from parallelops.download.tls import read_ca
    from parallelops.download.torrent import LARGEST_TORRENT

    with path.open("rb") as file:
        torrent = Torrent.load(file.read(LARGEST_TORRENT + 1))
    if trackers:
        torrent = dataclasses.replace(torrent, trackers=tuple(trackers))
    return torrent if ca is None else torrent.among(read_ca(ca))


def _check(arguments: argparse.Namespace, torrent: Torrent) -> None:
    """See that the file is what it has to be, before anybody gets it."""
    from parallelops.download import Progress, TorrentWriter

    path: Path = arguments.image
    size = path.stat().st_size
    if size != torrent.size:
        raise DataMismatch("size", str(torrent.size), str(size), str(path))
    writer = TorrentWriter(size, piece_size=torrent.piece_size)
    wanted = arguments.digest and Digest.parse(arguments.digest)
    made = wanted and wanted.new_hash()
    done = 0
    with path.open("rb") as file, shown("B") as progress:
        while data := file.read(_PIECE):
            writer.update(data)
            if made:
                made.update(data)
            done += len(data)
            if progress is not None:
                progress(Progress(done, size))
    if made:
        wanted.check(made, str(path))
    pieces = writer.finish().pieces
    if pieces != torrent.pieces:
        wrong = sum(
            pieces[at : at + 20] != torrent.pieces[at : at + 20]
            for at in range(0, len(pieces), 20)
        )
        raise DataMismatch(
            "content",
            "what the torrent says",
            f"{wrong} pieces off",
            str(path),
        )


def _wait_for_it(member: Member, stop: StopSignal) -> None:
    """The swarm looks for itself, too."""
    while True:
        view = member.view()
        if view.error or (not view.checking and not all(view.have)):
            # Else it would ask others for what is missing, and write it.
            member.leave()
            raise SwarmError(view.error or "the image has changed just now")
        if not view.checking or stop.wait(_LOOK):
            return


def _sent(member: Member, before: int) -> int:
    try:
        return member.view().sent
    except SwarmError:
        return before  # it has just left
