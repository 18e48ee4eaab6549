"""Images that are handed on in order, under many schedules."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from parallelops.download import Image, ImageStream, TorrentWriter
from parallelops.errors import TransferError
from parallelops.landing.blocks import BLOCK, Blocks
from parallelops.origin import read_in_order
from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))
DATA = os.urandom(3 * BLOCK)

explored = explore(
    SCHEDULES // 5,
    preempt=[
        "parallelops/download/stream.py",
        "parallelops/origin/ordered.py",
    ],
)


class Origin:
    """Gives ranges, each after a while."""

    ranged = True
    received = 0

    def __init__(self, sim, fails=False):
        self.sim = sim
        self.fails = fails
        self.closed = 0

    def stream(self, begin, end):
        for at in range(begin, end, 4):
            self.sim.runtime.sleep(self.sim.runtime.random.random())
            if self.fails and at >= 16:
                raise TransferError("it ends")
            yield at, bytes(range(at, min(at + 4, end)))

    def close(self):
        self.closed += 1


def read(sim, executor, origin):
    return read_in_order(
        executor, origin, 3, 40, lambda: None, extent=8, connections=2
    )


@explored
def test_parts_come_in_order(sim):
    """However long each of them takes, and whoever stops."""
    with sim.executor(2) as executor:
        origin = Origin(sim)
        whole = b"".join(read(sim, executor, origin))
        assert whole == bytes(range(3, 40))
        assert origin.closed == 1
        origin = Origin(sim)
        parts = read(sim, executor, origin)
        next(parts)
        parts.close()
        assert origin.closed == 1


@explored
def test_what_fails_ends_it(sim):
    """What was before it has come."""
    with sim.executor(2) as executor:
        origin = Origin(sim, fails=True)
        came = b""
        try:
            for part in read(sim, executor, origin):
                came += part
        except TransferError:
            pass
        assert came == bytes(range(3, 3 + len(came)))
        assert len(came) < 37
        assert origin.closed == 1


class Fetching:
    """A downloader that writes one block after the other, in any order."""

    def __init__(self, sim):
        self.sim = sim

    def run(self, image, to, transfer):
        chance, blocks = self.sim.runtime.random, Blocks(len(DATA))
        part = to.with_suffix(".part")
        with part.open("w+b") as file:
            transfer.landed(file.fileno(), lambda: blocks)
            for begin in chance.sample(range(0, len(DATA), BLOCK), 3):
                transfer.check()
                os.pwrite(file.fileno(), DATA[begin : begin + BLOCK], begin)
                blocks.mark(begin, begin + BLOCK)
                self.sim.runtime.sleep(0.05)
        part.rename(to)

        class Done:
            path, decision, reason, failures = to, "swarm", "it is there", ()

        return Done


@explored
def test_what_is_written_is_read(sim):
    """All of it, by another thread, and nothing before it is there."""
    writer = TorrentWriter(len(DATA))
    writer.update(DATA)
    digest = "sha256:" + hashlib.sha256(DATA).hexdigest()
    image = Image(digest=digest, torrent=writer.finish())
    with (
        tempfile.TemporaryDirectory() as folder,
        sim.executor(1) as executor,
    ):
        stream = ImageStream(
            Fetching(sim),
            executor,
            image,
            spool=folder,
            timeout=100.0,
            ahead=(8, 1),
            progress=None,
            cancelled=None,
        )
        assert b"".join(stream) == DATA
        stream.verify_image()
        assert list(Path(folder).iterdir()) == []
