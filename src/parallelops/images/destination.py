"""Where the data of an image goes: all of it, verified, or nothing."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Self

from parallelops.errors import DestinationError
from parallelops.landing import Draft, Landing, Place
from parallelops.landing.place import refusal

if TYPE_CHECKING:
    import os

__all__ = ["Destination"]

# What a file system says that is full, or does not take so much.
_FULL = frozenset({errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EROFS})


class Destination:
    """A file in the making, for those who bring its data.

    They write a :class:`~parallelops.landing.Draft`, which leaves nothing
    behind, or a :class:`~parallelops.landing.Landing`, which is found again
    after a crash. Under its name the file is seen once it is whole:
    :meth:`commit` replaces what was there, if it was a plain file. It is for
    its owner alone (mode 0600). One thread uses it; a ``with`` block that
    ends before the commit discards everything.

    Args:
        path: the file; its directory must be there.

    Attributes:
        path: the same, as an absolute path.

    Raises:
        DestinationError: the directory can't be used, or what is there
            can't be replaced.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._place = Place(path)
        self.path = self._place.path
        self._made: Draft | Landing | None = None
        self._known: tuple[int, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()
        self._place.close()

    def create(self) -> int:
        """A new, empty file, for reading and writing.

        What there was before is discarded. The descriptor belongs to the
        destination: who writes leaves it open.

        Raises:
            DestinationError: there can be none.
        """
        self.discard()
        self._made = Draft(self._place)
        return self._made.file

    def link(self, source: int) -> None:
        """Be the same file as ``source``, which is open: they share all.

        Raises:
            OSError: the file system does not do that.
        """
        self.discard()
        self._made = Draft(self._place, source)

    def resume(self, size: int, key: str) -> Landing:
        """A file to go on with, if a part of it is there.

        That is what an attempt before left of the same size and key, or what
        a process did that was killed.

        Args:
            size: bytes it will have.
            key: what it is going to be, such as its digest.

        Raises:
            DestinationBusy: somebody else makes such a file.
            DestinationError: there can be none.
        """
        if not isinstance(self._made, Landing) or self._known != (size, key):
            self.discard()
            self._made, self._known = (
                Landing(self.path, size, key),
                (size, key),
            )
        return self._made

    @property
    def file(self) -> int:
        """The descriptor of what is there so far.

        Raises:
            DestinationError: nothing is.
        """
        if self._made is None:
            raise DestinationError(str(self.path), "nothing was written yet")
        return self._made.file

    def commit(self) -> None:
        """Have the file under its name, for good, even after a power cut.

        Raises:
            DestinationError: that can't be. What there was is still there.
        """
        if self._made is None:
            raise DestinationError(str(self.path), "nothing was written yet")
        self._made.commit()
        made, self._made = self._made, None
        if isinstance(made, Draft):
            Landing.clear(self.path)

    def set_aside(self) -> None:
        """Forget what was written, but for what :meth:`resume` can use."""
        if not isinstance(self._made, Landing):
            self.discard()

    def discard(self) -> None:
        """Forget what was written."""
        made, self._made = self._made, None
        if isinstance(made, Landing):
            made.remove()
        elif made is not None:
            made.close()

    def refusal(self, error: OSError) -> DestinationError:
        """The error to raise when writing here failed with ``error``."""
        return refusal(self.path, error)

    @staticmethod
    def is_to_blame(error: OSError) -> bool:
        """Whether it is the destination that ``error`` is about, when data
        was copied to it."""
        return error.errno in _FULL
