"""Downloads an image together with others who want the same.

What a swarm does not have is read from the origin by those whom the gate
lets through, and handed on to the others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING

from parallelops.download.gate import Outlook, View, decide, weight
from parallelops.errors import (
    DataMismatch,
    ExecutorSaturated,
    SwarmError,
    TransferError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from parallelops.download.gate import Decision, Gate
    from parallelops.download.source import Origin, Source
    from parallelops.download.swarm import Member, MemberView
    from parallelops.download.transfer import Transfer
    from parallelops.executor import Executor

__all__ = ["Herd", "HerdOptions"]

_log = logging.getLogger(__name__)

_TICK = 0.05  # seconds
_EXTENTS = 64  # at least, so that many can have a share
_LARGEST_EXTENT = 16 << 20
_MOST_UNCHECKED = 64 << 20
_UNCHECKED_FOR = 10.0  # seconds
_PAUSE = 5.0
_FLUSH = 120.0
_HASH = 20
_SETTLED = 0.15
# Seconds, or up to twice as many, before one who is idle takes over what
# others have not begun, and what they have.
_SPARE = 0.25
_STUCK = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HerdOptions:
    """How patient an agent is. All are seconds.

    Attributes:
        grace: to find others before anything is read from the origin, up to
            about three times as long.
        stall: without anything new from others, before one who may not go
            to the origin goes all the same; up to twice as long.
        patience: without anything new at all, before the swarm is given up.
        connections: how many parts are read from the origin at the same
            time.
    """

    grace: float = 0.3
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
        decision: the last one.
        from_origin: bytes that came from there.
        from_swarm: bytes that came from others.
        peers: how many others there were at the most.
        failures: what went wrong at the origin.
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
        self.from_origin = 0
        self.from_swarm = 0
        self.peers = 0
        self.failures: list[str] = []
        self._executor = executor
        self._runtime = executor.runtime
        self._member = member
        self._torrent = member.torrent
        self._gate = gate
        self._transfer = transfer
        self._options = options
        self._sources = list(sources)
        self._origin: Origin | None = None
        self._closed_until = 0.0
        self._why_closed = "" if sources else "there is none"
        self._stopping = False
        self._known: set[bytes] = set()
        self._known_since = 0.0
        self._have: Sequence[bool] = ()
        # Pieces that somebody here reads, and those that were handed in,
        # with the time.
        self._reading: set[int] = set()
        self._unchecked: dict[int, float] = {}
        self._reads: dict[Future[None], range] = {}
        size = self._torrent.piece_size
        self._per_extent = max(
            1, min(len(self._torrent) // _EXTENTS, _LARGEST_EXTENT // size)
        )

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
            self._run()
        finally:
            self._stop()
        self._member.flush(_FLUSH)

    def _run(self) -> None:
        now = self._runtime.monotonic
        chance = self._runtime.random
        options = self._options
        start = now() + options.grace * (1 + 2 * chance.random())
        stall = options.stall * (1 + chance.random())
        gained = heard = now()
        idle: float | None = None
        patience = 1 + chance.random()
        done = received = 0
        stalled = False
        while True:
            view = self._look()
            if all(view.have):
                return
            count = sum(view.have)
            if count > done:
                done, gained = count, now()
            if view.received > received or view.checking:
                received, heard, stalled = view.received, now(), False
            if self._reads and not stalled:
                heard = now()
            stalled = stalled or now() - heard > stall
            if now() - gained > options.patience:
                raise TransferError(
                    f"nothing came for {options.patience:g} seconds; "
                    + ("; ".join(self.failures) or "no origin was asked")
                )
            self._reap()
            ready = now() >= start or count or self._is_settled(view)
            if ready and not view.checking:
                self._decide(view, stalled)
                own, others, begun = self._runs(view, stalled)
                for pieces in own:
                    if not self._start(pieces):
                        break
                if self._reads or own:
                    idle = None
                else:
                    idle = now() if idle is None else idle
                    # The origin is busy all the same, as long as somebody
                    # reads. All who take over at the same time collide.
                    waited = (now() - idle) / patience
                    if waited >= (_SPARE if others else _STUCK):
                        spare = others or begun
                        if spare:
                            self._start(chance.choice(spare))
                            patience = 1 + chance.random()
            self._wait()

    def _is_settled(self, view: MemberView) -> bool:
        """There are others, and no new ones for a moment."""
        now = self._runtime.monotonic()
        known = {peer.id for peer in view.peers}
        if known != self._known:
            self._known, self._known_since = known, now
        return bool(known) and now - self._known_since >= _SETTLED

    # -- looking and deciding

    def _look(self) -> MemberView:
        view = self._member.view()
        if view.error:
            raise SwarmError(f"the swarm broke: {view.error}")
        self._have = view.have
        self.from_swarm = view.received
        self.peers = max(self.peers, len(view.peers))
        late = self._runtime.monotonic() - _UNCHECKED_FOR
        for piece, since in list(self._unchecked.items()):
            if view.have[piece] or since < late:
                del self._unchecked[piece]
        self._transfer.check()
        size, total = self._torrent.piece_size, self._torrent.size
        self._transfer.tell(min(sum(view.have) * size, total), total)
        return view

    def _decide(self, view: MemberView, stalled: bool) -> None:
        now = self._runtime.monotonic()
        closed = self._why_closed if now < self._closed_until else ""
        if not self._sources:
            closed = self._why_closed
        outlook = Outlook(
            view=View(
                image=self._torrent.info_hash,
                me=self._member.id,
                peers=tuple(
                    peer.id for peer in view.peers if not peer.complete
                ),
                extents=-(-len(self._torrent) // self._per_extent),
                members=view.members,
                now=now,
            ),
            missing=view.have.count(False),
            nowhere=sum(
                not here and not elsewhere
                for here, elsewhere in zip(
                    view.have, view.availability, strict=True
                )
            ),
            origin=closed,
            stalled=stalled,
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

    def _nowhere(self, view: MemberView) -> Iterator[int]:
        for piece, (here, elsewhere) in enumerate(
            zip(view.have, view.availability, strict=True)
        ):
            if not here and not elsewhere and piece not in self._unchecked:
                yield piece

    def _runs(
        self, view: MemberView, stalled: bool
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
        if stalled:
            wanted = [p for p, here in enumerate(view.have) if not here]
        else:
            wanted = list(self._nowhere(view))
        owns = decision.admitted.owns or (lambda extent: False)
        runs: dict[str, list[tuple[int, range]]] = {
            "own": [],
            "others": [],
            "begun": [],
        }
        for extent, pieces in self._extents(wanted):
            first = extent * self._per_extent
            last = min(first + self._per_extent, len(self._torrent))
            kind = "others" if len(pieces) == last - first else "begun"
            if stalled or owns(extent):
                kind = "own"
            order = weight(self._torrent.info_hash, extent.to_bytes(8, "big"))
            runs[kind].append((order, pieces))
        own, others, begun = (
            [pieces for _, pieces in sorted(found, key=lambda run: run[0])]
            for found in runs.values()
        )
        if stalled:
            self._runtime.random.shuffle(own)
        if not decision.admitted.steals:
            return own, [], []
        # Their owners come from the other end, if they come.
        late = others[len(others) // 2 :]
        return own, late, [pieces[-1:] for pieces in begun]

    def _extents(self, wanted: list[int]) -> Iterator[tuple[int, range]]:
        """Runs of consecutive pieces, cut where extents end."""
        begin: int | None = None
        last = -2
        for piece in [p for p in wanted if p not in self._reading] + [-9]:
            if begin is not None and (
                piece != last + 1 or piece % self._per_extent == 0
            ):
                yield begin // self._per_extent, range(begin, last + 1)
                begin = None
            if begin is None:
                begin = piece
            last = piece

    # -- reading from the origin

    def _start(self, pieces: range) -> bool:
        """Read pieces from the origin; False if no more can be read now."""
        most = self._options.connections
        if self._origin is None:
            self._origin = self._sources[0].open(
                self._runtime, self._torrent.size
            )
        if len(self._reads) >= (most if self._origin.ranged else 1):
            return False
        # Before: a serial executor reads on the spot.
        self._reading.update(pieces)
        try:
            future = self._executor.submit(self._read, self._origin, pieces)
        except ExecutorSaturated:
            self._reading.difference_update(pieces)
            return False
        self._reads[future] = pieces
        return True

    def _read(self, origin: Origin, pieces: range) -> None:
        size = self._torrent.piece_size
        index = pieces.start
        part = bytearray()
        end = self._torrent.piece(pieces[-1])[1]
        for _, data in origin.stream(index * size, end):
            part += data
            while index < len(self._torrent):
                first, last = self._torrent.piece(index)
                if len(part) < last - first:
                    break
                self._hand_in(index, bytes(part[: last - first]))
                del part[: last - first]
                index += 1
            # One that takes no ranges goes on, and so do we.
            if self._stopping or (origin.ranged and index > pieces[-1]):
                return

    def _hand_in(self, index: int, data: bytes) -> None:
        if self._have[index]:
            return
        # What is wrong would be asked for again and again.
        made = hashlib.sha1(data, usedforsecurity=False)
        wanted = self._torrent.pieces[_HASH * index : _HASH * (index + 1)]
        if made.digest() != wanted:
            raise DataMismatch(
                "digest", wanted.hex(), made.hexdigest(), f"piece {index}"
            )
        self._unchecked[index] = self._runtime.monotonic()
        self._member.add_piece(index, data)
        most = max(_MOST_UNCHECKED // self._torrent.piece_size, 2)
        while len(self._unchecked) > most and not self._stopping:
            self._runtime.sleep(_TICK)

    def _reap(self) -> None:
        for future in [f for f in self._reads if f.done()]:
            self._reading.difference_update(self._reads.pop(future))
            try:
                future.result()
            except (TransferError, DataMismatch) as error:
                self._fail(str(error))

    def _fail(self, reason: str) -> None:
        """The origin failed: take the next source, or pause."""
        if self._origin is None:
            return  # another read has said so
        self._close_origin()
        self.failures.append(reason)
        self._why_closed = reason
        self._sources.append(self._sources.pop(0))
        pause = _PAUSE * (1 + self._runtime.random.random())
        if len(self.failures) % len(self._sources) == 0:
            self._closed_until = self._runtime.monotonic() + pause
        _log.warning("the origin of an image failed: %s", reason)

    def _wait(self) -> None:
        if self._reads:
            self._executor.wait(self._reads, _TICK, FIRST_COMPLETED)
        else:
            self._runtime.sleep(_TICK)

    def _close_origin(self) -> None:
        origin, self._origin = self._origin, None
        if origin is not None:
            origin.close()
            self.from_origin += origin.received

    def _stop(self) -> None:
        self._stopping = True
        self._close_origin()
        for future in self._reads:
            future.cancel()
        self._executor.wait(self._reads)
        for future in self._reads:
            if not future.cancelled():
                future.exception()
