"""The handler of files: no byte passes through this process if it can be."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from parallelops.errors import LocationRefused, TransferError
from parallelops.images import copying
from parallelops.images.fileurl import DIRECTORY, file_path, opened_below
from parallelops.images.handler import Handled, NotForMe

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from parallelops.images.destination import Destination
    from parallelops.images.handler import FetchContext
    from parallelops.images.strategy import Selectable

__all__ = ["copy_file", "open_file"]

# A name that has become a pipe or a link meanwhile is not waited for.
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def copy_file(
    location: Selectable, destination: Destination, context: FetchContext
) -> Handled | NotForMe:
    """Copy the file of a ``file://`` URL.

    It is a reflink where the file system has them, else a hard link if the
    options allow that, else ``copy_file_range``, ``sendfile``, or reading
    and writing. Holes stay holes. Under green threads it blocks all of them
    for as long as the disk takes.

    Raises:
        TransferError: the file is not there, or changed meanwhile.
        DataMismatch: it has not the size that is wanted.
        OSError: it can't be read, or written.
    """
    if context.wanted.container != "bare":
        return NotForMe("it does not open packages")
    opened = open_file(location, context)
    if isinstance(opened, NotForMe):
        return opened
    try:
        context.wanted.check_size(os.fstat(opened).st_size)
        if context.options.hard_links:
            if copying.reflink(opened, destination.create()):
                return _all_there("reflink", opened, context)
            try:
                destination.link(opened)
            except OSError as error:
                # Not on this file system, or too many, or not ours to link.
                if destination.is_to_blame(error):
                    raise
            else:
                return _all_there("hard link", opened, context)
        method = copying.copy(opened, destination.create(), context.advance)
        return Handled(method)
    finally:
        os.close(opened)


def open_file(location: Selectable, context: FetchContext) -> int | NotForMe:
    """Open the file of a ``file://`` URL for reading, if it may be read.

    Raises:
        TransferError: it is not there, or no plain file.
    """
    if not location.url.lower().startswith("file:"):
        return NotForMe("it is no file")
    try:
        path = file_path(location.url)
    except LocationRefused as error:
        return NotForMe(str(error))
    for folder in context.options.folders:
        try:
            found = _opened(folder, path)
        except (OSError, RuntimeError) as error:  # a loop of links
            reason = getattr(error, "strerror", None) or error
            raise TransferError(f"cannot read {path}: {reason}") from error
        if found is not None:
            return found
    return NotForMe(f"{path} is in none of the folders that may be read")


def _opened(folder: Path, path: PurePosixPath) -> int | None:
    root = folder.resolve()
    parent = type(folder)(path.parent).resolve()
    if not parent.is_relative_to(root):
        return None
    top = os.open(root, DIRECTORY)
    try:
        with opened_below(top, parent.relative_to(root).parts) as directory:
            file = os.open(path.name, _SOURCE, dir_fd=directory)
    finally:
        os.close(top)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return file


def _all_there(method: str, file: int, context: FetchContext) -> Handled:
    context.advance(os.fstat(file).st_size)
    return Handled(method)
