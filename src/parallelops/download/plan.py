"""What to read from the origin, and when: what an agent does in a herd.

It sees the swarm and has the gate's answer. It neither reads nor waits, so
that a simulation can ask it as well.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

from parallelops.download.extents import Extents
from parallelops.download.gate import FETCHERS, Outlook, View, decide
from parallelops.download.whole import Whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from parallelops.download.extents import Runs
    from parallelops.download.gate import Decision, Gate
    from parallelops.download.member import MemberView
    from parallelops.download.torrent import Torrent
    from parallelops.runtime import Runtime

__all__ = ["HerdOptions", "Plan"]

# The same others for so long are all that will come for now.
_SETTLED = 0.2
# Seconds, or up to twice as many, before one who is idle takes over what
# others have not begun, and what they have.
_SPARE = 0.25
_STUCK = 1.0
# With so many parts left, two who take one at random seldom take the same.
_PLENTY = 8
# Where it takes no longer to hear of a piece, parts are pieces, not extents.
_QUICK = 0.5
# Reads become shorter when there are not so many times as many of them left as
# there are readers: all have something to read until nothing is left.
_ROUNDS = 2
# And as many times what the swarm needs to bring something new.
_QUIET = 2.0
# A tracker that is asked by ten thousand at once takes as long; who does not
# wait for it believes that nobody else is there. One that has given no sign
# is waited for no longer than this.
_UNHEARD, _SILENT = 30.0, 5.0
# So many there may be where others go to the origin, and nobody is seen.
_UNSEEN = 8192
_PACES = 8
# A pause is halved so many times at the most, and a chance doubled.
_HALVED = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HerdOptions:
    """How patient an agent is. All are seconds.

    Attributes:
        grace: to find others before anything is read from the origin, up to
            three times as long. It ends early once there are some.
        stall: without anything new from others, before one who may not go
            to the origin goes all the same; up to twice as long.
        patience: without anything new at all, before the swarm is given up.
        connections: how many parts are read from the origin at the same
            time.
    """

    grace: float = 0.5
    stall: float = 8.0
    patience: float = 300.0
    connections: int = 1


class Plan:
    """One image on its way, as an agent sees it.

    Args:
        torrent: of the image.
        me: the agent's peer id.
        gate: who may go to the origin.
        options: how patient it is.
        runtime: where the clock and chance come from.

    Attributes:
        decision: the last one; None before the first.
        count: how many pieces are here.
        gained: when there was something new at all.
        stalled: nothing has come from others for too long.
    """

    def __init__(
        self,
        torrent: Torrent,
        me: bytes,
        gate: Gate,
        options: HerdOptions,
        runtime: Runtime,
    ) -> None:
        self.decision: Decision | None = None
        self.count = 0
        self.stalled = False
        self._torrent = torrent
        self._me = me
        self._gate = gate
        self._runtime = runtime
        self._extents = Extents(torrent)
        now, chance = runtime.monotonic(), runtime.random
        # When to begin at the latest, and how long to wait for others.
        self._begin = now + options.grace * (1 + 2 * chance.random())
        self._stall = options.stall * (1 + chance.random())
        self._patience = 1 + chance.random()
        self._known: set[bytes] = set()
        self._known_since = now
        self.gained = self._heard = now
        self._received = 0
        # How many pieces were read since a stall, and when to read another.
        self._helped = 0
        self._help_at = now
        # How many times in a row nothing has come for too long.
        self._draws = 0
        self._whole = Whole(runtime)
        self._idle_since: float | None = None
        self._spares = 0  # pieces of others that were read in a row
        # What nobody has; since when it is so little, and how long it took
        # each time to become less.
        self._nowhere: list[int] = []
        self._readers = 1  # at the most
        self._least = len(torrent)
        self._least_since = now
        self._paces: collections.deque[float] = collections.deque(
            maxlen=_PACES
        )

    def look(self, view: MemberView, reading: bool) -> None:
        """Take in what is seen; ``reading`` says that a read is under way."""
        now = self._runtime.monotonic()
        count = sum(view.have)
        if count > self.count:
            self.count, self.gained = count, now
        if view.received > self._received or view.checking:
            self._heard, self.stalled = now, False
            self._helped = self._draws = 0
        self._received = view.received
        if reading and not self.stalled:
            self._heard = now
        if not self.stalled and now - self._heard > self._stall:
            self._draw(view, now)
        self._readers = min(1 + len(view.peers), FETCHERS)
        self._nowhere = [
            piece
            for piece, (here, elsewhere) in enumerate(
                zip(view.have, view.availability, strict=True)
            )
            if not here and not elsewhere
        ]
        if len(self._nowhere) < self._least:
            self._paces.append(now - self._least_since)
            self._least, self._least_since = len(self._nowhere), now

    def _draw(self, view: MemberView, now: float) -> None:
        """Nothing has come for too long: go to the origin, or wait again.

        In a swarm of thousands that begins, many have nothing for long. So
        about as many go as a gate would let through, twice as many the next
        time, and in the end everybody.
        """
        self._draws += 1
        members = view.members
        if self._left_to_others and not view.peers:
            # They are still to be found, and nobody knows how many look.
            members = max(members, _UNSEEN)
        chance = FETCHERS * 2 ** min(self._draws - 1, _HALVED) / members
        if self._runtime.random.random() < chance:
            self.stalled, self._help_at = True, now
        else:
            self._heard = now

    @property
    def _left_to_others(self) -> bool:
        decision = self.decision
        return decision is not None and decision.admitted.owns is None

    def may_begin(self, view: MemberView) -> bool:
        """All that was there is checked, and others had time to come, or
        are known to have nothing."""
        now = self._runtime.monotonic()
        known = {peer.id for peer in view.peers}
        if known != self._known:
            self._known, self._known_since = known, now
        settled = bool(known) and now - self._known_since >= _SETTLED
        admitted = None if self.decision is None else self.decision.admitted
        begin = self._begin
        if not view.heard:
            tracked = admitted is not None and admitted.tracked
            begin += _UNHEARD if tracked else _SILENT
        ready = settled or bool(self.count) or now >= begin
        if admitted is not None:
            ready = ready or admitted.at_once
        return ready and not view.checking

    def decide(self, view: MemberView, closed: str) -> Decision:
        """Where to go now; ``closed`` says why not to the origin."""
        outlook = Outlook(
            view=View(
                image=self._torrent.info_hash,
                me=self._me,
                peers=tuple(
                    peer.id for peer in view.peers if not peer.complete
                ),
                extents=len(self._extents),
                members=view.members,
                now=self._runtime.monotonic(),
            ),
            missing=len(view.have) - self.count,
            nowhere=len(self._nowhere),
            origin=closed,
            stalled=self.stalled,
        )
        self.decision = decide(outlook, self._gate)
        return self.decision

    def reads(
        self, view: MemberView, taken: Collection[int], reading: bool
    ) -> Iterator[range]:
        """What to read from the origin now, in this order, as far as more
        can be read.

        Args:
            view: what was seen last.
            taken: pieces that are on their way from the origin.
            reading: whether a read is under way.
        """
        if self.decision is None or self.decision.way == "swarm":
            return
        if self.stalled:
            wanted = (p for p, here in enumerate(view.have) if not here)
            yield from self._help(wanted, taken, reading)
            return
        admitted = self.decision.admitted
        runs = self._extents.runs(
            (p for p in self._nowhere if p not in taken),
            admitted.owns or (lambda extent: False),
            admitted.start,
        )
        most = self._longest_read
        yield from (pieces[:most] for pieces in runs.own)
        if runs.own:
            self._idle_since, self._spares = None, 0
        elif admitted.steals and not reading:
            yield from self._spare(runs)

    def reads_on(
        self, view: MemberView, position: int, brought: Collection[int]
    ) -> bool:
        """Whether to read on in a source that is read from begin to end.

        Args:
            view: what was seen last.
            position: the piece that comes next.
            brought: pieces that were read there.
        """
        assert self.decision is not None  # noqa: S101 - for types
        goes_on = self._whole.goes_on(
            position,
            brought,
            self._nowhere,
            self.decision,
            self._quiet * self._patience,
        )
        if self.stalled and self.decision.way != "swarm":
            # Whatever others say that they have: it does not come.
            missing = (p for p, here in enumerate(view.have) if not here)
            return any(piece not in brought for piece in missing)
        return goes_on

    @property
    def _longest_read(self) -> int:
        """Pieces; fewer as the end comes, so that all come to it together.

        It is guided self-scheduling (Polychronopoulos and Kuck, 1987).
        """
        return max(1, len(self._nowhere) // (_ROUNDS * self._readers))

    @property
    def _quiet(self) -> float:
        """Seconds after which whoever had something to do may be gone."""
        return max(_STUCK, self._news)

    @property
    def _news(self) -> float:
        """Seconds after which one should have heard of a piece."""
        return _QUIET * max(self._paces, default=0.0)

    def _help(
        self, wanted: Iterable[int], taken: Collection[int], reading: bool
    ) -> Iterator[range]:
        """A piece that does not come.

        A swarm that is only slow is not to have all its members at the
        origin at once. So the pause begins with what the stall took, and is
        halved with each piece.
        """
        now = self._runtime.monotonic()
        missing = [piece for piece in wanted if piece not in taken]
        if missing and now >= self._help_at and not reading:
            piece = self._runtime.random.choice(missing)
            self._help_at = now + self._stall / 2 ** min(self._helped, _HALVED)
            self._helped += 1
            yield range(piece, piece + 1)

    def _spare(self, runs: Runs) -> Iterator[range]:
        """A piece of somebody else's, who may be gone.

        The origin is busy all the same, as long as somebody reads. So there
        is time to see what others do, and to take one piece at a time: all
        who are idle look for something at the same moment. A swarm that is
        slow to tell what it has is given more time. With each piece the pause
        is halved: whoever had them has not come back.
        """
        now, chance = self._runtime.monotonic(), self._runtime.random
        if self._idle_since is None:
            self._idle_since = now
        since, pause = self._idle_since, self._quiet
        # Their owners come from the other end, if they come.
        ahead = self._longest_read
        late = runs.others[len(runs.others) // 2 :] or [
            pieces[ahead:] for pieces in runs.begun if len(pieces) > ahead
        ]
        parts = len(runs.others)
        if self._news <= _QUICK:
            parts = sum(map(len, late))
        if parts >= _PLENTY:
            pause = max(_SPARE, self._news)
        else:
            # Who has them is at work, as long as they become less.
            since = max(since, self._least_since)
        spare = late or [pieces[-1:] for pieces in runs.begun]
        pause *= self._patience / 2 ** min(self._spares, _HALVED)
        if spare and now - since >= pause:
            self._spares += 1
            piece = chance.choice(chance.choice(spare))
            yield range(piece, piece + 1)
