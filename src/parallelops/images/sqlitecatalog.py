"""A catalogue in one file, which needs no server."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from parallelops.errors import CatalogError, IllegalTransition, NotInCatalog
from parallelops.images.catalog import DueImage, Settled
from parallelops.images.location import (
    Location,
    LocationStatus,
    check_transition,
)
from parallelops.images.sqlitefile import CATALOG
from parallelops.images.status import ImageStatus, image_status
from parallelops.runtime import ThreadRuntime
from parallelops.sqlitefile import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parallelops.runtime import Runtime

__all__ = ["SQLiteCatalog"]


_COLUMNS = "l.id, l.image_id, l.url, l.store, l.status, l.deleted_at"

_IS_DUE = """
    pending_since IS NOT NULL AND pending_since <= :before
    AND (
        EXISTS (
            SELECT 1 FROM locations l
            WHERE l.image_id = images.id AND l.status = 'pending_delete'
            AND l.deleted_at <= :before
        )
        -- Whoever deleted its last location did not get to the image.
        OR (
            status = 'pending_delete' AND NOT EXISTS (
                SELECT 1 FROM locations l
                WHERE l.image_id = images.id AND l.status <> 'deleted'
            )
        )
    )
"""

_DUE = f"""
    SELECT page.id, page.pending_since, {_COLUMNS}
    FROM (
        SELECT id, pending_since FROM images
        WHERE (pending_since, id) > (:since, :id) AND {_IS_DUE}
        ORDER BY pending_since, id LIMIT :limit
    ) page
    LEFT JOIN locations l ON l.image_id = page.id
        AND l.status = 'pending_delete' AND l.deleted_at <= :before
    ORDER BY page.pending_since, page.id, l.id
"""  # noqa: S608 - made of the constants above

_SETTLE_IMAGE = """
    UPDATE images SET status = 'deleted'
    WHERE id = ? AND status = 'pending_delete' AND NOT EXISTS (
        SELECT 1 FROM locations
        WHERE image_id = images.id AND status <> 'deleted'
    )
"""

# Stays what it is until the last one is gone, so that a scrubber which reads
# page after page does not meet the same image again further on.
_NOTHING_PENDING = """
    UPDATE images SET pending_since = NULL
    WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM locations
        WHERE image_id = images.id AND status = 'pending_delete'
    )
