"""Torrents of images: made while the image streams by, and loaded with care.

A torrent here has one file and SHA-1 pieces (BEP 3, version 1). Those tell a
peer that sends wrong data at once. What the image really is, is told by its
own digest, which is always compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Any

from parallelops.download.bencode import decode, encode
from parallelops.download.tls import NAME
from parallelops.errors import TorrentRefused
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["LARGEST_TORRENT", "Torrent", "TorrentWriter", "piece_size_for"]

LARGEST_TORRENT = 10 << 20
"""Bytes of metadata that are looked at at all."""

_HASH = 20
_SMALLEST_PIECE, _LARGEST_PIECE = 1 << 14, 1 << 27
_LARGEST_IMAGE = 1 << 44
_NAME = b"image"
_TRACKER = re.compile(rb"https?://[!-~]{1,2000}")
_MOST_TRACKERS = 20
# What a torrent may have beside the info. Whatever sends a reader
# elsewhere, as web seeds and nodes of the DHT do, is not taken.
_IGNORED = frozenset(
    {b"comment", b"created by", b"creation date", b"encoding"}
)
_REFUSED = (b"url-list", b"httpseeds", b"nodes", b"ssl-cert")
_INFO = {
    b"length",
    b"name",
    b"piece length",
    b"pieces",
    b"private",
}


def piece_size_for(size: int) -> int:
    """The bytes of a piece that suit an image of ``size`` bytes.

    4 MiB, and 16 MiB above 32 GiB; below 2 GiB so much less that there are
    512 pieces all the same: a swarm needs many more than it has members, and
    the first ones soon.
    """
    if size > 32 << 30:
        return 16 << 20
    piece = 4 << 20
    while piece > 1 << 16 and size < 512 * piece:
        piece >>= 1
    return piece


@dataclasses.dataclass(frozen=True, slots=True)
class Torrent:
    """What a swarm has to know of an image.

    Attributes:
        size: bytes of the image.
        piece_size: bytes of a piece; the last one may be shorter.
        pieces: the SHA-1 of each piece, 20 bytes each.
        trackers: URLs to announce to, the best first.
        name: what others call the image; no file gets this name.
        private: others may only be found by the trackers (BEP 27). It is
            always set on those made here.
        ca: the certificate, in PEM, that has signed those of all who take
            part; empty if they need none. No torrent is loaded that has it.
        info: what the info-hash is made of.
        info_hash: what a swarm is known by, 20 bytes.
    """

    size: int
    piece_size: int
    pieces: bytes
    trackers: tuple[str, ...] = ()
    name: bytes = _NAME
    private: bool = True
    ca: str = ""
    info: bytes = dataclasses.field(init=False, compare=False)
    info_hash: bytes = dataclasses.field(init=False, compare=False)

    def __repr__(self) -> str:
        return (
            f"Torrent({self.info_hash.hex()}, size={self.size}, "
            f"piece_size={self.piece_size})"
        )

    @classmethod
    def load(cls, data: bytes, *, size: int | None = None) -> Torrent:
        """A torrent from the bytes of a ``.torrent`` file.

        Nothing in it is believed: it has to be of one file, in canonical
        form, and of the size that is expected. It may not send a reader to
        other places than trackers.

        Args:
            data: the file.
            size: bytes that the image must have; None takes any.

        Raises:
            TorrentRefused: it is hostile, damaged, or of another kind.
        """
        if len(data) > LARGEST_TORRENT:
            raise TorrentRefused(
                "its length", f"{len(data)} bytes, over {LARGEST_TORRENT}"
            )
        whole = decode(data)
        if not isinstance(whole, dict):
            raise TorrentRefused("the file", "it is no torrent")
        for key in _REFUSED:
            if key in whole:
                raise TorrentRefused(
                    key.decode(), "it sends its readers elsewhere"
                )
        torrent = _checked_info(whole.get(b"info"))
        if size is not None and torrent.size != size:
            raise TorrentRefused(
                "info.length", f"{torrent.size}, where {size} is expected"
            )
        return dataclasses.replace(torrent, trackers=_trackers(whole))

    def __post_init__(self) -> None:
        info: dict[bytes, Any] = {
            b"length": self.size,
            b"name": self.name,
            b"piece length": self.piece_size,
            b"pieces": self.pieces,
        }
        if self.private:
            info[b"private"] = 1
        if self.ca:
            info[b"ssl-cert"] = self.ca.encode()
        made = encode(info)
        object.__setattr__(self, "info", made)
        digest = hashlib.sha1(made, usedforsecurity=False).digest()
        object.__setattr__(self, "info_hash", digest)

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self.pieces) // _HASH

    def among(self, ca: str) -> Torrent:
        """The same for those whose certificates are signed by ``ca``.

        It has another info-hash, so that they meet nobody else.
        """
        return dataclasses.replace(self, name=NAME.encode(), ca=ca)

    def piece(self, index: int) -> tuple[int, int]:
        """Where a piece begins and ends, in bytes."""
        begin = index * self.piece_size
        return begin, min(begin + self.piece_size, self.size)

    def dump(self) -> bytes:
        """The bytes of a ``.torrent`` file; :meth:`load` takes them."""
        whole: dict[bytes, Any] = {}
        if self.trackers:
            urls = [url.encode() for url in self.trackers]
            whole[b"announce"] = urls[0]
            whole[b"announce-list"] = [[url] for url in urls]
        # The info goes in as it is: its bytes are its name.
        body = b"".join(
            encode(key) + encode(value) for key, value in sorted(whole.items())
        )
        return b"d%b4:info%be" % (body, self.info)


class TorrentWriter:
    """Makes a torrent of an image that streams by.

    Args:
        size: bytes of the image.
        piece_size: bytes of a piece, a power of two; what suits the size
            by default.

    Raises:
        ValueError: they can't be what they are.
    """

    def __init__(self, size: int, *, piece_size: int | None = None) -> None:
        if piece_size is None:
            piece_size = piece_size_for(size)
        if not 0 < size <= _LARGEST_IMAGE:
            raise ValueError(f"an image of {size!r} bytes has no torrent")
        if not _is_piece_size(piece_size):
            raise ValueError(
                "piece_size must be a power of two from 16 KiB to 128 MiB, "
                f"not {piece_size!r}"
            )
        self._size = size
        self._piece_size = piece_size
        self._pieces: list[bytes] = []
        self._hash = hashlib.sha1(usedforsecurity=False)
        self._in_piece = 0
        self._seen = 0

    def update(self, data: bytes) -> None:
        """The next bytes of the image."""
        rest = memoryview(data)
        self._seen += len(rest)
        while rest:
            part = rest[: self._piece_size - self._in_piece]
            self._hash.update(part)
            self._in_piece += len(part)
            if self._in_piece == self._piece_size:
                self._end_piece()
            rest = rest[len(part) :]

    def copy(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Hand on what comes, and take it in on the way."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def finish(self, trackers: Sequence[str] = ()) -> Torrent:
        """The torrent.

        Args:
            trackers: URLs to announce to, the best first.

        Raises:
            ValueError: more data came than the size, or less, or a tracker
                is none.
        """
        if self._seen != self._size:
            raise ValueError(
                f"{self._seen} bytes came of an image of {self._size}"
            )
        if self._in_piece:
            self._end_piece()
        for url in trackers:
            if not _TRACKER.fullmatch(url.encode()):
                raise ValueError(f"{redact_url(url)} is no http or https URL")
        return Torrent(
            self._size,
            self._piece_size,
            b"".join(self._pieces),
            tuple(trackers),
        )

    def _end_piece(self) -> None:
        self._pieces.append(self._hash.digest())
        self._hash = hashlib.sha1(usedforsecurity=False)
        self._in_piece = 0


def _checked_info(info: Any) -> Torrent:
    if not isinstance(info, dict):
        raise TorrentRefused("info", "it is not there")
    for key in info:
        if key not in _INFO:
            # Files, links, attributes and version 2 are all of those.
            shown = key[:20].decode("ascii", "replace")
            raise TorrentRefused(f"info.{shown}", "it must not be there")
    size = info.get(b"length")
    if type(size) is not int or not 0 < size <= _LARGEST_IMAGE:
        raise TorrentRefused("info.length", "it is no size of an image")
    piece_size = info.get(b"piece length")
    if type(piece_size) is not int or not _is_piece_size(piece_size):
        raise TorrentRefused(
            "info.piece length", "no power of two from 16 KiB to 128 MiB"
        )
    pieces = info.get(b"pieces")
    count = -(-size // piece_size)
    if not isinstance(pieces, bytes) or len(pieces) != _HASH * count:
        raise TorrentRefused("info.pieces", f"no hashes of {count} pieces")
    name = info.get(b"name")
    if not isinstance(name, bytes) or not 0 < len(name) < 256:
        raise TorrentRefused("info.name", "it is no name")
    private = info.get(b"private", 0)
    if private not in (0, 1) or (b"private" in info and not private):
        raise TorrentRefused("info.private", "it is neither there nor not")
    return Torrent(
        size,
        piece_size,
        pieces,
        name=name,
        private=bool(private),
    )


def _trackers(whole: dict[bytes, Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    tiers = whole.get(b"announce-list", [])
    if not isinstance(tiers, list):
        raise TorrentRefused("announce-list", "it is no list")
    first = [[whole[b"announce"]]] if b"announce" in whole else []
    for tier in first + tiers:
        if not isinstance(tier, list):
            raise TorrentRefused("announce-list", "it is no list of lists")
        for url in tier:
            if not isinstance(url, bytes) or not _TRACKER.fullmatch(url):
                raise TorrentRefused("announce", "it is no http URL")
            found[url.decode()] = None
    if len(found) > _MOST_TRACKERS:
        raise TorrentRefused("announce-list", f"over {_MOST_TRACKERS} URLs")
    for key in whole.keys() - {b"announce", b"announce-list", b"info"}:
        if key not in _IGNORED:
            shown = key[:20].decode("ascii", "replace")
            raise TorrentRefused(shown, "nobody here knows what it is")
    return tuple(found)


def _is_piece_size(size: int) -> bool:
    return _SMALLEST_PIECE <= size <= _LARGEST_PIECE and not size & (size - 1)
