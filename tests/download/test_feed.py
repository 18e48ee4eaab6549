"""What is read from the origin and handed in, before it is checked."""

from __future__ import annotations

import types

from tests.explored.test_feed import DATA, PIECE, Member

from parallelops.backends.serial import SerialExecutor
from parallelops.download.feed import Feed


class Origin:
    """Sends all of it to whoever asks for a part."""

    ranged = False
    received = 0

    def open(self, runtime, size):
        return self

    def stream(self, begin, end, *, early):
        for at in range(0, len(DATA), PIECE):
            yield at, DATA[at : at + PIECE]

    def close(self):
        pass


class Slow(Member):
    """Looks at what was handed in now and then."""

    looks = 0

    def view(self):
        self.looks += 1
        assert self.looks < 100
        have = [n in self.handed_in[: self.looks] for n in range(6)]
        return types.SimpleNamespace(have=have)


def test_what_waits_to_be_checked_is_bounded_on_any_executor(monkeypatch):
    """One that reads in the thread which would look does not wait for ever."""
    monkeypatch.setattr("parallelops.download.feed._MOST_UNCHECKED", PIECE)
    member = Slow()
    with SerialExecutor() as executor:
        feed = Feed(executor, member, [Origin()], 1)
        feed.look([False] * 6)
        assert feed.start(range(1))
        feed.stop()
    assert member.handed_in == list(range(6))
    assert member.looks >= 4
