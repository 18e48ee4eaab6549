"""An image in a swarm that goes to a block device.

The beginning of a device is written last, when all of it is verified. A swarm
brings it at any time. So the pieces of the beginning are a second membership,
whose file is in memory; the rest goes right to the device.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.errors import SwarmError
from parallelops.landing.device import DeviceLanding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelops.download.member import Member, MemberView
    from parallelops.download.swarm import Swarm
    from parallelops.download.torrent import Torrent
    from parallelops.landing.file import Landing
    from parallelops.runtime import Runtime

__all__ = ["DeviceMember", "joined"]

_WRITTEN = 60.0  # seconds
_TICK = 0.05


def joined(
    swarm: Swarm,
    torrent: Torrent,
    landing: Landing | DeviceLanding,
    peers: Sequence[tuple[str, int]],
    runtime: Runtime,
) -> Member | DeviceMember:
    """Take part in the swarm of an image, to have it in a landing.

    Raises:
        SwarmError: that can't be.
        DestinationError: the landing can't be left to a swarm.
    """
    if isinstance(landing, DeviceLanding):
        return DeviceMember(swarm, torrent, landing, peers, runtime)
    landing.forget()
    fresh = not os.fstat(landing.file).st_blocks
    return swarm.join(torrent, landing.data, peers=peers, fresh=fresh)


class DeviceMember:
    """As :class:`~parallelops.download.member.Member`, for a device.

    Args:
        swarm: for devices. Others find the image there, but for its
            beginning, which has a swarm of its own until it is whole.
        torrent: of the image.
        landing: the device.
        peers: addresses and ports of others.
        runtime: where the clock comes from.

    Raises:
        SwarmError: the swarm is closed, has that image already, or there
            can't be a second one.
    """

    def __init__(
        self,
        swarm: Swarm,
        torrent: Torrent,
        landing: DeviceLanding,
        peers: Sequence[tuple[str, int]],
        runtime: Runtime,
    ) -> None:
        self._landing = landing
        self._runtime = runtime
        count = -(-landing.kept_back // torrent.piece_size)
        first, rest = range(count), range(count, len(torrent))
        self._first = first
        self._file = os.memfd_create("parallelops-head")
        self._twin: Swarm | None = None
        try:
            self._twin = swarm.twin()
            self._head = self._twin.join(
                torrent,
                Path(f"/proc/self/fd/{self._file}"),
                peers=peers,
                fresh=True,
                wanted=first,
            )
            self._body = swarm.join(
                torrent, landing.path, peers=peers, fresh=True, wanted=rest
            )
        except BaseException:
            self._close_head()
            raise
        self.torrent = self._body.torrent
        self.id = self._body.id

    @property
    def bad_pieces(self) -> int:
        """How many came that were not what they had to be."""
        return self._body.bad_pieces + self._head.bad_pieces

    def view(self) -> MemberView:
        """One look at both.

        Raises:
            SwarmError: it has left.
        """
        body, head = self._body.view(), self._head.view()
        count = len(self._first)
        return dataclasses.replace(
            # Those who are seen are agents; a beginning is none.
            body,
            have=[*head.have[:count], *body.have[count:]],
            availability=[
                max(both)
                for both in zip(
                    body.availability, head.availability, strict=True
                )
            ],
            received=body.received + head.received,
            sent=body.sent + head.sent,
            checking=body.checking or head.checking,
            error=body.error or head.error,
        )

    def add_piece(self, index: int, data: bytes) -> None:
        """As that of a member."""
        part = self._head if index in self._first else self._body
        part.add_piece(index, data)

    def take_in_order(self, wanted: bool) -> None:
        """As that of a member."""
        self._body.take_in_order(wanted)

    def wait(self, seconds: float) -> None:
        """As that of a member; it may end early, and late by a moment."""
        self._body.wait(seconds)

    def flush(self, timeout: float) -> None:
        """Have the landing know all that is there.

        Raises:
            SwarmError: it took longer, or it failed.
            DestinationError: it does not go to the device.
        """
        here = self._head.view().have
        for part in (self._head, self._body):
            part.flush(timeout)
        for index in self._first:
            if here[index]:
                begin, _ = self.torrent.piece(index)
                self._landing.write(begin, self._piece(index))

    def complete(self) -> None:
        """All of it is verified: give the beginning to others, too.

        Nothing is written to the device by this after that.

        Raises:
            SwarmError: the swarm does not take it.
            DestinationError: it does not stay on the device.
        """
        # After a power cut there is no beginning without the rest either.
        self._landing.sync()
        for index in self._first:
            self._body.add_piece(index, self._piece(index))
        self._close_head()
        end = self._runtime.monotonic() + _WRITTEN
        while not all(self._body.view().have):
            if self._runtime.monotonic() > end:
                raise SwarmError("the image is not written in time")
            self._body.wait(_TICK)
        self._body.flush(_WRITTEN)

    def seed(self, at_end: Callable[[], object]) -> None:
        """As that of a member."""
        self._body.seed(at_end)

    def leave(self) -> None:
        """Take no part any more; the device stays as it is."""
        self._body.leave()
        self._close_head()

    def _piece(self, index: int) -> bytes:
        begin, end = self.torrent.piece(index)
        return os.pread(self._file, end - begin, begin)

    def _close_head(self) -> None:
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
