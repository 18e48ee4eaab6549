"""A herd of any size in virtual time: the real decisions, modelled lines.

Who goes to the origin, for what and when is decided by the library's own
gates, plan, leases and register. What is modelled is the rest: links, the
origin, how long the tracker takes, and how pieces go from one to another.

An agent talks to those whom the tracker names when it comes, and to those who
were told of it. Each link carries four pieces at a time each way. The origin
serves who reads in turns.
"""

from __future__ import annotations

import collections
import dataclasses
import heapq
import random
from concurrent.futures import Future

from parallelops.backends.serial import SerialExecutor
from parallelops.download import HerdOptions, Lease, Nearby, Register, Torrent
from parallelops.download.member import MemberView, Peer
from parallelops.download.plan import Plan
from parallelops.download.register import Announcement
from parallelops.download.session import rack_tag
from parallelops.runtime import ThreadRuntime

SLOTS = 4  # pieces that a link carries at a time, each way
TRIES = 6  # neighbours that are asked before one waits for news
READING, WAITING = 0.1, 1.0  # seconds between two looks
RETRY = 0.2
MOST_PEERS = 80
TIMEOUT = 30.0  # of a request to the tracker
BITS = bytes.maketrans(b"01", b"\0\1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is modelled. Rates are bytes a second."""

    agents: int = 10_000
    racks: int = 200
    pieces: int = 64
    piece_size: int = 16 << 20
    link: float = 125e6
    origin: float = 125e6
    spread: float = 1.0  # seconds in which all start
    requests: float = 800.0  # that the tracker answers in a second
    leases: bool = True
    seed: int = 1


class Clock(ThreadRuntime):
    """The model's time, and its chance."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.now = 0.0
        self.random = random.Random(seed)

    def monotonic(self) -> float:
        return self.now


class Agent:
    """One machine."""

    def __init__(self, number: int, peer: bytes, host: str) -> None:
        self.number, self.peer, self.host = number, peer, host
        self.have = self.coming = 0
        self.up = self.down = 0
        self.neighbours: list[Agent] = []
        self.peers: tuple[Peer, ...] = ()
        self.members = 1
        self.received = 0
        self.run: list[int] = []  # what it reads from the origin, reversed
        self.handed_in: set[int] = set()
        self.retry = self.heard = False
        self.plan: Plan
        self.began = self.ended = 0.0


class Model:
    """One case, run by :meth:`run`."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.clock = Clock(case.seed)
        self.chance = self.clock.random
        self.events: list = []
        self.count = 0
        size = case.pieces * case.piece_size
        self.torrent = Torrent(size, case.piece_size, bytes(20 * case.pieces))
        self.all = (1 << case.pieces) - 1
        self.register = Register(self.clock)
        self.tracker_free = self.origin_free = 0.0
        self.from_origin = 0  # pieces
        self.moved = self.moved_near = 0
        self.ended = 0
        self.queue: collections.deque[tuple[Agent, int]] = collections.deque()
        self.agents: list[Agent] = []
        for number in range(case.agents):
            rack = number % case.racks
            peer = b"-PO0100-" + rack_tag(f"{rack}") + b"%08d" % number
            host = f"10.{rack}.{number // 250 % 250}.{number % 250}"
            self.agents.append(Agent(number, peer, host))

    def at(self, when: float, what, *arguments) -> None:
        """Have something happen at a time."""
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what, arguments))

    def run(self) -> dict[str, float]:
        """Until all have all of it."""
        for agent in self.agents:
            self.at(self.chance.random() * self.case.spread, self.start, agent)
        while self.ended < len(self.agents):
            self.clock.now, _, what, arguments = heapq.heappop(self.events)
            what(*arguments)
        took = sorted(a.ended - a.began for a in self.agents)
        return {
            "agents": len(took),
            "racks": self.case.racks,
            "origin / image": self.from_origin / self.case.pieces,
            "seconds, median": took[len(took) // 2],
            "seconds, last": took[-1],
            "in the rack": self.moved_near / max(self.moved, 1),
        }

    # -- the tracker

    def ask(self, what) -> None:
        """Have the tracker do something in its turn."""
        now = self.clock.now
        self.tracker_free = max(self.tracker_free, now)
        self.tracker_free += 1 / self.case.requests
        self.at(self.tracker_free, what)

    def lease(self, agent: Agent):
        """The gate of an agent, whose requests take their time."""
        model = self

        class Later(SerialExecutor):
            def submit(self, fn, /, *arguments):
                future: Future = Future()
                asked = model.clock.now

                def answer() -> None:
                    # The tracker does its work, but nobody is there for it.
                    if model.clock.now - asked <= TIMEOUT:
                        future.set_result(fn(*arguments))

                def give_up() -> None:
                    if not future.done():
                        future.set_result("it does not answer")

                model.ask(answer)
                model.at(asked + TIMEOUT, give_up)
                return future

        return Lease(self.register.lease, Nearby(), executor=Later())

    def announce(self, agent: Agent) -> None:
        """Learn of others, and have them learn of this one."""
        missing = self.case.pieces - agent.have.bit_count()
        found = self.register.announce(
            Announcement(
                image=self.torrent.info_hash,
                peer=agent.peer,
                host=agent.host,
                port=agent.number + 1,
                left=missing * self.case.piece_size,
            )
        )
        agent.heard = True
        agent.members = found.complete + found.incomplete
        for _, port in found.peers:
            other = self.agents[port - 1]
            if (
                other not in agent.neighbours
                and max(len(agent.neighbours), len(other.neighbours))
                < MOST_PEERS
            ):
                for one, two in ((agent, other), (other, agent)):
                    one.neighbours.append(two)
                    one.peers += (Peer(two.peer, (two.host, 1), False),)
        self.fetch(agent)
        interval = self.register.interval * (0.9 + self.chance.random() / 5)
        self.at(
            self.clock.now + interval,
            self.ask,
            lambda: self.announce(agent),
        )

    # -- an agent

    def start(self, agent: Agent) -> None:
        """It is there, and wants the image."""
        agent.began = self.clock.now
        gate = self.lease(agent) if self.case.leases else Nearby()
        agent.plan = Plan(
            self.torrent, agent.peer, gate, HerdOptions(), self.clock
        )
        self.look(agent)
        self.ask(lambda: self.announce(agent))

    def look(self, agent: Agent) -> None:
        """What :class:`~parallelops.download.herd.Herd` does in a loop."""
        if agent.have == self.all:
            return
        plan, clock = agent.plan, self.clock
        elsewhere = 0
        for other in agent.neighbours:
            elsewhere |= other.have
        view = MemberView(
            have=self.bits(agent.have),
            availability=self.bits(elsewhere),
            peers=agent.peers,
            members=max(agent.members, len(agent.peers) + 1),
            received=agent.received,
            sent=0,
            checking=False,
            error="",
            heard=agent.heard,
        )
        agent.handed_in -= {
            piece for piece in agent.handed_in if agent.have >> piece & 1
        }
        plan.look(view, bool(agent.run))
        decision = plan.decide(view, "")
        if plan.may_begin(view):
            taken = {*agent.run, *agent.handed_in}
            for pieces in plan.reads(view, taken, bool(agent.run)):
                if agent.run:
                    break
                agent.run = list(pieces)[::-1]
                self.read(agent)
        pause = WAITING if decision.admitted.owns is None else READING
        self.at(clock.now + pause, self.look, agent)

    def bits(self, mask: int) -> bytes:
        """A byte of 0 or 1 for each piece."""
        text = f"{mask:0{self.case.pieces}b}"
        return text[::-1].encode().translate(BITS)

    def read(self, agent: Agent) -> None:
        """Ask the origin for the next piece of a run."""
        now = self.clock.now
        self.origin_free = max(self.origin_free, now)
        self.origin_free += self.case.piece_size / self.case.origin
        self.at(self.origin_free, self.has_read, agent)

    def has_read(self, agent: Agent) -> None:
        """A piece came from the origin."""
        piece = agent.run.pop()
        self.from_origin += 1
        agent.handed_in.add(piece)
        if agent.run:
            self.read(agent)
        self.gain(agent, piece)

    # -- the swarm

    def gain(self, agent: Agent, piece: int) -> None:
        """A piece is here."""
        if agent.have >> piece & 1:
            return
        agent.have |= 1 << piece
        if agent.have == self.all:
            agent.ended = self.clock.now
            self.ended += 1
        self.give(agent)

    def give(self, agent: Agent) -> None:
        """Send pieces while the line has room and somebody wants one."""
        for other in self.some(agent):
            if agent.up >= SLOTS:
                return
            if other.down < SLOTS:
                self.send(agent, other)

    def fetch(self, agent: Agent) -> None:
        """Have pieces sent while the line has room."""
        for other in self.some(agent):
            if agent.down >= SLOTS:
                return
            if other.up < SLOTS:
                self.send(other, agent)
        if agent.have | agent.coming != self.all and not agent.retry:
            agent.retry = True
            self.at(self.clock.now + RETRY, self.try_again, agent)

    def try_again(self, agent: Agent) -> None:
        """Nobody had anything before."""
        agent.retry = False
        self.fetch(agent)

    def some(self, agent: Agent) -> list[Agent]:
        """Neighbours to ask."""
        near = agent.neighbours
        return [
            near[int(self.chance.random() * len(near))]
            for _ in range(TRIES if near else 0)
        ]

    def send(self, one: Agent, two: Agent) -> None:
        """A piece that the other one has not, if there is one."""
        wanted = one.have & ~two.have & ~two.coming
        if not wanted:
            return
        shift = int(self.chance.random() * self.case.pieces)
        rest = wanted >> shift << shift or wanted
        piece = (rest & -rest).bit_length() - 1
        one.up += 1
        two.down += 1
        two.coming |= 1 << piece
        self.moved += 1
        self.moved_near += one.peer[8:12] == two.peer[8:12]
        took = self.case.piece_size / (self.case.link / SLOTS)
        self.at(self.clock.now + took, self.sent, one, two, piece)

    def sent(self, one: Agent, two: Agent, piece: int) -> None:
        """A piece has arrived."""
        one.up -= 1
        two.down -= 1
        two.coming &= ~(1 << piece)
        two.received += self.case.piece_size
        self.gain(two, piece)
        self.give(one)
        self.fetch(two)
