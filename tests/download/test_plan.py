"""What an agent reads from the origin, and when, under a clock of the test."""

from __future__ import annotations

import random

import pytest

from parallelops.download import Always, HerdOptions, Never, Torrent
from parallelops.download.gate import Pass
from parallelops.download.member import MemberView, Peer
from parallelops.download.plan import Plan
from parallelops.testing import FakeClock

PIECES = 256
TORRENT = Torrent(PIECES << 14, 1 << 14, bytes(20 * PIECES))
ME, OTHER = b"m" * 20, b"o" * 20


class Gate:
    """Owns what the test says."""

    def __init__(self, owns, **options):
        self.passed = Pass(owns, "so", **options)

    def admit(self, view):
        return self.passed


class Agent:
    """A plan, and what it sees."""

    def __init__(self, gate, **options):
        self.clock = FakeClock()
        self.clock.random = random.Random(1)
        self.plan = Plan(TORRENT, ME, gate, HerdOptions(**options), self.clock)
        self.have = [False] * PIECES
        self.elsewhere = [0] * PIECES
        self.seen = {"peers": (Peer(OTHER, ("h", 1), False),), "members": 2}
        self.received = 0

    def reads(self, seconds=0.0):
        """What it would read after so many seconds."""
        self.clock.advance(seconds)
        view = self.view()
        self.plan.look(view, False)
        self.plan.decide(view, "")
        if not self.plan.may_begin(view):
            return None
        return list(self.plan.reads(view, (), False))

    def view(self):
        """What it sees."""
        return MemberView(
            have=self.have,
            availability=self.elsewhere,
            received=self.received,
            sent=0,
            checking=False,
            error="",
            **self.seen,
        )

    def alone(self, **seen):
        self.seen = {"peers": (), "members": 1, **seen}


def test_others_are_looked_for_before_anything_is_read():
    """But not for long."""
    agent = Agent(Always())
    agent.alone()
    assert agent.reads() is None
    assert agent.reads(1.5)


def test_who_is_told_that_it_begins_does_not_look_for_others():
    """The tracker knows that there are none."""
    agent = Agent(Gate(lambda extent: True, at_once=True))
    agent.alone(heard=False)
    assert agent.reads()


def test_who_waits_for_the_tracker_is_not_alone():
    """It may only be slow."""
    agent = Agent(Gate(lambda extent: True, tracked=True))
    agent.alone(heard=False)
    assert agent.reads(20.0) is None
    agent.alone(heard=True)
    assert agent.reads()


def test_who_waits_for_a_tracker_that_gives_no_sign_does_not_wait_long():
    """It may be gone, and nobody will be named."""
    agent = Agent(Always())
    agent.alone(heard=False)
    assert agent.reads(3.0) is None
    assert agent.reads(4.0)


def test_the_last_resort_waits_for_the_gate():
    """All others wait for it as well."""
    agent = Agent(Gate(None, pending=True), stall=1.0)
    agent.reads(0.3)
    for _ in range(10):
        assert not agent.reads(5.0)
    agent.plan._gate = Never()
    assert agent.reads(5.0)


def test_few_of_many_go_as_a_last_resort():
    """And in the end all of them."""
    went = []
    for seed in range(200):
        agent = Agent(Never(), stall=1.0)
        agent.clock.random.seed(seed)
        agent.seen["members"] = 1000
        agent.reads(0.3)
        times = (n for n in range(1, 20) if agent.reads(2.5))
        went.append(next(times))
    assert 1 <= went.count(1) <= 6
    assert max(went) <= 9


def test_what_is_others_is_left_to_them_while_they_get_on():
    """They have it before one learns of it."""
    agent = Agent(Gate(lambda extent: False))
    # Nearly all is there, and a piece more each second.
    for piece in range(PIECES - 20):
        agent.elsewhere[piece] = 1
    agent.reads(0.5)
    for piece in range(PIECES - 20, PIECES - 5):
        agent.elsewhere[piece] = 1
        agent.received += 1
        assert not agent.reads(1.0)
    agent.received += 1
    assert agent.reads(7.0)


def test_what_nobody_brings_is_taken_over_faster_and_faster():
    """Whoever had it has not come back; and no pause is too short to tell."""
    agent = Agent(Gate(lambda extent: False))
    agent.reads(0.5)
    times = []
    for _ in range(PIECES):
        while not (found := agent.reads(0.05)):
            pass
        times.append(agent.clock.monotonic())
        for piece in found[0]:
            agent.have[piece] = True
    assert all(agent.have)
    assert times[-1] - times[-20] < 2.0


