"""Downloads an image together with others who want the same.

What a swarm does not have is read from the origin by those whom the gate
lets through, and handed on to the others.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parallelops.download.feed import Feed
from parallelops.download.order import Order
from parallelops.download.plan import HerdOptions, Plan
from parallelops.errors import SwarmError, TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelops.download.device import DeviceMember
    from parallelops.download.gate import Decision, Gate
    from parallelops.download.member import Member, MemberView
    from parallelops.download.transfer import Transfer
    from parallelops.executor import Executor
    from parallelops.origin import Source

__all__ = ["Herd"]

_log = logging.getLogger(__name__)

_FLUSH = 120.0  # seconds
_TICK, _SLOW_TICK = 0.05, 0.2


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
        from_swarm: bytes that came from others.
        peers: how many others there were at the most.
        feed: what is read from the origin.
    """

    def __init__(
        self,
        executor: Executor,
        member: Member | DeviceMember,
        sources: Sequence[Source],
        gate: Gate,
        transfer: Transfer,
        options: HerdOptions,
    ) -> None:
        self.from_swarm = 0
        self.peers = 0
        self.feed = Feed(executor, member, sources, options.connections)
        self._runtime = executor.runtime
        self._member = member
        self._torrent = member.torrent
        self._transfer = transfer
        self._options = options
        self._have: Sequence[bool] = ()
        self._order = Order(executor.runtime)
        self._plan = Plan(
            member.torrent, member.id, gate, options, executor.runtime
        )

    @property
    def member(self) -> Member | DeviceMember:
        """The image in its swarm."""
        return self._member

    @property
    def decision(self) -> Decision | None:
        """The last one; None before the first."""
        return self._plan.decision

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
                self._decide(view)
                if self._plan.may_begin(view):
                    self._read(view)
                self._wait()
        finally:
            self.feed.stop()
        self._member.flush(_FLUSH)

    def _wait(self) -> None:
        """Until there may be something to do, but not for long."""
        decision = self.decision
        if self.feed.busy:
            self.feed.wait(_TICK)
        elif (
            decision is not None
            and decision.admitted.owns is None
            and not decision.admitted.pending
        ):
            # Others go; a swarm of many is a lot to look at.
            self._member.wait(_SLOW_TICK)
        else:
            self._member.wait(_TICK)

    def _read(self, view: MemberView) -> None:
        """Read from the origin what is to be read here."""
        position = self.feed.position
        if position is not None:
            goes_on = self._plan.reads_on(view, position, self.feed.brought)
            self.feed.follow(goes_on)
            return
        for pieces in self._plan.reads(
            view, self.feed.taken(), self.feed.busy
        ):
            if not self.feed.start(pieces):
                return

    def _look(self) -> MemberView:
        view = self._member.view()
        if view.error:
            raise SwarmError(f"the swarm broke: {view.error}")
        self._have = view.have
        self.peers = max(self.peers, len(view.peers))
        self.feed.look(view.have)
        self._transfer.arrived(view.have)
        self._plan.look(view, self.feed.busy)
        if self._transfer.in_order:
            self._member.take_in_order(self._order.look(view))
        self.from_swarm = view.received
        self._transfer.check()
        quiet = self._runtime.monotonic() - self._plan.gained
        if quiet > self._options.patience:
            raise TransferError(
                f"nothing came for {self._options.patience:g} seconds; "
                + ("; ".join(self.feed.failures) or "no origin was asked")
            )
        size, total = self._torrent.piece_size, self._torrent.size
        self._transfer.tell(min(self._plan.count * size, total), total)
        return view

    def _decide(self, view: MemberView) -> None:
        before = self.decision
        decision = self._plan.decide(view, self.feed.closed)
        if before is None or before.way != decision.way:
            _log.info(
                "image %s: %s, because %s",
                self._torrent.info_hash.hex()[:12],
                decision.way,
                decision.reason,
            )
