"""Reads a tar archive from begin to end, and takes nothing on trust.

The standard library's ``tarfile`` understands every extension that there
ever was. A package of a disk needs none of them, and each is a way to have
two readers see two different things. So this takes plain files with plain
names, and refuses the rest.

The format is that of POSIX.1-1988 (ustar), with GNU's binary sizes, and from
POSIX.1-2001 (pax) what says nothing of names, kinds or places.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Protocol

from parallelops.errors import ArchiveRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Member", "Readable", "TarReader"]

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_PIECE = 1024 * 1024
_MOST_MEMBERS = 64
_MOST_PAX = 16 * 1024  # bytes
_MOST_PADDING = 1024 * 1024  # bytes after the end
# The largest that the octal digits of a header can say.
_OCTAL_LIMIT = 8 << 30

_NAME = re.compile(r"\w[\w.+ ()@=,~-]*")
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
# Of these a reader that does not know them loses nothing.
_HARMLESS = frozenset(
    {"atime", "comment", "ctime", "gid", "gname", "mtime", "uid", "uname"}
)
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a directory",
    b"6": "a pipe",
    b"7": "a contiguous file",
    b"D": "a list of a directory",
    b"K": "a long link",
    b"L": "a long name",
    b"M": "a part of a file",
    b"S": "a sparse file",
    b"V": "a name of a volume",
    b"g": "a header for all files",
}


class Readable(Protocol):
    """What gives the bytes of an archive, in order."""

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at the most; none at the end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: a name without a directory, that no other member has.
        size: its bytes.
    """

    name: str
    size: int


class TarReader:
    """The members of an archive, each read once, in order.

    Args:
        source: gives the archive.
        limit: bytes that it may have.
        seen: called with each piece that was read, such as the ``update``
            of a digest.

    Attributes:
        position: bytes read so far.
    """

    def __init__(
        self,
        source: Readable,
        limit: int,
        seen: Callable[[bytes], object] | None = None,
    ) -> None:
        self.position = 0
        self._source = source
        self._limit = limit
        self._seen = seen
        self._left = 0  # of the member
        self._padding = 0  # after it

    def members(self) -> Iterator[Member]:
        """Each member in turn; what nobody read of it is skipped.

        After the last one the archive has been read to its end.

        Raises:
            ArchiveRefused: it is something else than a plain archive of
                plain files.
        """
        names: set[str] = set()
        size = None  # what an extension says of the next one
        while (header := self._exactly(_BLOCK)) != _ZEROS:
            kind, member = _parsed(header)
            if kind == b"x":
                if size is not None:
                    raise ArchiveRefused("it has two extensions in a row")
                size = self._extension(member.size)
                continue
            if size is not None and size >= 0:
                member = _resized(member, size)
            size = None
            if len(names) == _MOST_MEMBERS:
                raise ArchiveRefused(f"it has over {_MOST_MEMBERS} files")
            # On some file systems these would be the same.
            if member.name.casefold() in names:
                raise ArchiveRefused("it is there twice", member.name)
            names.add(member.name.casefold())
            if self.position + member.size > self._limit:
                raise ArchiveRefused(
                    f"it says {member.size} bytes, and the package may have "
                    f"{self._limit} in all",
                    member.name,
                )
            self._left = member.size
            self._padding = -member.size % _BLOCK
            yield member
            while self.read(_PIECE):
                pass
            self._exactly(self._padding)
        if size is not None:
            raise ArchiveRefused("it ends after an extension")
        self._end()

    def read(self, count: int) -> bytes:
        """The next bytes of the member, as of a file.

        Raises:
            ArchiveRefused: the archive ends before.
        """
        piece = self._some(min(count, self._left))
        if not piece and self._left:
            raise ArchiveRefused("it is cut off")
        self._left -= len(piece)
        return piece

    def _some(self, count: int) -> bytes:
        piece = self._source.read(count) if count else b""
        self.position += len(piece)
        if self.position > self._limit:
            raise ArchiveRefused(f"it has over {self._limit} bytes")
        if self._seen is not None:
            self._seen(piece)
        return piece

    def _exactly(self, count: int) -> bytes:
        pieces = []
        while count:
            piece = self._some(count)
            if not piece:
                raise ArchiveRefused("it is cut off")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _extension(self, length: int) -> int:
        """What a pax header says of the size; -1 if nothing."""
        if length > _MOST_PAX:
            raise ArchiveRefused(f"an extension has {length} bytes")
        data = self._exactly(length)
        self._exactly(-length % _BLOCK)
        found = -1
        for key, value in _records(data):
            if key == "size" and found < 0:
                if not re.fullmatch(r"[0-9]{1,19}", value):
                    raise ArchiveRefused("an extension says no size")
                found = int(value)
            elif key not in _HARMLESS:
                raise ArchiveRefused(
                    f"an extension changes {_shown(key)}, which is not taken"
                )
        return found

    def _end(self) -> None:
        """What follows the end says nothing."""
        padding = 0
        while piece := self._some(_PIECE):
            padding += len(piece)
            if piece.count(0) != len(piece):
                raise ArchiveRefused("something follows after its end")
            if padding > _MOST_PADDING:
                raise ArchiveRefused("its end is too long")
        if padding < _BLOCK:
            raise ArchiveRefused("it is cut off")


