"""Where the data of an image goes: all of it, verified, or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Destination"]

_FILE = os.O_RDWR | os.O_CLOEXEC
# What a file system says that is full, or does not take so much.
_FULL = frozenset({errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EROFS})
# What one says that can have no files without a name.
_NAMELESS = frozenset(
    {errno.EINVAL, errno.EISDIR, errno.ENOENT, errno.EOPNOTSUPP}
)


class Destination:
    """A file in the making.

    Data is written to a file that has no name where the file system allows
    that, and else a private one that begins with a dot. Under its own name
    it is seen once it is whole: :meth:`commit` replaces what was there. Who
    kills the process leaves nothing behind, or that private file. The file
    is for its owner alone (mode 0600). One thread uses it; a ``with`` block
    that ends before the commit discards everything.

    Args:
        path: the file; its directory must be there.

    Attributes:
        path: the same, as an absolute path.

    Raises:
        DestinationError: the directory can't be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
        if not self.path.name:
            raise DestinationError(str(path), "it is no name of a file")
        self._file: int | None = None
        self._temporary: str | None = None
        with self._explained():
            self._directory = os.open(
                self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def create(self) -> int:
        """A new, empty file, for reading and writing.

        What there was before is discarded. The descriptor belongs to the
        destination: who writes leaves it open.

        Raises:
            DestinationError: there can be none.
        """
        self.discard()
        with self._explained():
            try:
                self._file = os.open(
                    ".", _FILE | os.O_TMPFILE, 0o600, dir_fd=self._directory
                )
            except OSError as error:
                if error.errno not in _NAMELESS:
                    raise
                name = _name()
                self._file = os.open(
                    name,
                    _FILE | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
                    0o600,
                    dir_fd=self._directory,
                )
                self._temporary = name
        return self._file

    def link(self, source: int) -> None:
        """Be the same file as ``source``, which is open: they share all.

        Raises:
            OSError: the file system does not do that.
        """
        self.discard()
        name = _name()
        _link(source, name, self._directory)
        self._temporary = name
        self._file = os.open(
            name,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC,
            dir_fd=self._directory,
        )

    @property
    def file(self) -> int:
        """The descriptor of what is there so far.

        Raises:
            DestinationError: nothing is.
        """
        if self._file is None:
            raise DestinationError(str(self.path), "nothing was written yet")
        return self._file

    def commit(self) -> None:
        """Have the file under its name, for good, even after a power cut.

        Raises:
            DestinationError: that can't be. What there was is still there.
        """
        with self._explained():
            os.fsync(self.file)
            if self._temporary is None:
                # A link never takes the place of a file; a rename does.
                name = _name()
                _link(self.file, name, self._directory)
                self._temporary = name
            os.replace(
                self._temporary,
                self.path.name,
                src_dir_fd=self._directory,
                dst_dir_fd=self._directory,
            )
            # Of two names of one file, a rename leaves both.
            self.discard()
            os.fsync(self._directory)

    def discard(self) -> None:
        """Forget what was written."""
        self._close()
        if self._temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._directory)
            self._temporary = None

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.refusal(error) from error

    def refusal(self, error: OSError) -> DestinationError:
        """The error to raise when writing here failed with ``error``."""
        return DestinationError(
            str(self.path), error.strerror or type(error).__name__
        )

    @staticmethod
    def is_to_blame(error: OSError) -> bool:
        """Whether it is the destination that ``error`` is about, when data
        was copied to it."""
        return error.errno in _FULL


def _link(file: int, name: str, directory: int) -> None:
    os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=directory)


def _name() -> str:
    return f".parallelops-{secrets.token_hex(8)}.part"
