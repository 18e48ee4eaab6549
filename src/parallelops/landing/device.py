"""A block device that is written and then verified."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.errors import DestinationError
from parallelops.landing.blocks import Blocks
from parallelops.landing.place import explained

if TYPE_CHECKING:
    from parallelops.landing.digest import Digest

__all__ = ["DeviceLanding"]

# linux/fs.h: _IOR(0x12, 114, size_t)
_BLKGETSIZE64 = 0x80081272
_HEAD = 1 << 20


class DeviceLanding:
    """A block device in the place of a file.

    There is no other name to write to first. So its first MiB is kept back
    until all the rest is there and verified: nobody boots from a part. What
    was there is overwritten. After a crash all begins from the start.

    Args:
        path: the device; nobody else may have it open for himself, as a
            mounted file system has.
        size: bytes to write, from the start.

    Attributes:
        path: the same.
        file: a descriptor, for reading and writing.
        blocks: which parts have been written.
        size: bytes it will have.
        kept_back: bytes at its beginning that are written last.

    Raises:
        DestinationError: it is not a block device, is in use or too small.
    """

    def __init__(self, path: str | os.PathLike[str], size: int) -> None:
        self.path = Path(path).absolute()
        self.file = -1
        self.size = size
        self.kept_back = min(_HEAD, size)
        self.restart()
        with explained(self.path):
            # Of a device, this means that nobody else uses it.
            self.file = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
            try:
                self._check()
                self._write(0, memoryview(bytes(len(self._head))))
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """As :meth:`Landing.write`.

        Raises:
            DestinationError: it does not go there.
        """
        rest = memoryview(data)
        if offset < len(self._head):
            first = rest[: len(self._head) - offset]
            self._head[offset : offset + len(first)] = first
            rest, offset = rest[len(first) :], offset + len(first)
        self._write(offset, rest)

    def read(self, count: int, offset: int) -> bytes:
        """As :meth:`Landing.read`."""
        if offset < len(self._head):
            return bytes(self._head[offset : offset + count])
        with explained(self.path):
            return os.pread(self.file, count, offset)

    def mark(self, begin: int, end: int) -> None:
        """All from ``begin`` to ``end`` has been written."""
        self.blocks.mark(begin, end)

    def commit(self, *, keep: bool = False) -> None:
        """Have all of it on the device for good.

        Args:
            keep: there is nothing else that could be kept.

        Raises:
            DestinationError: that can't be.
        """
        self.sync()
        self._write(0, memoryview(self._head))
        self.sync()
        self.close()

    def sync(self) -> None:
        """Have on the device for good what was written to it.

        Raises:
            DestinationError: that can't be.
        """
        with explained(self.path):
            os.fsync(self.file)

    def is_there(self, digest: Digest) -> bool:
        """Whether it has all of it already: nobody looks."""
        return False

    def restart(self) -> None:
        """Forget what was written, which turned out to be wrong."""
        self.blocks = Blocks(self.size)
        self._head = bytearray(self.kept_back)

    def remove(self) -> None:
        """Leave it without a beginning."""
        self.close()

    def hand_over(self) -> None:
        """Who shares it needs nothing that is open here."""

    def close(self) -> None:
        """Close it. What was not committed has no beginning."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def _write(self, offset: int, rest: memoryview) -> None:
        with explained(self.path):
            while rest:
                count = os.pwrite(self.file, rest, offset)
                rest, offset = rest[count:], offset + count

    def _check(self) -> None:
        if not stat.S_ISBLK(os.fstat(self.file).st_mode):
            raise DestinationError(str(self.path), "it is no block device")
        answer = fcntl.ioctl(self.file, _BLKGETSIZE64, bytes(8))
        (room,) = struct.unpack("=Q", answer)
        if room < self.size:
            raise DestinationError(
                str(self.path),
                f"it has {room} bytes, and the image {self.size}",
            )