def _parsed(header: bytes) -> tuple[bytes, Member]:
    """The kind of a header, and what it is about."""
    said = _octal(header[148:156], "checksum")
    blank = header[:148] + b" " * 8 + header[156:]
    if said != sum(blank):
        raise ArchiveRefused("it is no tar archive, or it is damaged")
    if header[257:262] != b"ustar":
        raise ArchiveRefused("it is of a kind of tar that is not taken")
    kind = header[156:157]
    size = _size(header[124:136])
    if kind == b"x":
        return kind, Member("", size)
    shown = _shown_bytes(header[:100].partition(b"\0")[0])
    if kind not in (b"0", b"\0"):
        what = _KINDS.get(kind, "of no known kind")
        raise ArchiveRefused(f"it is {what}, not a plain file", shown)
    if header[157:257].strip(b"\0"):
        raise ArchiveRefused("it is a link to another", shown)
    name = _name(header)
    return kind, Member(name, size)


def _name(header: bytes) -> str:
    raw = header[:100].partition(b"\0")[0]
    # POSIX has the beginning of a long name there; GNU has other things.
    if header[257:263] == b"ustar\0" and header[345:500].strip(b"\0"):
        raise ArchiveRefused("it has a directory", _shown_bytes(raw))
    if header[257:263] == b"ustar " and header[386:495].strip(b"\0"):
        raise ArchiveRefused("it is a sparse file", _shown_bytes(raw))
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise ArchiveRefused(
            "its name is not UTF-8", _shown_bytes(raw)
        ) from None
    if not _NAME.fullmatch(name) or ".." in name or name != name.strip():
        raise ArchiveRefused("that is no plain name of a file", _shown(name))
    return name


def _size(field: bytes) -> int:
    if field[0] == 0x80:  # GNU: binary
        size = int.from_bytes(field[1:], "big")
        if size >= 1 << 63:
            raise ArchiveRefused("it says a size that no file has")
        return size
    if field[0] & 0x80:
        raise ArchiveRefused("it says a size below zero")
    return _octal(field, "size")


def _octal(field: bytes, what: str) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ArchiveRefused(f"it is no tar archive: it has no {what}")
    return int(match[1], 8)


def _resized(member: Member, size: int) -> Member:
    # A reader that does not know the extension must see the same.
    if member.size != size and size < _OCTAL_LIMIT:
        raise ArchiveRefused(
            f"it says {member.size} bytes, and an extension {size}",
            member.name,
        )
    return dataclasses.replace(member, size=size)


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """The records of a pax header: length, blank, key=value, line end."""
    while data:
        length, blank, _ = data[:20].partition(b" ")
        if not blank or not re.fullmatch(rb"[1-9][0-9]{0,5}", length):
            raise ArchiveRefused("an extension is damaged")
        record, data = data[: int(length)], data[int(length) :]
        text = record[len(length) + 1 :]
        key, equals, value = text[:-1].partition(b"=")
        if len(record) != int(length) or text[-1:] != b"\n" or not equals:
            raise ArchiveRefused("an extension is damaged")
        try:
            yield key.decode(), value.decode()
        except UnicodeDecodeError:
            raise ArchiveRefused("an extension is not UTF-8") from None


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:100])


def _shown_bytes(raw: bytes) -> str:
    return _shown(raw.decode(errors="replace"))
