"""The handler of packages: takes the disk out while the package comes."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from parallelops.errors import ArchiveRefused
from parallelops.images.handler import Handled, NotForMe
from parallelops.images.handlers.file import open_file
from parallelops.images.handlers.http import opened, read_all
from parallelops.images.manifest import ALGORITHMS, Digests, Manifest
from parallelops.images.tarreader import TarReader
from parallelops.images.vmdk import check_vmdk
from parallelops.origin import is_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelops.images.destination import Destination
    from parallelops.images.handler import FetchContext
    from parallelops.images.strategy import Selectable
    from parallelops.images.tarreader import Member, Readable

__all__ = ["take_disk"]

_PIECE = 1024 * 1024
_LONGEST_TEXT = 16 * 1024 * 1024  # bytes of an .ovf, .mf or .cert


def take_disk(
    location: Selectable, destination: Destination, context: FetchContext
) -> Handled | NotForMe:
    """Take the disk, a VMDK, out of an OVA at a file or http URL.

    The package is read once, from begin to end, and nothing but the disk is
    written. It has to be a plain tar archive that begins with an ``.ovf``
    file. If there is a manifest, all digests in it have to be right. What
    is wanted says which disk, if there are several.

    Raises:
        ArchiveRefused: the package is hostile, damaged or of another kind.
        DataMismatch: it is not the package that is wanted, or a digest in
            its manifest is wrong.
        TransferError: it can't be read.
        OSError: it can't be read, or the disk can't be written.
    """
    if context.wanted.container != "ova":
        return NotForMe("it opens packages, and this is none")
    with contextlib.ExitStack() as stack:
        source: Readable
        if is_http(location.url):
            origin = stack.enter_context(opened(location, context))
            source = _Chunks(read_all(origin, context))
        else:
            file = open_file(location, context)
            if isinstance(file, NotForMe):
                return file
            source = stack.enter_context(os.fdopen(file, "rb", 0))
            context.wanted.check_size(os.fstat(file).st_size)
        _Package(source, destination, context).take()
    return Handled("ova", checked=True)


class _Chunks:
    """Reads what comes in chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, count: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        piece, self._rest = self._rest[:count], self._rest[count:]
        return piece


class _Package:
    """One package, while it is read."""

    def __init__(
        self,
        source: Readable,
        destination: Destination,
        context: FetchContext,
    ) -> None:
        self._destination = destination
        self._context = context
        self._made = context.wanted.new_hash()
        self._reader = TarReader(
            source,
            context.wanted.max_size,
            self._made.update if self._made else None,
        )
        self._algorithms = set(ALGORITHMS)
        self._found: dict[str, Digests] = {}
        self._manifest: Manifest | None = None
        self._description = ""
        self._disk = ""

    def take(self) -> None:
        for member in self._reader.members():
            suffix = member.name.lower().rpartition(".")[2]
            if not self._found and suffix != "ovf":
                raise ArchiveRefused("it must begin with an .ovf file")
            digests = Digests(self._algorithms)
            self._found[member.name] = digests
            if suffix == "vmdk" and self._is_wanted(member):
                self._write(member, digests)
            elif suffix in ("ovf", "mf", "cert"):
                self._understand(suffix, member, self._text(member, digests))
            else:
                self._pass_on(digests.update)
        if not self._disk:
            wanted = self._context.wanted.disk
            raise ArchiveRefused(
                f"it has no disk {wanted!r}" if wanted else "it has no disk"
            )
        if self._manifest is not None:
            needed = {self._description, self._disk}
            self._manifest.check(self._found, needed)
        self._context.wanted.check_size(self._reader.position)
        if self._made is not None:
            self._context.wanted.check_digest(self._made)
        check_vmdk(self._destination.file, self._disk)

    def _is_wanted(self, member: Member) -> bool:
        wanted = self._context.wanted.disk
        if wanted is None and self._disk:
            raise ArchiveRefused(
                "it has several disks; say which one is wanted", member.name
            )
        return wanted in (None, member.name)

    def _write(self, member: Member, digests: Digests) -> None:
        self._disk = member.name
        file = self._destination.create()

        def write(piece: bytes) -> None:
            digests.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest) :]

        self._pass_on(write)

    def _text(self, member: Member, digests: Digests) -> bytes:
        if member.size > _LONGEST_TEXT:
            raise ArchiveRefused(f"it has {member.size} bytes", member.name)
        pieces: list[bytes] = []
        self._pass_on(pieces.append)
        text = b"".join(pieces)
        digests.update(text)
        return text

    def _pass_on(self, take: Callable[[bytes], object]) -> None:
        while piece := self._reader.read(_PIECE):
            take(piece)
            self._context.advance(self._reader.position)

    def _understand(self, suffix: str, member: Member, text: bytes) -> None:
        if suffix == "ovf":
            if self._description:
                raise ArchiveRefused("it is a second .ovf", member.name)
            self._description = member.name
        elif suffix == "mf":
            if self._manifest is not None:
                raise ArchiveRefused("it is a second manifest", member.name)
            self._manifest = Manifest(member.name, text)
            # The others are not needed for what comes now.
            self._algorithms = self._manifest.algorithms
