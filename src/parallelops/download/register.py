"""Who takes part in which swarm, and who goes to the origin for it.

What a tracker knows, without the network.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
from typing import TYPE_CHECKING

from parallelops.download.lease import Grant
from parallelops.errors import SwarmError

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelops.runtime import Runtime

__all__ = ["Announcement", "Neighbours", "Register"]

_MOST_NAMED = 100
# How many of other racks are named to one who has neighbours, and how many are
# named at least, with the neighbours.
_FAR, _FEWEST = 1, 3
# Out of so many times as many, those who are named to the fewest.
_CHOICE = 4
_BEGINS = 1.0  # seconds
_TAG = slice(8, 12)
_OURS = b"-PO"
_NO_TAG = b"----"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What somebody says of himself.

    Attributes:
        image: the info-hash.
        peer: the peer id, 20 bytes.
        host: the address it came from.
        port: where it listens.
        left: bytes that it has not yet.
        stopped: it leaves.
        wanted: how many others to name.
    """

    image: bytes
    peer: bytes
    host: str
    port: int
    left: int
    stopped: bool = False
    wanted: int = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbours:
    """The answer to an announcement.

    Attributes:
        complete: how many have all of it.
        incomplete: how many have not.
        peers: addresses and ports, the best first.
    """

    complete: int
    incomplete: int
    peers: tuple[tuple[str, int], ...]


@dataclasses.dataclass(slots=True)
class _Member:
    host: str
    port: int
    rack: bytes
    complete: bool
    seen: float
    # Those of other racks that it was told of, and who were told of it.
    far: dict[bytes, None] = dataclasses.field(default_factory=dict)
    told: dict[bytes, None] = dataclasses.field(default_factory=dict)


class _Swarm:
    def __init__(self, places: int, now: float) -> None:
        self.members: dict[bytes, _Member] = {}
        self.racks: dict[bytes, dict[bytes, None]] = {}
        self.complete = 0
        # Of each place: whose it is, and until when.
        self.leases: list[tuple[bytes, float]] = [(b"", -math.inf)] * places
        self.swept = -math.inf
        self.since = now

    def leased(self, now: float) -> bool:
        """Whether somebody holds a lease."""
        return any(until >= now for _, until in self.leases)


