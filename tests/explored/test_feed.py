"""A source without ranges, read on and let rest, under many schedules."""

from __future__ import annotations

import hashlib
import os

from parallelops.download import Torrent
from parallelops.download.feed import Feed
from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))
PIECE = 1 << 14
DATA = b"".join(bytes([n]) * PIECE for n in range(6))
HASHES = b"".join(
    hashlib.sha1(DATA[at : at + PIECE], usedforsecurity=False).digest()
    for at in range(0, len(DATA), PIECE)
)

explored = explore(
    max(SCHEDULES // 5, 20), preempt=["parallelops/download/feed.py"]
)


class Origin:
    """Sends all of it to whoever asks for a part."""

    ranged = None

    def __init__(self, sim):
        self.sim = sim
        self.received = self.asked = 0

    def open(self, runtime, size):
        return self

    def stream(self, begin, end, *, early):
        self.asked += 1
        for at in range(0, len(DATA), PIECE // 2):
            self.sim.runtime.sleep(self.sim.runtime.random.random() / 10)
            self.ranged = False
            data = DATA[at : at + PIECE // 2]
            self.received += len(data)
            if early or at >= begin:
                yield at, data

    def close(self):
        pass


class Member:
    """Has what was handed in, a while later."""

    torrent = Torrent(len(DATA), PIECE, HASHES)

    def __init__(self):
        self.handed_in = []

    def add_piece(self, index, data):
        assert data == DATA[index * PIECE : (index + 1) * PIECE]
        self.handed_in.append(index)


@explored
def test_it_is_read_once_whatever_is_said_meanwhile(sim):
    """And each piece is handed in once."""
    with sim.executor(1) as executor:
        member, origin = Member(), Origin(sim)
        feed = Feed(executor, member, [origin], 1)
        feed.start(range(3, 4))
        while len(member.handed_in) < 6:
            feed.look([n in member.handed_in[:-1] for n in range(6)])
            if feed.position is not None:
                feed.follow(sim.runtime.random.random() < 0.5)
            sim.runtime.sleep(0.1)
        feed.stop()
    assert member.handed_in == list(range(6))
    assert origin.asked == 1
    assert feed.received == len(DATA)


@explored
def test_one_that_rests_can_be_stopped(sim):
    """At once, and nothing more is handed in."""
    with sim.executor(1) as executor:
        member, origin = Member(), Origin(sim)
        feed = Feed(executor, member, [origin], 1)
        feed.start(range(3, 4))
        while feed.position is None:
            sim.runtime.sleep(0.01)
        feed.follow(False)
        sim.runtime.sleep(1.0)
        assert not feed.busy
        before = list(member.handed_in)
        sim.runtime.sleep(5.0)
        assert member.handed_in == before
        feed.stop()
    assert len(member.handed_in) <= len(before) + 1
    assert feed.received < len(DATA)
