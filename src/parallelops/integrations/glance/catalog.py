"""Glance's database as a catalogue."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Self

from parallelops.errors import (
    IllegalTransition,
    MissingDependency,
    NotInCatalog,
    RestoreRefused,
    StoreError,
)
from parallelops.images import (
    Backlog,
    Claimed,
    DueImage,
    Location,
    LocationStatus,
    Settled,
)
from parallelops.integrations.glance.listing import Listing
from parallelops.integrations.glance.parking import Parking
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from parallelops.integrations.glance.locks import Locks
    from parallelops.integrations.glance.urls import ReadURL
    from parallelops.runtime import Runtime

__all__ = ["BATCH_SIZE", "GlanceCatalog"]

_log = logging.getLogger(__name__)

BATCH_SIZE = 400
"""Locations to record together. A transaction costs Glance's database more
than a row, and half a second bounds a batch of slow deletes anyway."""

_SAMPLES = 5


class GlanceCatalog:
    """The images and locations in Glance's database.

    Due are the locations of images that have been ``pending_delete`` for
    long enough, and those that were removed from an image which stays. One
    that lost its last location in an earlier run, which did not get to the
    image itself, comes without locations.

    Every write is conditional on the status that it expects, and is what
    Glance itself would write. A batch is one transaction. Claims are locks
    outside of the rows; what is parked, this object remembers. Only one
    thread uses it, but for :meth:`sample`.

    Args:
        url: as Glance has it in ``[database] connection``.
        read_url: makes the URL and the name of the store of a location out
            of its columns ``value`` and ``meta_data``.
        lock_path: a file by which the scrubbers on this machine claim
            images. By default they do it by the database server, and for an
            SQLite file by a file beside it.
        lock_timeout: seconds to wait for a lock on an SQLite file.
        runtime: where clocks, sleep and chance come from; by default from
            ``time`` and ``random``.

    Raises:
        CatalogError: the URL or the path can't be used.
        MissingDependency: SQLAlchemy is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        read_url: ReadURL,
        lock_path: str | None = None,
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
        self._locks: Locks = self._database.locks(lock_path)
        self._lease = 60.0
        self._parking = Parking()
        self._listing = Listing(self._database, queries)

    def close(self) -> None:
        """Let go of all claims; a second time does nothing."""
        self._locks.close()
        self._database.close()

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
        """See :meth:`Catalog.due`; it has what others claimed, too."""
        if after is None:
            # What a run that failed has left.
            self._locks.release(tuple(self._locks.held))
        for page in self._listing.pages(before, after, limit):
            due = self._read_due(page, before, now)
            if due:
                return due
            # Others were faster, it is restored, or parked.
        return []

    def backlog(self, before: float, *, now: float = math.inf) -> Backlog:
        """See :meth:`Catalog.backlog`; it counts what others claimed, and
        images whose locations are parked."""
        images, oldest = self._database.read(
            lambda connection: self._queries.backlog(
                connection, self._queries.utc(before)
            )
        )
        return Backlog(
            images,
            self._queries.seconds(oldest) if oldest else None,
            self._parking.count(now),
        )

    def claim(
        self,
        images: Iterable[DueImage],
        limit: int,
        *,
        before: float,
        now: float,
        until: float,
    ) -> Claimed:
        """See :meth:`Catalog.claim`.

        Whoever dies leaves nothing here that says what they had begun with:
        before a restore somebody has to look whether the data is there.
        """
        self._lease = until - now
        left = list(images)
        claimed: list[DueImage] = []
        refused: set[str] = set()
        while left and len(claimed) < limit:
            some = left[: limit - len(claimed)]
            del left[: len(some)]
            taken = self._locks.take([i.id for i in some], self._lease)
            token = self._locks.generation
            page = [
                (self._queries.utc(image.since), image.id)
                for image in some
                if image.id in taken
            ]
            found = self._read_due(page, before, now, token) if page else []
            claimed += found
            ours = {image.id for image in found}
            self._locks.release(taken - ours)
            refused |= {image.id for image in some} - ours
        return Claimed(tuple(claimed), frozenset(refused))

    def renew(
        self, images: Iterable[DueImage], until: float
    ) -> frozenset[str]:
        """See :meth:`Catalog.renew`."""
        self._lease = until - self._runtime.time()
        return self._lost(images)

    def settle(
        self,
        images: Iterable[DueImage],
        *,
        release: Collection[str] = (),
        doubtful: Collection[int] = (),
        parked: Mapping[int, float] | None = None,
    ) -> Settled:
        """See :meth:`Catalog.settle`; Glance has no place for a doubt."""
        batch = list(images)
        lost = self._lost(batch)
        held = [i for i in batch if i.id not in lost]
        self._parking.park(parked or {})
        settled = self._settle(held, lost)
        self._parking.forget(settled.locations)
        self._locks.release(set(release) - lost)
        return settled

    # -- what its owner needs

    def restore(
        self, image_id: str, is_there: Callable[[Location], bool]
    ) -> tuple[Location, ...]:
        """Make a deleted image active again, with the data it still has.

        Glance's own restore leaves the locations ``pending_delete``, so that
        nobody can read the image. And it may meet a scrubber that deletes
        the data at this moment; this one claims the image first.

        Args:
            image_id: the image.
            is_there: whether the data at a location is there. The others
                stay ``pending_delete``.

        Returns:
            The locations that are active again.

        Raises:
            IllegalTransition: it is not ``pending_delete``.
            NotInCatalog: there is no such image.
            RestoreRefused: a scrubber has it, or none of its data is left.
            StoreError: nobody knows whether it is. In any of these cases
                nothing was changed.
        """
        status = self._database.read(
            lambda connection: self._queries.status(connection, image_id)
        )
        if status is None:
            raise NotInCatalog(f"Glance has no image {image_id!r}")
        if status != LocationStatus.PENDING_DELETE:
            raise IllegalTransition(status, "active", "an image")
        if not self._locks.take([image_id], self._lease):
            why = "a scrubber has it; stop that, and try again"
            raise RestoreRefused(image_id, why)
        try:
            revived = self._revive(image_id, is_there)
        finally:
            self._locks.release([image_id])
        if not revived:
            why = "none of its data is left; upload it again"
            raise RestoreRefused(image_id, why)
        return revived

    def revive(self, is_there: Callable[[Location], bool]) -> tuple[str, ...]:
        """Give images that Glance restored their locations back.

        Those are still ``pending_delete``, and so are they of an image that
        somebody is deleting at this moment: the times tell them apart.

        Args:
            is_there: see :meth:`restore`.

        Returns:
            Ids of the images.
        """
        revived = []
        for image_id in self._database.read(self._queries.restored):
            if not self._locks.take([image_id], self._lease):
                continue
            try:
                done = self._revive(image_id, is_there)
            except StoreError as error:
                _log.error("image %s was restored, but: %s", image_id, error)
                continue
            finally:
                self._locks.release([image_id])
            if done:
                _log.warning(
                    "image %s was restored; its locations are active again",
                    image_id,
                )
                revived.append(image_id)
            else:
                _log.error(
                    "image %s was restored, and none of its data is there",
                    image_id,
                )
        return tuple(revived)

    def sample(self, store: str) -> list[Location]:
        """A few active locations of a store; any thread may call it."""
        rows = self._database.read(self._queries.active)
        found = []
        for image_id, *row in rows:
            location = self._location(image_id, row, LocationStatus.ACTIVE)
            if location.store == store:
                found.append(location)
        return found[:_SAMPLES]

    # -- inside

    def _now(self) -> datetime:
        return self._queries.utc(self._runtime.time())

    def _lost(self, images: Iterable[DueImage]) -> frozenset[str]:
        self._locks.keep(self._lease)
        current = self._locks.generation
        return frozenset(i.id for i in images if i.token != current)

    def _settle(self, images: list[DueImage], lost: frozenset[str]) -> Settled:
        if not images:
            return Settled(frozenset(), frozenset(), {}, lost)
        wanted = [
            (one.id, image.id) for image in images for one in image.locations
        ]
        marked, finished, others = self._database.write(
            lambda connection: self._queries.settle(
                connection, wanted, [i.id for i in images], self._now()
            )
        )
        left = (id_ for id_, _ in wanted if id_ not in marked)
        refused = {id_: _status(others.get(id_)) for id_ in left}
        return Settled(frozenset(marked), frozenset(finished), refused, lost)

    def _revive(
        self, image_id: str, is_there: Callable[[Location], bool]
    ) -> tuple[Location, ...]:
        rows = self._database.read(
            lambda connection: self._queries.pending(connection, image_id)
        )
        locations = {
            row[0]: self._location(image_id, row, LocationStatus.ACTIVE)
            for row in rows
        }
        there = [id_ for id_, each in locations.items() if is_there(each)]
        if not there:
            return ()
        now = self._now()
        revived: list[int] = self._database.write(
            lambda connection: self._queries.revive(
                connection, image_id, there, now
            )
        )
        return tuple(locations[id_] for id_ in revived)

    def _read_due(
        self,
        page: list[tuple[datetime, str]],
        before: float,
        now: float,
        token: int = 0,
    ) -> list[DueImage]:
        """Those of ``page`` that are due at this moment."""
        found = self._database.read(
            lambda connection: self._queries.rows_due(
                connection,
                [id_ for _, id_ in page],
                self._queries.utc(before),
            )
        )
        due = []
        for since, id_ in page:
            if id_ not in found:
                continue
            rows = [
                row for row in found[id_] if not self._parking.has(row[0], now)
            ]
            if rows or not found[id_]:
                locations = tuple(self._location(id_, row) for row in rows)
                since_then = self._queries.seconds(since)
                due.append(DueImage(id_, since_then, locations, token))
        return due

    def _location(
        self,
        image_id: str,
        row: list[Any],
        status: LocationStatus = LocationStatus.PENDING_DELETE,
    ) -> Location:
        id_, value, metadata, deleted_at = row
        url, store = self._read_url(value, metadata)
        return Location(
            id=id_,
            image_id=image_id,
            url=url,
            store=store,
            status=status,
            deleted_at=(
                self._queries.seconds(deleted_at)
                if deleted_at and status == LocationStatus.PENDING_DELETE
                else None
            ),
            parkings=self._parking.times(id_),
        )


def _status(word: str | None) -> LocationStatus | None:
    try:
        return LocationStatus(word) if word else None
    except ValueError:
        return None  # a word that Glance did not have when this was written
