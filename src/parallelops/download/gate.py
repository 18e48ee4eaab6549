"""Who may go to the origin, and for what: gates, and the decision.

A gate is asked again and again while a download goes on. It knows what an
agent can see: itself, those it is connected to, and how many there are as
the tracker says. With that it answers for one extent at a time, and without
a coordinator all come to nearly the same answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Always",
    "Decision",
    "Gate",
    "Lottery",
    "Nearby",
    "Never",
    "Outlook",
    "Pass",
    "Rendezvous",
    "Shares",
    "View",
    "decide",
]

FETCHERS = 8
"""How many go to the origin at the same time, unless something is said."""

WHOLE = 1 << 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an agent sees of a swarm.

    Attributes:
        image: the info-hash.
        me: its own peer id.
        peers: the ids of those it is connected to and that are not done.
        extents: how many extents the image has.
        members: how many take part in all, as far as anybody knows.
        now: seconds on the runtime's clock.
    """

    image: bytes
    me: bytes
    peers: tuple[bytes, ...] = ()
    extents: int = 1
    members: int = 0
    now: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Pass:
    """What a gate says.

    Attributes:
        owns: whether an extent, by its number, is to be read from the
            origin here; None if none is.
        reason: why, in words.
        steals: whether one who has nothing to do may take over what others
            have not begun.
        at_once: there is nobody yet who could have it, so there is no need
            to look for others first.
        pending: what is decided is not known yet, so even the last resort
            has to wait.
        tracked: the tracker has shown that it is there, so those whom it
            names may come late.
        failure: what could not be asked; empty if nothing failed.
        start: where to begin in the order that all go by, as a part of it.
            Those who begin apart seldom meet, whatever they know of each
            other.
    """

    owns: Callable[[int], bool] | None
    reason: str
    steals: bool = True
    at_once: bool = False
    pending: bool = False
    tracked: bool = False
    failure: str = ""
    start: float = 0.0


class Gate(Protocol):
    """Says who may go to the origin. It is called in one thread."""

    def admit(self, view: View) -> Pass:
        """Whether this agent may, as things are."""


def weight(*parts: bytes) -> int:
    """A number below 2 to the 64 that is the same for everybody."""
    made = hashlib.blake2b(digest_size=8)
    for part in parts:
        made.update(len(part).to_bytes(4, "big") + part)
    return int.from_bytes(made.digest(), "big")


