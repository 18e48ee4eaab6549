"""An agent for demonstrations, that shares an image as is done elsewhere.

libtorrent does all of it: it has the origin as a web seed (BEP 19), so each
agent reads there what it has not got yet. Run as a process: the arguments are
the URL, the torrent's file, the digest, a new folder for the image and the
address to listen at. It prints a line of JSON with the seconds once the image
is there and verified, and gives it to others until the end of its standard
input.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from parallelops.download.swarm import Swarm
from parallelops.download.torrent import Torrent
from parallelops.errors import ParallelopsError, SwarmError
from parallelops.landing import Digest
from parallelops.runtime import ThreadRuntime

__all__ = ["main"]

_LOOK = 0.05  # seconds
_FLUSH = 60.0


def main(arguments: list[str]) -> None:
    """Have the image, and share it."""
    url, torrent, digest, folder, listen = arguments
    path, runtime = Path(folder) / "image", ThreadRuntime()
    wanted = Digest.parse(digest)
    path.parent.mkdir()
    with Swarm(listen) as swarm:
        began = runtime.monotonic()
        loaded = Torrent.load(Path(torrent).read_bytes())
        member = swarm.join(loaded, path, fresh=True)
        member.handle.add_url_seed(url)
        while not all((view := member.view()).have):
            if view.error:
                raise SwarmError(view.error)
            member.wait(_LOOK)
        member.flush(_FLUSH)
        with path.open("rb") as file:
            wanted.check(hashlib.file_digest(file, wanted.new_hash))
        seconds = round(runtime.monotonic() - began, 3)
        print(json.dumps({"seconds": seconds}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ParallelopsError as error:
        sys.exit(f"parallelops: error: {error}")
