"""Downloads an image together with others who want the same.

What a swarm does not have is read from the origin by those whom the gate
lets through, and handed on to the others.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from parallelops.download.feed import Feed
from parallelops.download.gate import Outlook, View, decide, weight
from parallelops.errors import SwarmError, TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelops.download.gate import Decision, Gate
    from parallelops.download.member import Member, MemberView
    from parallelops.download.transfer import Transfer
    from parallelops.executor import Executor
    from parallelops.origin import Source

__all__ = ["Herd", "HerdOptions"]

_log = logging.getLogger(__name__)

_EXTENTS = 64  # at least, so that many can have a share
_LARGEST_EXTENT = 16 << 20  # bytes
_FLUSH = 120.0  # seconds
# The same others for so long are all that will come for now.
_SETTLED = 0.2
# Seconds, or up to twice as many, before one who is idle takes over what
# others have not begun, and what they have.
_SPARE = 0.25
_STUCK = 1.0


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


class Herd:
    """One image on its way, from a swarm and from the origin.

    Args:
        executor: reads from the origin.
        member: the image in its swarm.
        sources: the origin, the best first. May be none.
        gate: who may go there.
        transfer: its end, and its progress.
        options: how patient it is.

    Attributes:
        decision: the last one; None before the first.
        from_swarm: bytes that came from others.
        peers: how many others there were at the most.
        feed: what is read from the origin.
    """

    def __init__(
        self,
        executor: Executor,
        member: Member,
        sources: Sequence[Source],
        gate: Gate,
        transfer: Transfer,
        options: HerdOptions,
    ) -> None:
        self.decision: Decision | None = None
        self.from_swarm = 0
        self.peers = 0
        self.feed = Feed(executor, member, sources, options.connections)
        self._runtime = executor.runtime
        self._member = member
        self._torrent = member.torrent
        self._gate = gate
        self._transfer = transfer
        self._options = options
        self._have: Sequence[bool] = ()
        size = self._torrent.piece_size
        self._per_extent = max(
            1, min(len(self._torrent) // _EXTENTS, _LARGEST_EXTENT // size)
        )
        # All go through their extents in the same order.
        self._order = [
            weight(self._torrent.info_hash, extent.to_bytes(8, "big"))
            for extent in range(-(-len(self._torrent) // self._per_extent))
        ]
        now, chance = self._runtime.monotonic(), self._runtime.random
        # When to begin at the latest, and how long to wait for others.
        self._begin = now + options.grace * (1 + 2 * chance.random())
        self._stall = options.stall * (1 + chance.random())
        self._known: set[bytes] = set()
        self._known_since = now
        # When there was something new at all, and from others.
        self._count = 0
        self._gained = self._heard = now
        self._stalled = False
        # How many pieces were read since, and when to read the next.
        self._helped = 0
        self._help_at = now
        self._idle_since: float | None = None
        self._patience = 1 + chance.random()

    @property
    def member(self) -> Member:
        """The image in its swarm."""
        return self._member

    def written(self) -> Iterator[tuple[int, int]]:
        """What is on the file, after :meth:`run` failed, as far as that can
        be told: from byte to byte.

        Raises:
            SwarmError: that can't be told.
        """
        have = list(self._have)
        self._member.flush(_FLUSH)
        begin: int | None = None
        for piece, here in enumerate([*have, False]):
            if here and begin is None:
                begin = piece
            if not here and begin is not None:
                first, _ = self._torrent.piece(begin)
                yield first, self._torrent.piece(piece - 1)[1]
                begin = None

    def run(self) -> None:
        """Have all of it on the file.

        Raises:
            TransferError: nothing comes any more, or it takes too long.
            SwarmError: the swarm broke.
            FetchCancelled: it was called off.
        """
        try:
            while True:
                view = self._look()
                if all(view.have):
                    if self.decision is None:
                        self._decide(view)
                    break
                if self._may_begin(view):
                    self._decide(view)
                    self._read(view)
                self.feed.wait()
        finally:
            self.feed.stop()
        self._member.flush(_FLUSH)

    def _may_begin(self, view: MemberView) -> bool:
        """All that was there is checked, and others had time to come."""
        now = self._runtime.monotonic()
        known = {peer.id for peer in view.peers}
        if known != self._known:
            self._known, self._known_since = known, now
        settled = bool(known) and now - self._known_since >= _SETTLED
        ready = settled or bool(self._count) or now >= self._begin
        return ready and not view.checking

    def _read(self, view: MemberView) -> None:
        """Read from the origin what is to be read here."""
        own, others, begun = self._runs(view)
        if self._stalled:
            self._help(own)
            return
        for pieces in own:
            if not self.feed.start(pieces):
                break
        if own:
            self._idle_since = None
        if own or self.feed.busy:
            return
        now, chance = self._runtime.monotonic(), self._runtime.random
        if self._idle_since is None:
            self._idle_since = now
        # The origin is busy all the same, as long as somebody reads. So there
        # is time to see what others do, and to take one piece at a time: all
        # who are idle look for something at the same moment.
        waited = (now - self._idle_since) / self._patience
        spare = others or begun
        if spare and waited >= (_SPARE if others else _STUCK):
            piece = chance.choice(chance.choice(spare))
            self.feed.start(range(piece, piece + 1))

    def _help(self, runs: list[range]) -> None:
        """Read a piece that does not come.

        A swarm that is only slow is not to have all its members at the
        origin at once. So the pause begins with what the stall took, and is
        halved with each piece.
        """
        now, chance = self._runtime.monotonic(), self._runtime.random
        if runs and now >= self._help_at and not self.feed.busy:
            piece = chance.choice(chance.choice(runs))
            self.feed.start(range(piece, piece + 1))
            self._help_at = now + self._stall / 2**self._helped
            self._helped += 1

    # -- looking and deciding

    def _look(self) -> MemberView:
        view = self._member.view()
        if view.error:
            raise SwarmError(f"the swarm broke: {view.error}")
        self._have = view.have
        self.peers = max(self.peers, len(view.peers))
        self.feed.look(view.have)
        self._transfer.arrived(view.have)
        now = self._runtime.monotonic()
        count = sum(view.have)
        if count > self._count:
            self._count, self._gained = count, now
        if view.received > self.from_swarm or view.checking:
            self._heard, self._stalled, self._helped = now, False, 0
        if self.feed.busy and not self._stalled:
            self._heard = now
        if not self._stalled and now - self._heard > self._stall:
            self._stalled, self._help_at = True, now
        self.from_swarm = view.received
        self._transfer.check()
        if now - self._gained > self._options.patience:
            raise TransferError(
                f"nothing came for {self._options.patience:g} seconds; "
                + ("; ".join(self.feed.failures) or "no origin was asked")
            )
        size, total = self._torrent.piece_size, self._torrent.size
        self._transfer.tell(min(count * size, total), total)
        return view

    def _decide(self, view: MemberView) -> None:
        outlook = Outlook(
            view=View(
                image=self._torrent.info_hash,
                me=self._member.id,
                peers=tuple(
                    peer.id for peer in view.peers if not peer.complete
                ),
                extents=len(self._order),
                members=view.members,
                now=self._runtime.monotonic(),
            ),
            missing=view.have.count(False),
            nowhere=sum(1 for _ in self._nowhere(view)),
            origin=self.feed.closed,
            stalled=self._stalled,
        )
        before = self.decision
        self.decision = decide(outlook, self._gate)
        if before is None or before.way != self.decision.way:
            _log.info(
                "image %s: %s, because %s",
                self._torrent.info_hash.hex()[:12],
                self.decision.way,
                self.decision.reason,
            )

    @staticmethod
    def _nowhere(view: MemberView) -> Iterator[int]:
        for piece, (here, elsewhere) in enumerate(
            zip(view.have, view.availability, strict=True)
        ):
            if not here and not elsewhere:
                yield piece

    def _runs(
        self, view: MemberView
    ) -> tuple[list[range], list[range], list[range]]:
        """What to read here; what of others, who have not begun with it;
        and what of others who have.

        Each is a part of one extent. All go through their extents in the
        same order, by a hash. So who takes over what is late in it comes
        seldom in the way of its owner.
        """
        decision = self.decision
        if decision is None or decision.way == "swarm":
            return [], [], []
        wanted: Iterator[int] = self._nowhere(view)
        if self._stalled:
            wanted = (p for p, here in enumerate(view.have) if not here)
        owns = decision.admitted.owns or (lambda extent: False)
        own: list[tuple[int, range]] = []
        others: list[tuple[int, range]] = []
        begun: list[tuple[int, range]] = []
        taken = self.feed.taken()
        for extent, pieces in self._extents(
            p for p in wanted if p not in taken
        ):
            first = extent * self._per_extent
            last = min(first + self._per_extent, len(self._torrent))
            run = self._order[extent], pieces
            if self._stalled or owns(extent):
                own.append(run)
            elif len(pieces) == last - first:
                others.append(run)
            else:
                begun.append(run)
        mine = _in_order(own)
        if not decision.admitted.steals:
            return mine, [], []
        late = _in_order(others)[len(others) // 2 :]
        # Their owners come from the other end, if they come.
        return mine, late, [pieces[-1:] for pieces in _in_order(begun)]

    def _extents(self, wanted: Iterator[int]) -> Iterator[tuple[int, range]]:
        """Runs of consecutive pieces, cut where extents end."""
        begin = last = -1
        for piece in wanted:
            if piece != last + 1 or piece % self._per_extent == 0:
                if begin >= 0:
                    yield begin // self._per_extent, range(begin, last + 1)
                begin = piece
            last = piece
        if begin >= 0:
            yield begin // self._per_extent, range(begin, last + 1)


def _in_order(runs: list[tuple[int, range]]) -> list[range]:
    return [pieces for _, pieces in sorted(runs, key=lambda run: run[0])]