class Shares:
    """Which extents are whose, as long as the fetchers stay the same.

    Each extent goes to the fetcher with the highest number for it that has
    not its share yet. That is rendezvous hashing (Thaler and Ravishankar,
    1998) with bounded loads (Mirrokni and others, 2016): whoever sees the
    same fetchers comes to the same, all have as much to do, and when one
    goes little more than its extents gets another owner.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[object, frozenset[int]]] = {}

    def of(
        self, view: View, fetchers: Iterable[bytes]
    ) -> Callable[[int], bool]:
        """Whether an extent is mine."""
        agents = sorted({view.me, *fetchers})
        key = view.extents, view.me, tuple(agents)
        known, mine = self._known.get(view.image, (None, frozenset()))
        if key != known:
            mine = self._shared(view, agents)
            self._known[view.image] = key, mine
        return mine.__contains__

    @staticmethod
    def _shared(view: View, agents: list[bytes]) -> frozenset[int]:
        most = -(-view.extents // len(agents))
        loads = dict.fromkeys(agents, 0)
        mine = []
        for extent in range(view.extents):
            number = extent.to_bytes(8, "big")
            owner = max(
                (agent for agent in agents if loads[agent] < most),
                key=lambda agent: weight(view.image, number, agent),
            )
            loads[owner] += 1
            if owner == view.me:
                mine.append(extent)
        return frozenset(mine)


def _count(fetchers: int) -> int:
    if fetchers < 1:
        raise ValueError(f"fetchers must be above 0, not {fetchers!r}")
    return fetchers


class Rendezvous:
    """The agents of a view agree on a few, and share the extents.

    For swarms in which an agent sees most of the others: some hundreds.

    Args:
        fetchers: how many may go at the same time.
    """

    def __init__(self, fetchers: int = FETCHERS) -> None:
        self._fetchers = _count(fetchers)
        self._shares = Shares()

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        known = {view.me, *view.peers}
        first = sorted(
            known, key=lambda peer: weight(view.image, peer), reverse=True
        )[: self._fetchers]
        if view.me not in first:
            return Pass(None, f"{len(first)} others that are known go")
        return Pass(
            self._shares.of(view, first), f"one of {len(first)} that go"
        )


class Lottery:
    """Each agent draws a lot; about ``fetchers`` of them win.

    For swarms of which an agent sees a small part. The lot is made of an
    agent's peer id, so that it can tell who else has won.

    Args:
        fetchers: how many shall win.
    """

    def __init__(self, fetchers: int = FETCHERS) -> None:
        self._fetchers = _count(fetchers)
        self._shares = Shares()

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        members = max(view.members, len(view.peers) + 1)
        limit = WHOLE * self._fetchers // members
        if not self._wins(view, view.me, limit):
            return Pass(None, f"no lot, {self._fetchers} in {members} win")
        winners = [
            peer for peer in view.peers if self._wins(view, peer, limit)
        ]
        return Pass(
            self._shares.of(view, winners),
            f"a lot, {self._fetchers} in {members} win",
        )

    @staticmethod
    def _wins(view: View, peer: bytes, limit: int) -> bool:
        return weight(b"lottery", view.image, peer) < limit


class Nearby:
    """A rendezvous of those who see most of the swarm; else a lottery.

    Args:
        fetchers: how many may go at the same time.
    """

    def __init__(self, fetchers: int = FETCHERS) -> None:
        self._few = Rendezvous(fetchers)
        self._many = Lottery(fetchers)

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        if view.members > 2 * (len(view.peers) + 1):
            return self._many.admit(view)
        return self._few.admit(view)


class Always:
    """Every agent goes, for what its rendezvous with the others gives it.

    For an origin that is much faster than the agents.
    """

    def __init__(self) -> None:
        self._shares = Shares()

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        return Pass(self._shares.of(view, view.peers), "everybody goes")


class Never:
    """No agent goes, unless the swarm stands still."""

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        return Pass(None, "nobody goes", steals=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Where to go.

    Attributes:
        way: "origin", "swarm" or "both".
        reason: why, in words.
        admitted: what may be read from the origin.
    """

    way: str
    reason: str
    admitted: Pass


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a decision is made of.

    Attributes:
        view: what is seen of the swarm.
        missing: pieces that are not here.
        nowhere: pieces that neither are here nor at anybody seen.
        origin: why the origin can't be used; empty if it can.
        stalled: nothing has come for so long that something must be done.
    """

    view: View
    missing: int
    nowhere: int
    origin: str = ""
    stalled: bool = False


def decide(outlook: Outlook, gate: Gate) -> Decision:
    """Look at the swarm, and say where to go.

    Returns:
        "swarm" if the origin has nothing that others don't have, can't be
        used, or is left to others; "origin" if there is nobody to share
        with; and "both" otherwise.
    """
    if outlook.origin:
        closed = Pass(None, outlook.origin, steals=False)
        return Decision("swarm", f"the origin: {outlook.origin}", closed)
    if not outlook.nowhere and not outlook.stalled:
        closed = Pass(None, "the swarm has all of it", steals=False)
        return Decision("swarm", closed.reason, closed)
    passed = gate.admit(outlook.view)
    if outlook.stalled and not passed.pending:
        passed = Pass(
            lambda extent: False,
            "nothing came for too long",
            tracked=passed.tracked,
        )
        return Decision("both", passed.reason, passed)
    if passed.owns is None:
        return Decision("swarm", passed.reason, passed)
    if not outlook.view.peers and outlook.missing == outlook.nowhere:
        reasons = filter(None, ("nobody else is there", passed.failure))
        return Decision("origin", "; ".join(reasons), passed)
    return Decision("both", passed.reason, passed)