class Stream(Agent):
    """One whose origin is read from begin to end."""

    def __init__(self, owns, **options):
        super().__init__(Gate(owns), **options)
        self.brought = set()
        self.reads(0.5)

    def reads_on(self, seconds=0.0):
        """Whether it would, after so many seconds; it reads a piece then."""
        self.reads(seconds)
        here = len(self.brought)
        goes_on = self.plan.reads_on(self.view(), here, self.brought)
        if goes_on:
            self.brought.add(here)
            self.have[here] = True
        return goes_on


def test_the_owner_of_the_first_extent_reads_a_stream():
    """To its end, and no further."""
    agent = Stream(lambda extent: extent == 0)
    times = 0
    while agent.reads_on(0.1):
        times += 1
    assert times == PIECES


def test_others_read_a_stream_once_nobody_brings_it():
    """They go on as long as nobody else brings anything."""
    agent = Stream(lambda extent: extent == 5)
    for piece in range(20):
        agent.elsewhere[piece] = 1
        agent.received += 1
        assert not agent.reads_on(0.4)
    assert agent.reads_on(3.0)
    assert all(agent.reads_on(0.1) for _ in range(40))
    # It has come to where the swarm was, and somebody else is faster.
    agent.elsewhere[100] = 1
    assert not agent.reads_on(0.1)


def test_who_owns_no_more_lets_the_new_owner_begin():
    """And goes on if nobody does."""
    agent = Stream(lambda extent: True)
    assert agent.reads_on(0.1)
    agent.plan._gate = Gate(lambda extent: False)
    assert not agent.reads_on(0.1)
    assert agent.reads_on(3.0)


def test_a_stream_is_left_when_the_swarm_has_all_of_it():
    """Or the gate is closed."""
    agent = Stream(lambda extent: True)
    assert agent.reads_on(0.1)
    agent.plan._gate = Never()
    assert not agent.reads_on(0.1)
    agent.plan._gate = Gate(lambda extent: True)
    assert agent.reads_on(3.0)
    agent.elsewhere = [1] * PIECES
    assert not agent.reads_on(3.0)


def test_a_stream_is_read_on_when_what_others_have_does_not_come():
    """Though they say that they have all of it."""
    agent = Stream(lambda extent: True, stall=2.0)
    assert agent.reads_on(0.1)
    agent.elsewhere = [1] * PIECES
    assert not agent.reads_on(0.1)
    for _ in range(20):
        if agent.reads_on(5.0):
            break
    assert all(agent.reads_on(0.1) for _ in range(20))


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_holders_of_places_begin_apart(start):
    """At their part of the order that all go by."""
    agent = Agent(Gate(lambda extent: True, start=start))
    agent.reads(0.3)
    first = agent.reads(0.3)[0]
    place = agent.plan._extents.place(first[0])
    assert start <= place < start + 0.1


def test_reads_become_shorter_as_the_end_comes():
    """So that all have something to read until nothing is left."""
    assert sizes_of_reads(8) == sizes_of_reads(20)
    sizes = sizes_of_reads(8)
    assert sizes[0] == 4
    assert sizes[-16:] == [1] * 16
    # With nobody else there is no need.
    assert sizes_of_reads(1)[:-3] == [4] * (PIECES // 4 - 1)


def sizes_of_reads(readers):
    """Of all that one reads, who has found so many others who might read."""
    agent = Agent(Gate(lambda extent: True))
    agent.seen["peers"] = tuple(
        Peer(b"%020d" % n, ("h", 1), False) for n in range(1, readers)
    )
    agent.seen["members"] = readers
    agent.reads(0.5)
    agent.reads(2.0)
    sizes = []
    while not all(agent.have):
        first = agent.reads(0.5)[0]
        sizes.append(len(first))
        for piece in first:
            agent.have[piece] = True
        agent.received += 1
    return sizes


LAST = 20  # pieces: less than eight extents


def stolen(pace):
    """What one who has read all of his own takes over, while the last of
    others come at that pace, in the order of all."""
    agent = Agent(Gate(lambda extent: False))
    agent.reads()
    assert not agent.reads(0.3)
    turns = sorted(range(PIECES), key=agent.plan._extents.place)
    for piece in turns[:-LAST]:
        agent.elsewhere[piece] = 1
    taken = []
    for piece in turns[-LAST:]:
        found = agent.reads(pace)
        taken += [turns.index(piece) for pieces in found for piece in pieces]
        agent.elsewhere[piece] = 1
    return taken


def test_who_is_idle_helps_before_the_end_where_news_are_quick():
    """With what is late: its owner has it soon, or never."""
    taken = stolen(0.1)
    assert taken
    assert min(taken) >= PIECES - LAST // 2


def test_who_is_idle_waits_where_news_are_slow():
    """Others may have it before one hears of it."""
    assert not stolen(0.5)
