"""A directory in the making: all of it, or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
        prefix = f".{self.path.name[:_LONGEST_NAME]}."
        self._pattern = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{16}}\.part")
        self._lock = -1
        with self._explained():
            self._check_free()
            self._remove_abandoned()
            name = f"{prefix}{secrets.token_hex(8)}"
            new = self.path.with_name(f"{name}.new")
            self.folder = self.path.with_name(f"{name}.part")
            new.mkdir(mode=0o700)
            try:
                self._lock = os.open(new, _DIRECTORY)
                # Locked before it has the name by which others look for it.
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                new.rename(self.folder)
            except BaseException:
                self._unlock()
                new.rmdir()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._unlock()

    def commit(self) -> None:
        """Have it under its name, for good, even after a power cut.

        Raises:
            DestinationError: that can't be.
        """
        with self._explained():
            os.fsync(self._lock)
            self._check_free()
            self.folder.rename(self.path)
            parent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)

    def _check_free(self) -> None:
        # A rename would take the place of an empty directory.
        if os.path.lexists(self.path):
            raise DestinationError(
                str(self.path), "something is there already; remove it first"
            )

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

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DestinationError(
                str(self.path), error.strerror or type(error).__name__
            ) from error
