"""Reads pieces from the origin and hands them in to the swarm."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING

from parallelops.errors import (
    DataMismatch,
    ExecutorSaturated,
    TransferError,
)
from parallelops.origin import end_reads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from parallelops.download.device import DeviceMember
    from parallelops.download.member import Member
    from parallelops.executor import Executor
    from parallelops.origin import Origin, Source

__all__ = ["Feed"]

_log = logging.getLogger(__name__)

_MOST_UNCHECKED = 64 << 20  # bytes
_UNCHECKED_FOR = 10.0  # seconds
_PAUSE = 5.0
_TICK = 0.05
_HASH = 20


class Feed:
    """The origin of one image in a swarm. One thread starts the reads.

    Each piece is compared with the torrent before it is handed in: what is
    wrong would be asked for again and again. A source that fails makes
    place for the next one; when all have, there is a pause.

    Args:
        executor: reads.
        member: the image in its swarm.
        sources: the origin, the best first. May be none.
        connections: how many reads there may be at the same time.

    Attributes:
        received: bytes that came, of sources that are closed.
        failures: what went wrong.
        position: the piece that comes next, of a source that takes no ranges
            and is read from begin to end; None of others.
        brought: pieces that were handed in, and are here or about to be.
    """

    def __init__(
        self,
        executor: Executor,
        member: Member | DeviceMember,
        sources: Sequence[Source],
        connections: int,
    ) -> None:
        self.received = 0
        self.failures: list[str] = []
        self.position: int | None = None
        self.brought: set[int] = set()
        self._executor = executor
        self._runtime = executor.runtime
        self._member = member
        self._torrent = member.torrent
        self._sources = list(sources)
        self._connections = connections
        self._origin: Origin | None = None
        self._closed_until = 0.0
        self._stopping = False
        self._have: Sequence[bool] = ()
        self._reads: dict[Future[None], range] = {}
        # Pieces that were handed in, and when.
        self._unchecked: dict[int, float] = {}
        self._resting = False

    @property
    def closed(self) -> str:
        """Why nothing can be read for now; empty if something can."""
        if not self._sources:
            return "there is none"
        if self._runtime.monotonic() < self._closed_until:
            return self.failures[-1]
        return ""

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return bool(self._reads) and not self._resting

    def taken(self) -> set[int]:
        """Pieces that are being read, or wait to be checked."""
        reading = (piece for run in self._reads.values() for piece in run)
        return {*reading, *list(self._unchecked)}

    def look(self, have: Sequence[bool]) -> None:
        """These pieces are here; see what became of the reads."""
        self._have = have
        self._check(have)
        for future in [f for f in self._reads if f.done()]:
            del self._reads[future]
            try:
                future.result()
            except (TransferError, DataMismatch) as error:
                self._fail(str(error))

    def _check(self, have: Sequence[bool]) -> None:
        """See which of those that were handed in are here."""
        late = self._runtime.monotonic() - _UNCHECKED_FOR
        for piece, since in list(self._unchecked.items()):
            if have[piece] or since < late:
                self._unchecked.pop(piece, None)
            if not have[piece] and since < late:
                self.brought.discard(piece)

    def start(self, pieces: range) -> bool:
        """Read consecutive pieces; False if no more can be read now."""
        if self._origin is None:
            self._origin = self._sources[0].open(
                self._runtime, self._torrent.size
            )
        # The first answer tells whether it takes ranges.
        most = self._connections if self._origin.ranged else 1
        if len(self._reads) >= most:
            return False
        try:
            future = self._executor.submit(self._read, self._origin, pieces)
        except ExecutorSaturated:
            return False
        self._reads[future] = pieces
        return True

    def follow(self, goes_on: bool) -> None:
        """Read on in a source that takes no ranges, or let it rest.

        It is read in one go: what is needed of it may be at its end.
        """
        self._resting = not goes_on
        if goes_on and not self._reads:
            self.start(range(len(self._torrent)))

    def wait(self, seconds: float) -> None:
        """Until a read ends, but no longer."""
        self._executor.wait(self._reads, seconds, FIRST_COMPLETED)

    def stop(self) -> None:
        """End all reads."""
        self._stopping = True
        self._close()
        end_reads(self._executor, self._reads)

    def _read(self, origin: Origin, pieces: range) -> None:
        index = pieces.start
        begin = self._torrent.piece(index)[0]
        end = self._torrent.piece(pieces[-1])[1]
        part = bytearray()
        for offset, data in origin.stream(begin, end, early=True):
            if offset == 0:
                index = 0
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
            if origin.ranged:
                self.position, self._resting = None, False
            else:
                self.position = index
            while self._resting and not self._stopping:
                self._runtime.sleep(_TICK)

    def _hand_in(self, index: int, data: bytes) -> None:
        if self._have[index]:
            return
        made = hashlib.sha1(data, usedforsecurity=False)
        wanted = self._torrent.pieces[_HASH * index : _HASH * (index + 1)]
        if made.digest() != wanted:
            raise DataMismatch(
                "digest", wanted.hex(), made.hexdigest(), f"piece {index}"
            )
        self._unchecked[index] = self._runtime.monotonic()
        self.brought.add(index)
        self._member.add_piece(index, data)
        most = max(_MOST_UNCHECKED // self._torrent.piece_size, 2)
        while len(self._unchecked) > most and not self._stopping:
            self._runtime.sleep(_TICK)
            # An executor may run this in the thread that else would look.
            self._check(self._member.view().have)

    def _fail(self, reason: str) -> None:
        """Take the next source, or pause."""
        if self._origin is None:
            return  # another read has said so
        self._close()
        self.failures.append(reason)
        self._sources.append(self._sources.pop(0))
        if len(self.failures) % len(self._sources) == 0:
            pause = _PAUSE * (1 + self._runtime.random.random())
            self._closed_until = self._runtime.monotonic() + pause
        _log.warning("the origin of an image failed: %s", reason)

    def _close(self) -> None:
        origin, self._origin = self._origin, None
        self.position, self._resting = None, False
        if origin is not None:
            origin.close()
            self.received += origin.received
