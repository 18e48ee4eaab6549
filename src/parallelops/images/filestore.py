"""A store of files under one directory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.errors import (
    ImageDataNotFound,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)
from parallelops.images.fileurl import DIRECTORY, file_path, opened_below
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import PurePosixPath

    from parallelops.runtime import Runtime

__all__ = ["FileStore"]

# What a file system says that is not there, as a network one may be.
_AWAY = frozenset(
    {
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.ESHUTDOWN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_BAD_PATH = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR})


class FileStore:
    """Deletes the files that ``file://`` URLs under ``root`` name.

    A URL is not trusted. What is not a plain file, or a symbolic link, in a
    directory that is really under ``root``, is refused; of a link, the link
    is deleted. Names in URLs may be percent-encoded.

    An unmounted store must not look like one whose files are all gone. So
    that a file is not there is believed only if the root is a mount point,
    or holds anything at all, or did when this store deleted from it.

    Under green threads a call blocks all of them while the disk works.

    Args:
        root: the directory. It need not be there yet: it is looked up at
            each delete.
        runtime: where its lock comes from; by default from ``threading``.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        runtime: Runtime | None = None,
    ) -> None:
        self.root = Path(root).absolute()
        # One at a time: who finds nothing left to sync must not return
        # before another one, that took it, is done with it.
        self._syncing = (runtime or ThreadRuntime()).lock()
        # Directories to sync, as parts below the root. Single operations of
        # a dict are atomic.
        self._changed: dict[tuple[str, ...], None] = {}
        self._seen: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"FileStore({str(self.root)!r})"

    def delete(self, url: str) -> None:
        """See :meth:`Store.delete`."""
        path = file_path(url)
        with _explained(f"cannot delete {path}"):
            parts = self._parts(path.parent)
            with self._opened_root() as root:
                try:
                    with opened_below(root, parts) as directory:
                        _unlink(path.name, directory)
                except FileNotFoundError:
                    self._check_mounted(root)
                    # Who deleted it may have been killed before it synced.
                    self._changed[parts] = None
                else:
                    self._changed[parts] = None
                    self._seen = _identity(root)
                    return
        raise ImageDataNotFound(f"{path} is not there")

    def probe(self) -> None:
        """Return if the store is there.

        Raises:
            StoreUnavailable: it can't show that: see above.
        """
        with (
            _explained(f"cannot look at {self.root}"),
            self._opened_root() as root,
        ):
            self._check_mounted(root)

    def sync(self) -> None:
        """See :meth:`Store.sync`."""
        with self._syncing, _explained(f"cannot sync {self.root}"):
            while self._changed:
                parts, _ = self._changed.popitem()
                try:
                    with self._opened_root() as root:
                        _sync(root, parts)
                except BaseException:
                    self._changed[parts] = None
                    raise

    def _parts(self, parent: PurePosixPath) -> tuple[str, ...]:
        """The path of a directory below the root, without links."""
        root = self._root()
        try:
            return Path(parent).resolve().relative_to(root).parts
        except (RuntimeError, ValueError):  # a loop of links; not below it
            raise LocationRefused(
                f"{parent} is not in the store at {self.root}"
            ) from None

    def _root(self) -> Path:
        try:
            return self.root.resolve()
        except RuntimeError as error:  # a loop of links
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        reason = getattr(error, "strerror", None) or error
        return StoreUnavailable(
            f"the store at {self.root} is not there: {reason}; is it mounted?"
        )

    @contextlib.contextmanager
    def _opened_root(self) -> Iterator[int]:
        try:
            root = os.open(self._root(), DIRECTORY)
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            yield root
        finally:
            os.close(root)

    def _check_mounted(self, root: int) -> None:
        """What ``root`` does not hold is not in the store either."""
        if self._seen == _identity(root) or _is_mount(root):
            return
        with os.scandir(root) as entries:
            if next(entries, None) is None:
                raise StoreUnavailable(
                    f"the store at {self.root} is empty: if it is not "
                    "mounted, mount it; if all its images are gone, put any "
                    "file there, to show that it is the store"
                )


def _unlink(name: str, directory: int) -> None:
    """Delete a file or a link."""
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise LocationRefused(f"{name!r} is not a plain file")
    os.unlink(name, dir_fd=directory)


def _sync(root: int, parts: tuple[str, ...]) -> None:
    """Sync a directory; if it is gone, the one that it was in."""
    while True:
        try:
            with opened_below(root, parts) as directory:
                os.fsync(directory)
        except FileNotFoundError:
            parts = parts[:-1]
        else:
            return


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino


def _is_mount(directory: int) -> bool:
    above = os.stat("..", dir_fd=directory)
    device, inode = _identity(directory)
    return above.st_dev != device or above.st_ino == inode


@contextlib.contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind: type[StoreError] = StoreError
        if error.errno in _AWAY:
            kind = StoreUnavailable
        elif error.errno in _BAD_PATH:
            kind = LocationRefused
        raise kind(f"{doing}: {error.strerror}") from error
