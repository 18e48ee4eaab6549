"""What is downloaded, how far it is, and what came of it."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING

from parallelops.landing import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parallelops.download.torrent import Torrent
    from parallelops.origin import Source

__all__ = ["DownloadResult", "Image", "Progress"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image to download.

    Attributes:
        digest: what all of it has to come to, as "sha512:..." or a
            :class:`~parallelops.landing.Digest`.
        size: its bytes; None asks the sources.
        sources: where the origin is, the best first.
        torrent: its torrent, to share it with others.
        peers: addresses and ports of others, beside those that trackers
            name.

    Raises:
        ValueError: the digest is none, the torrent is of another size, a
            peer is none, or there is neither a source nor a torrent.
    """

    digest: Digest | str
    size: int | None = None
    sources: Sequence[Source] = ()
    torrent: Torrent | None = None
    peers: Sequence[tuple[str, int]] = ()

    def __post_init__(self) -> None:
        if isinstance(self.digest, str):
            object.__setattr__(self, "digest", Digest.parse(self.digest))
        if self.size is not None and self.size < 0:
            raise ValueError(f"size must be bytes, not {self.size!r}")
        if self.torrent is None:
            if not self.sources:
                raise ValueError("an image needs a source or a torrent")
        elif self.size is None:
            object.__setattr__(self, "size", self.torrent.size)
        elif self.size != self.torrent.size:
            raise ValueError(
                f"the image has {self.size} bytes, its torrent "
                f"{self.torrent.size}"
            )
        for peer in self.peers:
            if not _is_peer(peer):
                raise ValueError(
                    "a peer is an address and a port from 1 to 65535, "
                    f"not {peer!r}"
                )

    @property
    def wanted(self) -> Digest:
        """The digest."""
        assert isinstance(self.digest, Digest)  # noqa: S101 - for types
        return self.digest


def _is_peer(peer: tuple[str, int]) -> bool:
    """Whether libtorrent can connect to it; it looks no names up."""
    try:
        address, port = peer
        # A number would be taken for an address, too.
        ipaddress.ip_address(str(address))
        return port in range(1, 1 << 16)
    except (TypeError, ValueError):
        return False


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is.

    Attributes:
        done: bytes that are there.
        total: bytes in all.
    """

    done: int
    total: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    """What came of a download.

    Attributes:
        path: the file, verified.
        size: its bytes.
        seconds: how long it took.
        decision: "origin", "swarm" or "both": where it was decided to go
            last; "disk" if there was no need to.
        reason: why.
        received: bytes that came from each, by "origin" and "swarm"; what
            came in vain is counted too. "disk" is what was there already.
        peers: how many others it had at the most.
        failures: what went wrong on the way, in words without secrets.
    """

    path: Path
    size: int
    seconds: float
    decision: str
    reason: str
    received: Mapping[str, int]
    peers: int = 0
    failures: tuple[str, ...] = ()
