"""The name that something in the making gets once it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "explained", "refusal"]


def refusal(path: str | os.PathLike[str], error: OSError) -> DestinationError:
    """The error to raise when writing to ``path`` failed with ``error``."""
    return DestinationError(
        os.fspath(path), error.strerror or type(error).__name__
    )


@contextlib.contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have each ``OSError`` raised as a refusal of ``path``.

    Raises:
        DestinationError: in the place of the ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise refusal(path, error) from error


class Place:
    """A name in a directory, which is open as long as this is.

    Args:
        path: the name; its directory must be there.
        replace: a plain file that has the name may be replaced. Else nothing
            may have it.

    Attributes:
        path: the same, as an absolute path.
        directory: a descriptor of the directory.

    Raises:
        DestinationError: the directory can't be used, or what has the name
            can't be replaced.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, replace: bool = True
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
        self.directory = -1
        self._replace = replace
        if not self.path.name:
            raise DestinationError(str(path), "it is no name of a file")
        with explained(self.path):
            self.directory = os.open(
                self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
            try:
                self.check()
            except BaseException:
                self.close()
                raise

    def check(self) -> None:
        """See that the name is free, or that of a file to replace.

        Raises:
            DestinationError: it is not.
        """
        with explained(self.path):
            try:
                mode = os.lstat(self.path.name, dir_fd=self.directory).st_mode
            except FileNotFoundError:
                return
        if not self._replace:
            kind = "something is there already"
        elif stat.S_ISREG(mode):
            return
        elif stat.S_ISLNK(mode):
            kind = "a symbolic link is there"
        else:
            kind = "no plain file is there"
        raise DestinationError(str(self.path), f"{kind}; remove it first")

    def receive(self, made: int, name: str, directory: int) -> None:
        """Give the name to what is open as ``made``, for good.

        It has it after a power cut as well.

        Args:
            made: a descriptor of it.
            name: what it is called until now.
            directory: a descriptor of the directory that it is in.

        Raises:
            DestinationError: that can't be. What there was is still there.
        """
        with explained(self.path):
            os.fsync(made)
            self.check()
            os.replace(
                name,
                self.path.name,
                src_dir_fd=directory,
                dst_dir_fd=self.directory,
            )
            os.fsync(self.directory)

    def close(self) -> None:
        """Close the directory; a second time does nothing."""
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1
