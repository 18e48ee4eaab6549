"""The file that keeps what a node measured; losing it costs some speed."""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.images.observations import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MetricsFile"]

_log = logging.getLogger(__name__)

_VERSION = 1
_LONGEST = 64 * 1024 * 1024  # bytes
_LONGEST_NAME = 255


class MetricsFile:
    """Observations in a file of JSON, replaced as a whole.

    No method raises an OSError: what goes wrong is logged as a warning, a
    damaged file is renamed to end in ``.damaged``, and one that may not be
    read is left alone from then on.

    Args:
        path: the file; it need not be there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._usable = True

    def read(self, now: float, time: float) -> list[tuple[str, Observation]]:
        """Sources and what was observed of them, the oldest first.

        Args:
            now: the time on the monotonic clock.
            time: the same, in seconds since the epoch.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_LONGEST + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._usable = False
            _log.warning(
                "what was measured of locations is not used, and not kept: "
                "cannot read %s: %s",
                self.path,
                error.strerror,
            )
            return []
        try:
            return _parsed(data, now, time)
        except (
            AttributeError,
            KeyError,
            OverflowError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            self._set_aside(error)
            return []

    def write(
        self,
        sources: Mapping[str, Sequence[Observation]],
        now: float,
        time: float,
    ) -> None:
        """Replace the file; the times are as for :meth:`read`."""
        if not self._usable:
            return
        content = {
            "version": _VERSION,
            "saved": time,
            "sources": {
                key: [
                    [max(now - o.at, 0.0), o.speed, o.first_byte]
                    for o in observations
                ]
                for key, observations in sources.items()
            },
        }
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
                "what was measured of locations is not kept: cannot write "
                "%s: %s",
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
                "%s is damaged (%s): it is now %s, and measuring begins anew",
                self.path,
                type(reason).__name__,
                aside,
            )


def _parsed(
    data: bytes, now: float, time: float
) -> list[tuple[str, Observation]]:
    if len(data) > _LONGEST:
        raise ValueError("too long")
    content = json.loads(data)
    if content["version"] != _VERSION:
        raise ValueError("another version")
    # A clock that was set back makes nothing younger.
    passed = max(time - _number(content["saved"]), 0.0)
    found = []
    for key, observations in content["sources"].items():
        if not key.isprintable() or len(key) > _LONGEST_NAME:
            raise ValueError("no name of a source")
        for age, speed, first_byte in observations:
            observation = Observation(
                0,
                now - passed - _number(age),
                _number(speed),
                None if first_byte is None else _number(first_byte),
            )
            found.append((key, observation))
    found.sort(key=lambda pair: pair[1].at)
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not 0 <= value < math.inf:
        raise ValueError("out of range")
    return float(value)