"""


class SQLiteCatalog:
    """A catalogue in an SQLite file.

    Several threads may use one, in turn; several processes may open the
    same file. After a fork the child opens its own. Every change is on disk
    when the call returns. Under green threads a call blocks all of them for
    as long as the disk takes, which is milliseconds.

    The file has to be on a local file system: it uses a write-ahead log,
    which needs memory shared between the processes.

    Args:
        path: the file; made if there is none.
        busy_timeout: seconds to wait for another process that is writing.
        runtime: where its lock comes from; by default from ``threading``.

    Raises:
        CatalogError: the file is no catalogue, or can't be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_timeout: float = 30.0,
        runtime: Runtime | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self._lock = (runtime or ThreadRuntime()).rlock()
        self._process = os.getpid()
        self._connection = CATALOG.connect(self.path, busy_timeout)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- what a scrubber needs

    def due(
        self, before: float, after: DueImage | None, limit: int
    ) -> list[DueImage]:
        """See :meth:`Catalog.due`."""
        with self._reading() as connection:
            rows = connection.execute(
                _DUE,
                {
                    "before": before,
                    "since": after.since if after else float("-inf"),
                    "id": after.id if after else "",
                    "limit": limit,
                },
            ).fetchall()
        return [
            DueImage(
                image_id,
                since,
                tuple(_location(row[2:]) for row in of_image if row[2]),
            )
            for (image_id, since), of_image in itertools.groupby(
                rows, lambda row: row[:2]
            )
        ]

    def count_due(self, before: float) -> int:
        """See :meth:`Catalog.count_due`."""
        with self._reading() as connection:
            (number,) = connection.execute(
                f"SELECT COUNT(*) FROM images WHERE {_IS_DUE}",  # noqa: S608
                {"before": before},
            ).fetchone()
        return int(number)

    def settle(self, images: Iterable[DueImage]) -> Settled:
        """See :meth:`Catalog.settle`."""
        marked: set[int] = set()
        finished: set[str] = set()
        refused: dict[int, LocationStatus | None] = {}
        with self._writing() as connection:
            for image in images:
                for location in image.locations:
                    if connection.execute(
                        "UPDATE locations SET status = 'deleted' WHERE id = ?"
                        " AND image_id = ? AND status = 'pending_delete'",
                        (location.id, image.id),
                    ).rowcount:
                        marked.add(location.id)
                    else:
                        refused[location.id] = _status(connection, location)
                if connection.execute(_SETTLE_IMAGE, (image.id,)).rowcount:
                    finished.add(image.id)
                connection.execute(_NOTHING_PENDING, (image.id,))
        return Settled(frozenset(marked), frozenset(finished), refused)

    # -- what its owner needs

    def add_image(
        self,
        image_id: str,
        locations: Iterable[tuple[str, str | None]] = (),
    ) -> tuple[Location, ...]:
        """Add an active image.

        Args:
            image_id: it must be new.
            locations: for each its URL, and the name of its store or None.

        Returns:
            Its locations, active, in the order given.

        Raises:
            CatalogError: there is such an image already.
        """
        with self._writing() as connection:
            try:
                connection.execute(
                    "INSERT INTO images (id, status) VALUES (?, 'active')",
                    (image_id,),
                )
            except sqlite3.IntegrityError as error:
                raise CatalogError(
                    f"{self.path}: there is an image {image_id!r} already"
                ) from error
            connection.executemany(
                "INSERT INTO locations (image_id, url, store, status)"
                " VALUES (?, ?, ?, 'active')",
                [(image_id, url, store) for url, store in locations],
            )
            return _locations(connection, image_id)

    def delete_image(self, image_id: str, now: float) -> None:
        """Delete an image: all its data waits to be deleted from ``now``.

        Args:
            image_id: the image.
            now: seconds since the epoch.

        Raises:
            IllegalTransition: it was deleted before.
            NotInCatalog: there is no such image.
        """
        with self._writing() as connection:
            status = self._image_status(connection, image_id)
            if status != ImageStatus.ACTIVE:
                raise IllegalTransition(
                    status, ImageStatus.PENDING_DELETE, "an image"
                )
            connection.execute(
                "UPDATE locations SET status = 'pending_delete',"
                " deleted_at = ? WHERE image_id = ?"
                " AND status IN ('pending', 'active')",
                (now, image_id),
            )
            self._mark_pending(connection, image_id, now, "pending_delete")

    def delete_location(self, location_id: int, now: float) -> None:
        """Delete one location; with the last one goes the image.

        Args:
            location_id: the location.
            now: seconds since the epoch.

        Raises:
            IllegalTransition: it was deleted before.
            NotInCatalog: there is no such location.
        """
        with self._writing() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM locations l WHERE id = ?",  # noqa: S608
                (location_id,),
            ).fetchone()
            if row is None:
                raise NotInCatalog(f"{self.path}: no location {location_id}")
            location = _location(row)
            check_transition(location.status, LocationStatus.PENDING_DELETE)
            connection.execute(
                "UPDATE locations SET status = 'pending_delete',"
                " deleted_at = ? WHERE id = ?",
                (now, location_id),
            )
            derived = image_status(_locations(connection, location.image_id))
            status = (
                "pending_delete"
                if derived is ImageStatus.PENDING_DELETE
                else "active"
            )
            self._mark_pending(connection, location.image_id, now, status)

    def locations(self, image_id: str) -> tuple[Location, ...]:
        """All locations of an image, deleted ones too, oldest first.

        Raises:
            NotInCatalog: there is no such image.
        """
        with self._reading() as connection:
            self._image_status(connection, image_id)
            return _locations(connection, image_id)

    def images(self) -> Iterator[tuple[str, ImageStatus]]:
        """All images by id, read as you go."""
        last = ""
        while True:
            with self._reading() as connection:
                rows = connection.execute(
                    "SELECT id, status FROM images WHERE id > ?"
                    " ORDER BY id LIMIT 1000",
                    (last,),
                ).fetchall()
            if not rows:
                return
            for last, status in rows:
                yield last, ImageStatus(status)

    def counts(self) -> dict[LocationStatus, int]:
        """How many locations have each status."""
        with self._reading() as connection:
            found = dict(
                connection.execute(
                    "SELECT status, COUNT(*) FROM locations GROUP BY status"
                ).fetchall()
            )
        return {status: found.get(status, 0) for status in LocationStatus}

    # -- inside

    def _image_status(
        self, connection: sqlite3.Connection, image_id: str
    ) -> ImageStatus:
        row = connection.execute(
            "SELECT status FROM images WHERE id = ?", (image_id,)
        ).fetchone()
        if row is None:
            raise NotInCatalog(f"{self.path}: no image {image_id!r}")
        return ImageStatus(row[0])

    def _mark_pending(
        self,
        connection: sqlite3.Connection,
        image_id: str,
        now: float,
        status: str,
    ) -> None:
        # An image without a location has no status to follow but its own.
        connection.execute(
            "UPDATE images SET status = ?,"
            " pending_since = COALESCE(pending_since, ?) WHERE id = ?",
            (status, now, image_id),
        )

    @contextlib.contextmanager
    def _reading(self, doing: str = "read") -> Iterator[sqlite3.Connection]:
        with self._lock, CATALOG.explained(self.path, doing):
            if os.getpid() != self._process:
                raise CatalogError(
                    f"{self.path}: this process was forked off the one that "
                    "opened it, and shares its locks; open it anew"
                )
            yield self._connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with (
            self._reading("write") as connection,
            transaction(connection),
        ):
            yield connection


def _location(row: tuple[Any, ...]) -> Location:
    id_, image_id, url, store, status, deleted_at = row
    return Location(
        id=id_,
        image_id=image_id,
        url=url,
        store=store,
        status=LocationStatus(status),
        deleted_at=deleted_at,
    )


def _locations(
    connection: sqlite3.Connection, image_id: str
) -> tuple[Location, ...]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM locations l WHERE image_id = ?"  # noqa: S608
        " ORDER BY id",
        (image_id,),
    ).fetchall()
    return tuple(map(_location, rows))


def _status(
    connection: sqlite3.Connection, location: Location
) -> LocationStatus | None:
    row = connection.execute(
        "SELECT status FROM locations WHERE id = ? AND image_id = ?",
        (location.id, location.image_id),
    ).fetchone()
    return LocationStatus(row[0]) if row else None
