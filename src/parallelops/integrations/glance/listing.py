"""The order of what is due, read ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from parallelops.images import DueImage
    from parallelops.integrations.glance.database import Database

__all__ = ["Listing"]

# Finding what is due means to look at every deleted image. So it is done
# for many pages at once, of which only the ids are kept.
_LISTED = 50_000


class Listing:
    """Pages of when and which images became due, oldest first.

    Args:
        database: where they are.
        queries: the module that asks.
    """

    def __init__(self, database: Database, queries: Any) -> None:
        self._database = database
        self._queries = queries
        self._rows: list[tuple[datetime, str]] = []
        self._positions: dict[str, int] = {}

    def pages(
        self, before: float, after: DueImage | None, limit: int
    ) -> Iterator[list[tuple[datetime, str]]]:
        """Pages of at most ``limit``, from the one after ``after`` on.

        Args:
            before: in seconds since the epoch.
            after: the last image of an earlier page; None lists anew.
            limit: images in a page.
        """
        position = 0
        if after is None:
            self._read(before, None)
        else:
            if after.id not in self._positions:
                self._read(before, (self._queries.utc(after.since), after.id))
            position = self._positions.get(after.id, -1) + 1
        while True:
            if position >= len(self._rows) >= _LISTED:
                self._read(before, self._rows[-1])
                position = 0
            page = self._rows[position : position + limit]
            if not page:
                return
            yield page
            position += len(page)

    def _read(self, before: float, after: tuple[datetime, str] | None) -> None:
        self._rows = self._database.read(
            lambda connection: self._queries.listed(
                connection, self._queries.utc(before), after, _LISTED
            )
        )
        self._positions = {
            id_: position for position, (_, id_) in enumerate(self._rows)
        }
