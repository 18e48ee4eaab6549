"""A directory in the making: all of it, or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING, Self

from parallelops.landing.place import Place, explained

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Staging"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NAME = 200


class Staging:
    """A private directory beside ``path``, which becomes it.

    It is locked while it is in use. So one whose process was killed can be
    told from others, and the next one for the same path removes it.

    Args:
        path: what it is to become; nothing may be there.

    Attributes:
        path: the same, as an absolute path.
        folder: the private directory.

    Raises:
        DestinationError: something is there, or it can't be made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._place = Place(path, replace=False)
        self.path = self._place.path
        prefix = f".{self.path.name[:_LONGEST_NAME]}."
        self._pattern = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{16}}\.part")
        self._lock = -1
        name = f"{prefix}{secrets.token_hex(8)}"
        self.folder = self.path.with_name(f"{name}.part")
        try:
            with explained(self.path):
                self._remove_abandoned()
                self._make(self.path.with_name(f"{name}.new"))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._close()

    def commit(self) -> None:
        """Have it under its name, for good, even after a power cut.

        Raises:
            DestinationError: that can't be.
        """
        self._place.receive(
            self._lock, self.folder.name, self._place.directory
        )

    def _make(self, new: Path) -> None:
        new.mkdir(mode=0o700)
        try:
            self._lock = os.open(new, _DIRECTORY)
            # Locked before it has the name by which others look for it.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self.folder)
        except BaseException:
            new.rmdir()
            raise

    def _remove_abandoned(self) -> None:
        for found in self.path.parent.iterdir():
            if not self._pattern.fullmatch(found.name):
                continue
            with contextlib.suppress(OSError):  # in use, or gone, or another's
                lock = os.open(found, _DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(found)
                finally:
                    os.close(lock)

    def _close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._place.close()
