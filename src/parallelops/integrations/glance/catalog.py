"""Glance's database as a catalogue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from parallelops.errors import (
    CatalogError,
    IllegalTransition,
    MissingDependency,
    NotInCatalog,
)
from parallelops.images import DueImage, Location, LocationStatus, Settled
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from parallelops.integrations.glance.urls import ReadURL
    from parallelops.runtime import Runtime

__all__ = ["BATCH_SIZE", "GlanceCatalog"]

_log = logging.getLogger(__name__)

BATCH_SIZE = 400
"""Locations to record together. A transaction costs Glance's database more
than a row, and half a second bounds a batch of slow deletes anyway."""

# Finding what is due means to look at every deleted image. So it is done
# for many pages at once, of which only the ids are kept.
_LISTED = 50_000


class GlanceCatalog:
    """The images and locations in Glance's database.

    Due are the locations of images that have been ``pending_delete`` for
    long enough, and those that were removed from an image which stays. One
    that lost its last location in an earlier run, which did not get to the
    image itself, comes without locations.

    Only one thread uses it. Every write is conditional on the status that
    it expects, and is what Glance itself would write. A batch is one
    transaction.

    Args:
        url: as Glance has it in ``[database] connection``.
        read_url: makes the URL and the name of the store of a location out
            of its columns ``value`` and ``meta_data``.
        lock_timeout: seconds to wait for a lock on an SQLite file.
        runtime: where clocks, sleep and chance come from; by default from
            ``time`` and ``random``.

    Raises:
        CatalogError: the URL can't be used.
        MissingDependency: SQLAlchemy is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        read_url: ReadURL,
        lock_timeout: float = 30.0,
        runtime: Runtime | None = None,
    ) -> None:
        try:
            from parallelops.integrations.glance import database, queries
        except ImportError as error:
            raise MissingDependency(
                "Glance's catalogue", "sqlalchemy", "glance"
            ) from error
        self._runtime = runtime or ThreadRuntime()
        self._queries = queries
        self._read_url = read_url
        self._database = database.Database(
            url, lock_timeout=lock_timeout, runtime=self._runtime
        )
        self._listing: list[tuple[datetime, str]] = []
        self._positions: dict[str, int] = {}

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- what a scrubber needs

    def due(
        self, before: float, after: DueImage | None, limit: int
    ) -> list[DueImage]:
        """See :meth:`Catalog.due`."""
        if after is None:
            self._list(before, None)
        position = 0
        if after is not None:
            if after.id not in self._positions:
                self._list(before, (self._queries.utc(after.since), after.id))
            position = self._positions.get(after.id, -1) + 1
        while True:
            if position >= len(self._listing) >= _LISTED:
                self._list(before, self._listing[-1])
                position = 0
            page = self._listing[position : position + limit]
            if not page:
                return []
            due = self._read_page(page, before)
            if due:
                return due
            # Others were faster, or they are restored.
            position += len(page)

    def count_due(self, before: float) -> int:
        """See :meth:`Catalog.count_due`."""
        return int(
            self._database.read(
                lambda connection: self._queries.count_listed(
                    connection, self._queries.utc(before)
                )
            )
        )

    def settle(self, images: Iterable[DueImage]) -> Settled:
        """See :meth:`Catalog.settle`."""
        batch = list(images)
        wanted = [
            (location.id, image.id)
            for image in batch
            for location in image.locations
        ]
        now = self._now()

        def work(connection: Any) -> Settled:
            marked, others = self._queries.mark_deleted(
                connection, wanted, now
            )
            finished = self._queries.finish(
                connection, [image.id for image in batch], now
            )
            refused = {
                id_: _status(others.get(id_))
                for id_, _ in wanted
                if id_ not in marked
            }
            return Settled(frozenset(marked), frozenset(finished), refused)

        settled: Settled = self._database.write(work)
        return settled

    # -- what its owner needs

    def restore(self, image_id: str) -> int:
        """Make a deleted image active again, with the locations it still has.

        Glance's own restore leaves its locations ``pending_delete``, so that
        nobody can read it. Stop the scrubbers before; see ``hold``.

        Returns:
            How many locations it has again.

        Raises:
            CatalogError: none of its data is left, so that it would be an
                active image without any. Nothing was changed.
            IllegalTransition: it is not ``pending_delete``.
            NotInCatalog: there is no such image.
        """
        now = self._now()

        def work(connection: Any) -> int:
            status, revived = self._queries.revive(connection, image_id, now)
            if status is None:
                raise NotInCatalog(f"Glance has no image {image_id!r}")
            if status != LocationStatus.PENDING_DELETE:
                raise IllegalTransition(status, "active", "an image")
            if not revived:
                raise CatalogError(
                    f"image {image_id} cannot be restored: none of its data "
                    "is left; upload it again"
                )
            return len(revived)

        return int(self._database.write(work))

    def revive(self) -> tuple[str, ...]:
        """Give images that Glance restored their locations back.

        After ``glance-scrubber --restore`` an image is active, and its
        locations are still ``pending_delete``. An image that somebody is
        deleting at this moment looks alike but for the times, by which it is
        told apart.

        Returns:
            Ids of the images.
        """
        queries = self._queries
        now = self._now()
        revived = []
        for image_id in self._database.read(queries.restored):

            def work(connection: Any, image_id: str = image_id) -> bool:
                if not queries.restored(connection, image_id):
                    return False
                queries.revive(connection, image_id, now)
                return True

            if self._database.write(work):
                _log.warning(
                    "image %s was restored; its locations are active again",
                    image_id,
                )
                revived.append(image_id)
        return tuple(revived)

    # -- inside

    def _now(self) -> datetime:
        return self._queries.utc(self._runtime.time())

    def _list(self, before: float, after: tuple[datetime, str] | None) -> None:
        self._listing = self._database.read(
            lambda connection: self._queries.listed(
                connection, self._queries.utc(before), after, _LISTED
            )
        )
        self._positions = {
            id_: position for position, (_, id_) in enumerate(self._listing)
        }

    def _read_page(
        self, page: list[tuple[datetime, str]], before: float
    ) -> list[DueImage]:
        found = self._database.read(
            lambda connection: self._queries.rows_due(
                connection,
                [id_ for _, id_ in page],
                self._queries.utc(before),
            )
        )
        return [
            DueImage(
                id_,
                self._queries.seconds(since),
                tuple(self._location(id_, *row) for row in found[id_]),
            )
            for since, id_ in page
            if id_ in found
        ]

    def _location(
        self,
        image_id: str,
        id_: int,
        value: str,
        metadata: str | None,
        deleted_at: datetime | None,
    ) -> Location:
        url, store = self._read_url(value, metadata)
        return Location(
            id=id_,
            image_id=image_id,
            url=url,
            store=store,
            status=LocationStatus.PENDING_DELETE,
            deleted_at=(
                self._queries.seconds(deleted_at) if deleted_at else None
            ),
        )


def _status(word: str | None) -> LocationStatus | None:
    try:
        return LocationStatus(word) if word else None
    except ValueError:
        return None  # a word that Glance did not have when this was written
