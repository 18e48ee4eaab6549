"""A file in the making that leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from parallelops.landing.place import explained

if TYPE_CHECKING:
    from parallelops.landing.place import Place

__all__ = ["Draft"]

_FILE = os.O_RDWR | os.O_CLOEXEC
_NEW = _FILE | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_SAME = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
# What a file system says that can have no files without a name.
_NAMELESS = frozenset(
    {errno.EINVAL, errno.EISDIR, errno.ENOENT, errno.EOPNOTSUPP}
)


class Draft:
    """A file without a name, for one who writes it in one go.

    Where the file system has no such files it has a private name, which
    begins with a dot. Who kills the process leaves nothing behind, or that
    private file. It is for its owner alone (mode 0600). One thread uses it.

    Args:
        place: where it is to go; it is not closed here.
        source: a descriptor of the file to be, in the place of a new one:
            both names are one file then.

    Attributes:
        file: a descriptor, for reading and, if it is new, for writing.

    Raises:
        DestinationError: there can be no new file.
        OSError: the file system does not link ``source``.
    """

    def __init__(self, place: Place, source: int | None = None) -> None:
        self._place = place
        self._name: str | None = None
        if source is not None:
            self._link(source)
            self.file = os.open(str(self._name), _SAME, dir_fd=place.directory)
            return
        with explained(place.path):
            try:
                self.file = os.open(
                    ".", _FILE | os.O_TMPFILE, 0o600, dir_fd=place.directory
                )
            except OSError as error:
                if error.errno not in _NAMELESS:
                    raise
                name = _new_name()
                self.file = os.open(name, _NEW, 0o600, dir_fd=place.directory)
                self._name = name

    def commit(self) -> None:
        """Have the file at its place, for good, even after a power cut.

        Raises:
            DestinationError: that can't be. What there was is still there.
        """
        with explained(self._place.path):
            if self._name is None:
                # A link never takes the place of a file; a rename does.
                self._link(self.file)
        self._place.receive(self.file, str(self._name), self._place.directory)
        # Of two names of one file, a rename leaves both.
        self.close()

    def close(self) -> None:
        """Forget it, unless it was committed; a second time does nothing."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        if self._name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._place.directory)
            self._name = None

    def _link(self, file: int) -> None:
        name = _new_name()
        os.link(
            f"/proc/self/fd/{file}", name, dst_dir_fd=self._place.directory
        )
        self._name = name


def _new_name() -> str:
    return f".parallelops-{secrets.token_hex(8)}.part"
