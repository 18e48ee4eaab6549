"""Locations that wait, since their store would not delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Parking"]


class Parking:
    """Remembers until when a location is parked, and how many times it was.

    Glance has no column for it. So a new process tries each of them once
    more; one that goes on forgets nothing but what is deleted.
    """

    def __init__(self) -> None:
        self._parked: dict[int, tuple[float, int]] = {}

    def park(self, until: Mapping[int, float]) -> None:
        """Park locations, by id, until a time in seconds since the epoch."""
        for id_, time in until.items():
            self._parked[id_] = (time, self.times(id_) + 1)

    def has(self, id_: int, now: float) -> bool:
        """Is it parked?"""
        return id_ in self._parked and self._parked[id_][0] > now

    def times(self, id_: int) -> int:
        """How many times it was parked."""
        return self._parked[id_][1] if id_ in self._parked else 0

    def count(self, now: float) -> int:
        """How many are parked."""
        return sum(until > now for until, _ in self._parked.values())

    def forget(self, ids: Iterable[int]) -> None:
        """These are deleted."""
        for id_ in ids:
            self._parked.pop(id_, None)
