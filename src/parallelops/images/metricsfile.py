"""The file that keeps what a node measured; losing it costs some speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from parallelops.images.keptfile import KeptFile
from parallelops.images.observations import Observation

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["MetricsFile"]

_VERSION = 1
_LONGEST_NAME = 255


class MetricsFile:
    """Observations in a :class:`KeptFile`, which see for what goes wrong.

    Args:
        path: the file; it need not be there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = KeptFile(path, "what was measured of locations")

    def read(self, now: float, time: float) -> list[tuple[str, Observation]]:
        """Sources and what was observed of them, the oldest first.

        Args:
            now: the time on the monotonic clock.
            time: the same, in seconds since the epoch.
        """
        return self._file.read(lambda found: _parsed(found, now, time)) or []

    def write(
        self,
        sources: Mapping[str, Sequence[Observation]],
        now: float,
        time: float,
    ) -> None:
        """Replace the file; the times are as for :meth:`read`."""
        self._file.write(
            {
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
        )


def _parsed(
    content: Any, now: float, time: float
) -> list[tuple[str, Observation]]:
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
