"""A file of what was learned; losing it costs some time, and no more."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KeptFile"]

_log = logging.getLogger(__name__)

_LONGEST = 64 * 1024 * 1024  # bytes

T = TypeVar("T")


class KeptFile:
    """JSON in a file, which is replaced as a whole.

    No method raises an OSError: what goes wrong is logged as a warning, a
    damaged file is renamed to end in ``.damaged``, and one that may not be
    read is left alone from then on.

    Args:
        path: the file; it need not be there.
        what: what is kept in it, for people to read.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = Path(path).absolute()
        self._what = what
        self._usable = True

    def read(self, parse: Callable[[Any], T]) -> T | None:
        """What ``parse`` makes of the content; None if there is none.

        Args:
            parse: takes what JSON has; raises any of the errors that wrong
                types and values raise by themselves.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_LONGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._usable = False
            _log.warning(
                "%s is not used, and not kept: cannot read %s: %s",
                self._what,
                self.path,
                error.strerror,
            )
            return None
        try:
            if len(data) > _LONGEST:
                raise ValueError("too long")
            return parse(json.loads(data))
        except (
            AttributeError,
            KeyError,
            OverflowError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            self._set_aside(error)
            return None

    def write(self, content: object) -> None:
        """Replace the file by ``content`` as JSON."""
        if not self._usable:
            return
        try:
            handle, name = tempfile.mkstemp(
                prefix=f".{self.path.name}.", dir=self.path.parent
            )
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(content, file)
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            _log.warning(
                "%s is not kept: cannot write %s: %s",
                self._what,
                self.path,
                error.strerror,
            )

    def _set_aside(self, reason: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            self.path.replace(aside)
        except OSError as error:
            self._usable = False
            _log.warning(
                "%s is damaged, and cannot be renamed: %s; it is not used",
                self.path,
                error.strerror,
            )
        else:
            _log.warning(
                "%s is damaged (%s): it is now %s, and begins anew",
                self.path,
                type(reason).__name__,
                aside,
            )
