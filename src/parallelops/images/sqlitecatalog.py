"""A catalogue in one file, which needs no server."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.errors import CatalogError, IllegalTransition, NotInCatalog
from parallelops.images import sqlitescrub
from parallelops.images.location import LocationStatus, check_transition
from parallelops.images.sqlitefile import CATALOG
from parallelops.images.status import ImageStatus, image_status
from parallelops.runtime import ThreadRuntime
from parallelops.sqlitefile import transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from parallelops.images.catalog import (
        Backlog,
        Claimed,
        DueImage,
        Settled,
    )
    from parallelops.images.entry import StaticMetrics
    from parallelops.images.location import Location
    from parallelops.runtime import Runtime

__all__ = ["SQLiteCatalog"]


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
        self,
        before: float,
        after: DueImage | None,
        limit: int,
        *,
        now: float = math.inf,
    ) -> list[DueImage]:
        """See :meth:`Catalog.due`."""
        with self._reading() as connection:
            return sqlitescrub.due(connection, before, after, limit, now)

    def backlog(self, before: float, *, now: float = math.inf) -> Backlog:
        """See :meth:`Catalog.backlog`."""
        with self._reading() as connection:
            return sqlitescrub.backlog(connection, before, now)

    def claim(
        self,
        images: Iterable[DueImage],
        limit: int,
        *,
        before: float,
        now: float,
        until: float,
    ) -> Claimed:
        """See :meth:`Catalog.claim`."""
        with self._writing() as connection:
            return sqlitescrub.claim(
                connection, images, limit, before, now, until
            )

    def renew(
        self, images: Iterable[DueImage], until: float
    ) -> frozenset[str]:
        """See :meth:`Catalog.renew`."""
        with self._writing() as connection:
            return sqlitescrub.renew(connection, images, until)

    def settle(
        self,
        images: Iterable[DueImage],
        *,
        release: Collection[str] = (),
        doubtful: Collection[int] = (),
        parked: Mapping[int, float] | None = None,
    ) -> Settled:
        """See :meth:`Catalog.settle`."""
        with self._writing() as connection:
            return sqlitescrub.settle(
                connection, images, release, doubtful, parked or {}
            )

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
            return sqlitescrub.locations(connection, image_id)

    def weigh(self, location_id: int, metrics: StaticMetrics) -> None:
        """Say how much a location is to be preferred by those who read.

        Args:
            location_id: the location.
            metrics: they take the place of those that it has.

        Raises:
            NotInCatalog: there is no such location.
        """
        with self._writing() as connection:
            found = connection.execute(
                "UPDATE locations SET metrics = ? WHERE id = ?",
                (json.dumps(metrics.as_dict()), location_id),
            )
            if not found.rowcount:
                raise NotInCatalog(f"{self.path}: no location {location_id}")

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
                " deleted_at = ?, doubtful = status = 'pending'"
                " WHERE image_id = ? AND status IN ('pending', 'active')",
                (now, image_id),
            )
            self._mark_pending(connection, image_id, now, "pending_delete")

    def restore(self, image_id: str) -> tuple[Location, ...]:
        """Make a deleted image active again, with the data that it has.

        Locations whose data may be gone stay ``pending_delete``, and are
        scrubbed: what a delete was begun for and did not surely fail, or
        what was never wholly there.

        Args:
            image_id: the image.

        Returns:
            The locations that are active again.

        Raises:
            IllegalTransition: it is not ``pending_delete``.
            NotInCatalog: there is no such image.
            RestoreRefused: a scrubber has it, or had it and never said what
                it did; or none of its data is surely there.
        """
        with self._writing() as connection:
            status = self._image_status(connection, image_id)
            if status != ImageStatus.PENDING_DELETE:
                raise IllegalTransition(status, ImageStatus.ACTIVE, "an image")
            return sqlitescrub.restore(connection, image_id)

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
                f"SELECT {sqlitescrub.COLUMNS} FROM locations l WHERE id = ?",  # noqa: S608
                (location_id,),
            ).fetchone()
            if row is None:
                raise NotInCatalog(f"{self.path}: no location {location_id}")
            location = sqlitescrub.location(row)
            check_transition(location.status, LocationStatus.PENDING_DELETE)
            connection.execute(
                "UPDATE locations SET status = 'pending_delete',"
                " deleted_at = ?, doubtful = status = 'pending'"
                " WHERE id = ?",
                (now, location_id),
            )
            derived = image_status(
                sqlitescrub.locations(connection, location.image_id)
            )
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
            return sqlitescrub.locations(connection, image_id)

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
