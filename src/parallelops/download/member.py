"""An image in a swarm, as others of this library see it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.errors import ParallelopsError, SwarmError
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from parallelops.download.torrent import Torrent
    from parallelops.runtime import Event

__all__ = ["Member", "MemberView", "Peer", "SeedLimits", "free_memory"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SeedLimits:
    """How long an image that is complete is given to others.

    Attributes:
        seconds: in all.
        ratio: as many times its size.
        idle: seconds without anybody who wants it.
        free_memory: bytes that the machine has to spare; with less it ends.
            An image that is given away is in the page cache, or in memory
            for good where files are in memory.

    Raises:
        ValueError: one of them is below 0.
    """

    seconds: float = 3600.0
    ratio: float = math.inf
    idle: float = 600.0
    free_memory: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name} must be 0 or more")

    def reached(
        self, seconds: float, ratio: float, idle: float, free_memory: float
    ) -> str:
        """Which of them has been reached; empty if none has."""
        if free_memory < self.free_memory:
            return "free_memory"
        here = {"seconds": seconds, "ratio": ratio, "idle": idle}
        for name, value in here.items():
            if value >= getattr(self, name):
                return name
        return ""


def free_memory() -> float:
    """Bytes that programs could still have; infinite if nobody says.

    As Linux estimates it in ``/proc/meminfo``, in kB.
    """
    try:
        text = Path("/proc/meminfo").read_text()
        (line,) = re.findall(r"^MemAvailable: *(\d+) kB$", text, re.MULTILINE)
    except (OSError, ValueError):
        return math.inf
    return int(line) * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """Somebody to share with.

    Attributes:
        id: the peer id, 20 bytes.
        address: host and port as they are seen.
        complete: has all of it.
    """

    id: bytes
    address: tuple[str, int]
    complete: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """One look at an image in a swarm.

    Attributes:
        have: for each piece, whether it is here.
        availability: for each piece, how many others have it.
        peers: those who are connected.
        members: how many there are in all, as the tracker says, or as many
            as are connected.
        received: bytes of the image that came from others.
        sent: bytes that went to others.
        checking: it is still looking at what was there.
        error: what went wrong for good; empty if nothing did.
        heard: a tracker has answered or failed, or there is none to ask.
    """

    have: Sequence[bool]
    availability: Sequence[int]
    peers: tuple[Peer, ...]
    members: int
    received: int
    sent: int
    checking: bool
    error: str
    heard: bool = True


class Member:
    """One image in a swarm. Several threads may use it.

    Attributes:
        torrent: of the image.
        id: the peer id.
        error: what went wrong for good; empty if nothing did.
        bad_pieces: how many came that were not what they had to be.
        asked: a tracker has answered, or failed.
        seeding: it is complete, and kept up for others.
        ended: why it has left: "asked", "closed" or which limit was reached;
            empty if it has not.
    """

    def __init__(
        self,
        torrent: Torrent,
        peer_id: bytes,
        handle: Any,
        flushed: Event,
        finished: Event,
        leave: Callable[[Member], None],
        in_order: int,
    ) -> None:
        self.torrent = torrent
        self.id = peer_id
        self.handle = handle
        self.error = ""
        self.bad_pieces = 0
        self.asked = False
        self.seeding = False
        self.ended = ""
        self.flushed = flushed
        self.finished = finished
        self._leave = leave
        self._at_end: Callable[[], object] | None = None
        # The flag of libtorrent's, and whether it is set.
        self._in_order = in_order
        self._ordered = False

    def view(self) -> MemberView:
        """One look.

        Raises:
            SwarmError: it has left.
        """
        try:
            status = self.handle.status()
            peers = tuple(self._peers(self.handle.get_peer_info()))
            availability = self.handle.piece_availability()
        except (AttributeError, RuntimeError) as error:
            raise SwarmError("the image is in no swarm any more") from error
        count = len(self.torrent)
        have = list(status.pieces)
        if status.is_seeding:
            have = [True] * count
        seeds = sum(peer.complete for peer in peers)
        known = max(status.num_complete, 0) + max(status.num_incomplete, 0)
        states = status.states
        broken = self.error
        if status.errc.value():
            broken = broken or redact_text(status.errc.message())
        elif status.upload_mode:
            broken = broken or "it can't be written"
        return MemberView(
            have=have or [False] * count,
            # Of those that are complete nothing is counted here.
            availability=list(availability) or [seeds] * count,
            peers=peers,
            members=max(known, len(peers) + 1),
            received=status.total_payload_download,
            sent=status.total_payload_upload,
            checking=status.state
            in (states.checking_files, states.checking_resume_data),
            error=broken,
            heard=self.asked or not self.torrent.trackers,
        )

    def add_piece(self, index: int, data: bytes) -> None:
        """Hand in a piece that came from elsewhere; it is checked.

        Raises:
            SwarmError: it has not the size it has to have, or the image has
                left.
        """
        begin, end = self.torrent.piece(index)
        # Another size would be dropped without a word.
        if len(data) != end - begin:
            raise SwarmError(f"piece {index} has {len(data)} bytes")
        try:
            self.handle.add_piece(index, data, 0)
        except (AttributeError, RuntimeError) as error:
            raise SwarmError("the image is in no swarm any more") from error

    def take_in_order(self, wanted: bool) -> None:
        """Ask others for the first pieces first, or for the rarest."""
        if wanted == self._ordered:
            return
        self._ordered = wanted
        with contextlib.suppress(AttributeError, RuntimeError):
            if wanted:
                self.handle.set_flags(self._in_order)
            else:
                self.handle.unset_flags(self._in_order)

    def connect(self, address: tuple[str, int]) -> None:
        """Talk to somebody at an address and port.

        Raises:
            SwarmError: it is none.
        """
        try:
            with contextlib.suppress(AttributeError, RuntimeError):
                self.handle.connect_peer(address)
        except (OverflowError, TypeError, ValueError) as error:
            raise SwarmError(f"{address!r} is no peer") from error

    def wait(self, seconds: float) -> None:
        """Until all of it is here, or something is wrong; but no longer."""
        if self.finished.wait(seconds):
            self.finished.clear()

    def flush(self, timeout: float) -> None:
        """Have everything on the file; it is said to be there before it is.

        Raises:
            SwarmError: it took longer, or it failed.
        """
        self.flushed.clear()
        try:
            self.handle.flush_cache()
        except (AttributeError, RuntimeError) as error:
            raise SwarmError("the image is in no swarm any more") from error
        if not self.flushed.wait(timeout) or self.error:
            raise SwarmError(self.error or "the image is not written in time")

    def seed(self, at_end: Callable[[], object] | None = None) -> None:
        """It is complete and good: keep it up, within the swarm's limits.

        Args:
            at_end: called once that ends, or the swarm is closed.
        """
        self._at_end = at_end
        self.seeding = True

    def leave(self, reason: str = "asked") -> None:
        """Take no part any more; the file stays as it is."""
        self._leave(self)
        self.end(reason)

    def end(self, reason: str) -> None:
        """It is in no swarm any more."""
        self.handle = None
        self.ended = self.ended or reason
        self.seeding = False
        at_end, self._at_end = self._at_end, None
        if at_end is not None:
            try:
                at_end()
            except (OSError, ParallelopsError) as error:
                _log.warning("what was shared stays behind: %s", error)

    @staticmethod
    def _peers(infos: Iterable[Any]) -> Iterable[Peer]:
        for info in infos:
            pid = info.pid.to_bytes()
            if any(pid):  # before the handshake nobody knows
                yield Peer(pid, tuple(info.ip), bool(info.flags & info.seed))