class Register:
    """Several threads may use it.

    Args:
        runtime: where the lock, the clock and chance come from.
        allowed: info-hashes of the images that are served; None serves any.
        interval: seconds between two announcements of one member. Who is
            silent for two and a half is forgotten.
        places: how many may hold a lease at the same time.
        lease: seconds that a lease is held.
        most_members: how many are known in all; nobody is taken beyond.

    Raises:
        ValueError: one of them can't work.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        allowed: Collection[bytes] | None = None,
        interval: float = 30.0,
        places: int = 8,
        lease: float = 30.0,
        most_members: int = 100_000,
    ) -> None:
        if places < 1 or most_members < 1:
            raise ValueError("places and most_members must be above 0")
        if not (0 < interval < math.inf and 0 < lease < math.inf):
            raise ValueError("interval and lease must be seconds above 0")
        self.interval = interval
        self.places = places
        self.lease_seconds = lease
        self._allowed = None if allowed is None else frozenset(allowed)
        self._most = most_members
        self._runtime = runtime
        self._lock = runtime.lock()
        self._swarms: dict[bytes, _Swarm] = {}
        self._count = 0
        self._tidied = -math.inf

    def announce(self, said: Announcement) -> Neighbours:
        """Note who is there, and name others.

        Who has neighbours in his rack is told of them, and of one or two of
        other racks: what comes to a rack comes there a few times, and then
        goes round inside. They stay the same as long as they are there, or
        in time everybody would know all. Who is alone in his rack is told of
        those who hold leases, and of any. Who has all of it is not told of
        others who have.

        Raises:
            SwarmError: it is not served here, or no more are taken.
        """
        now = self._runtime.monotonic()
        with self._lock:
            swarm = self._swarm(said.image, now)
            self._sweep(swarm, now)
            before = swarm.members.get(said.peer)
            self._forget(swarm, said.peer)
            member = _Member(
                said.host, said.port, _rack(said), not said.left, now
            )
            if before is not None:
                member.far, member.told = before.far, before.told
            named: list[_Member] = []
            if not said.stopped:
                if self._count >= self._most:
                    raise SwarmError("the tracker is full; ask another one")
                most = max(0, min(said.wanted, _MOST_NAMED))
                named = self._others(swarm, member, most, now)
                self._add(swarm, said.peer, member)
            return Neighbours(
                swarm.complete,
                len(swarm.members) - swarm.complete,
                tuple((other.host, other.port) for other in named),
            )

    def lease(self, image: bytes, peer: bytes) -> Grant:
        """A place for ``lease_seconds``, if one is free.

        Who has one keeps it.

        Raises:
            SwarmError: the image is not served here.
        """
        now = self._runtime.monotonic()
        with self._lock:
            swarm = self._swarm(image, now)
            if not swarm.members and not swarm.leased(now):
                swarm.since = now  # those who were here are all gone
            free: int | None = None
            for place, (owner, until) in enumerate(swarm.leases):
                if owner == peer:
                    free = place
                    break
                if until < now and free is None:
                    free = place
            if free is not None:
                until = now + self.lease_seconds
                swarm.leases[free] = peer, until
            return Grant(
                place=free,
                places=self.places,
                seconds=self.lease_seconds,
                holders=tuple(
                    owner for owner, until in swarm.leases if until >= now
                ),
                begins=now - swarm.since < _BEGINS,
            )

    def count(self, image: bytes) -> tuple[int, int]:
        """How many have all of an image, and how many have not.

        Raises:
            SwarmError: it is not served here.
        """
        now = self._runtime.monotonic()
        with self._lock:
            self._check(image)
            swarm = self._swarms.get(image)
            if swarm is None:
                return 0, 0
            self._sweep(swarm, now)
            return swarm.complete, len(swarm.members) - swarm.complete

    def _check(self, image: bytes) -> None:
        if self._allowed is not None and image not in self._allowed:
            raise SwarmError("this image is not served here")

    def _swarm(self, image: bytes, now: float) -> _Swarm:
        self._check(image)
        swarm = self._swarms.get(image)
        if swarm is None:
            self._tidy(now)
            if len(self._swarms) >= self._most:
                raise SwarmError("the tracker is full; ask another one")
            swarm = self._swarms[image] = _Swarm(self.places, now)
        return swarm

    def _tidy(self, now: float) -> None:
        """Forget the images that nobody wants, now and then."""
        if now - self._tidied < self.interval / 2:
            return
        self._tidied = now
        for key, swarm in list(self._swarms.items()):
            self._sweep(swarm, now)
            # Who asks for a lease is no member yet.
            if not swarm.members and not swarm.leased(now):
                del self._swarms[key]

    def _sweep(self, swarm: _Swarm, now: float) -> None:
        if now - swarm.swept < self.interval / 2:
            return
        swarm.swept = now
        late = now - 2.5 * self.interval
        for peer, member in list(swarm.members.items()):
            if member.seen < late:
                self._forget(swarm, peer)

    def _add(self, swarm: _Swarm, peer: bytes, member: _Member) -> None:
        swarm.members[peer] = member
        swarm.racks.setdefault(member.rack, {})[peer] = None
        swarm.complete += member.complete
        self._count += 1
        for other in member.far:
            swarm.members[other].told[peer] = None

    def _forget(self, swarm: _Swarm, peer: bytes) -> None:
        member = swarm.members.pop(peer, None)
        if member is None:
            return
        self._count -= 1
        swarm.complete -= member.complete
        for other in member.far:
            if other in swarm.members:
                swarm.members[other].told.pop(peer, None)
        rack = swarm.racks[member.rack]
        del rack[peer]
        if not rack:
            del swarm.racks[member.rack]

    def _others(
        self, swarm: _Swarm, member: _Member, most: int, now: float
    ) -> list[_Member]:
        """Those to name to one who is not, or no more, among the members."""
        near = swarm.racks.get(member.rack, {})
        named: list[bytes] = []
        if near:
            count = min(max(_FAR, _FEWEST - len(near)), most)
            far = self._far(swarm, member, near, count)
            member.far = dict.fromkeys(far)
            named = far[:count]
            named += self._some(near, most - len(named))
        else:
            leases = [
                peer
                for peer, until in swarm.leases
                if until >= now and peer in swarm.members
            ]
            named = self._some(leases, most)
            named += [
                peer
                for peer in self._some(swarm.members, most)
                if peer not in named
            ][: most - len(named)]
            # Of many some will do, to tell who is known to whom.
            member.far = dict.fromkeys(named[-_FEWEST:])
        return [
            other
            for other in map(swarm.members.__getitem__, named)
            if not (member.complete and other.complete)
        ]

    def _far(
        self,
        swarm: _Swarm,
        member: _Member,
        near: Collection[bytes],
        count: int,
    ) -> list[bytes]:
        """Those of other racks that it knows; at least so many, if there
        are."""
        far = [p for p in member.far if p in swarm.members and p not in near]
        # Who was told of it knows it anyway.
        for peer in member.told:
            if len(far) < count and peer not in near and peer not in far:
                far.append(peer)
        if len(far) < min(count, len(swarm.members) - len(near)):
            known = {*near, *far}
            rest = [peer for peer in swarm.members if peer not in known]
            some = self._some(rest, _CHOICE * count)
            # Not those who know the fewest: who asks for nobody, or is new
            # all the time, knows nobody.
            some.sort(key=lambda peer: len(swarm.members[peer].told))
            far += some[: count - len(far)]
        return far

    def _some(self, peers: Collection[bytes], count: int) -> list[bytes]:
        count = min(len(peers), count)
        return self._runtime.random.sample(list(peers), count)


def _rack(said: Announcement) -> bytes:
    """The rack that a peer id says, or else the network."""
    tag = said.peer[_TAG]
    if said.peer.startswith(_OURS) and tag != _NO_TAG:
        return tag
    address = ipaddress.ip_address(said.host)
    prefix = 24 if address.version == 4 else 64
    network = ipaddress.ip_network((address, prefix), strict=False)
    return network.network_address.packed
