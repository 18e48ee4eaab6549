"""Copies one open file into another, the cheapest way that works."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from parallelops.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["copy", "reflink"]

# linux/fs.h: _IOW(0x94, 9, int)
_FICLONE = 0x40049409
_CHUNK = 64 * 1024 * 1024
_BUFFER = 1024 * 1024
# That cannot be done here, or not with these two files.
_CANNOT = frozenset(
    {
        errno.EINVAL,
        errno.ENOSYS,
        errno.ENOTTY,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.ETXTBSY,
        errno.EXDEV,
    }
)


def reflink(source: int, target: int) -> bool:
    """Have ``target`` share the blocks of ``source`` until one changes.

    Returns:
        Whether the file system does that.

    Raises:
        OSError: it does, and it failed.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def copy(source: int, target: int, advance: Callable[[int], object]) -> str:
    """Copy a whole file; holes stay holes.

    Args:
        source: a file, open for reading.
        target: an empty file, open for writing.
        advance: called with the bytes done so far, now and then; what it
            raises ends the copy.

    Returns:
        How it was done: "reflink", "copy_file_range", "sendfile" or "read".

    Raises:
        OSError: it can't be read, or written.
        TransferError: the source changed meanwhile.
    """
    before = os.fstat(source)
    if reflink(source, target):
        method = "reflink"
    else:
        # More is read ahead; where a file system can't, nothing is lost.
        with contextlib.suppress(OSError):
            os.posix_fadvise(source, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        method = _by_pieces(source, target, before.st_size, advance)
        # With the last hole.
        os.ftruncate(target, before.st_size)
    after = os.fstat(source)
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ):
        raise _changed()
    advance(before.st_size)
    return method


def _by_pieces(
    source: int, target: int, size: int, advance: Callable[[int], object]
) -> str:
    ways = dict(_WAYS)
    for begin, end in _data(source, size):
        offset = begin
        while offset < end:
            method, way = next(iter(ways.items()))
            try:
                copied = way(source, target, offset, min(end - offset, _CHUNK))
            except OSError as error:
                # Reading and writing works, or nothing does.
                if error.errno not in _CANNOT or len(ways) == 1:
                    raise
                del ways[method]
                continue
            if not copied:
                raise _changed()
            offset += copied
            advance(offset)
    return next(iter(ways))


def _data(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Where the file has data, from and to; in between are holes."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # the rest is one hole
            if error.errno not in _CANNOT:
                raise
            yield end, size
            return
        end = min(os.lseek(file, begin, os.SEEK_HOLE), size)
        yield begin, end


def _in_kernel(source: int, target: int, offset: int, count: int) -> int:
    return os.copy_file_range(source, target, count, offset, offset)


def _by_sendfile(source: int, target: int, offset: int, count: int) -> int:
    os.lseek(target, offset, os.SEEK_SET)
    return os.sendfile(target, source, offset, count)


def _by_reading(source: int, target: int, offset: int, count: int) -> int:
    piece = memoryview(os.pread(source, min(count, _BUFFER), offset))
    rest, at = piece, offset
    while rest:
        written = os.pwrite(target, rest, at)
        rest, at = rest[written:], at + written
    return len(piece)


_WAYS = (
    ("copy_file_range", _in_kernel),
    ("sendfile", _by_sendfile),
    ("read", _by_reading),
)


def _changed() -> TransferError:
    return TransferError("the file changed while it was copied")
