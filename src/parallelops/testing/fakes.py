"""A catalogue and a store in memory, with faults that a test plans."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import TYPE_CHECKING, Literal

from parallelops.errors import (
    CatalogError,
    IllegalTransition,
    ImageDataNotFound,
    LocationBlocked,
    NotInCatalog,
    RestoreRefused,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from parallelops.images.catalog import Backlog, Claimed, DueImage, Settled
from parallelops.images.location import Location, LocationStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from parallelops.runtime import Runtime

__all__ = ["Fault", "MemoryCatalog", "MemoryStore", "WriteFault"]

Fault = Literal[
    "fail",
    "not_found",
    "unavailable",
    "lost_answer",
    "slow",
    "busy",
    "blocked",
]
"""What may go wrong with one call of a store:

- fail: nothing is done, and it raises StoreError;
- not_found: nothing is done, and it says that there is no data;
- unavailable: nothing is done, and it raises StoreUnavailable;
- lost_answer: it is done, and answered with a time-out;
- slow: it is done, an hour later;
- busy: nothing is done, and it raises StoreBusy;
- blocked: nothing is done, and it raises LocationBlocked.
"""

WriteFault = Literal["fail", "lost_answer"]
"""What may go wrong with one write of a catalogue, or of a journal:

- fail: nothing is done, and it raises;
- lost_answer: it is done, and answered with an error.
"""

_HOUR = 3600.0


class MemoryStore:
    """A store whose data is a set of URLs.

    Args:
        runtime: where its lock and its clock come from.
        urls: the data that is there.
        faults: for a URL what goes wrong, call by call, or None; after the
            last one nothing does.

    Attributes:
        data: the URLs whose data is there.
        deletes: the URLs that it was asked to delete, call by call.
    """

    def __init__(
        self,
        runtime: Runtime,
        urls: Iterable[str] = (),
        faults: Mapping[str, Sequence[Fault | None]] | None = None,
    ) -> None:
        self.data = set(urls)
        self.deletes: list[str] = []
        self._runtime = runtime
        self._lock = runtime.lock()
        self._faults = {
            url: collections.deque(planned)
            for url, planned in (faults or {}).items()
        }

    def delete(self, url: str) -> None:
        """See :meth:`~parallelops.images.Store.delete`."""
        with self._lock:
            self.deletes.append(url)
            planned = self._faults.get(url)
            fault = planned.popleft() if planned else None
        if fault == "fail":
            raise StoreError(f"{url}: the test wants it to fail")
        if fault == "not_found":
            raise ImageDataNotFound(f"{url} is not there, says the test")
        if fault == "unavailable":
            raise StoreUnavailable("the test wants the store to be away")
        if fault == "busy":
            raise StoreBusy("the test wants the store to be busy")
        if fault == "blocked":
            raise LocationBlocked(f"{url}: somebody uses it, says the test")
        if fault == "slow":
            self._runtime.sleep(_HOUR)
        with self._lock:
            if url not in self.data:
                raise ImageDataNotFound(f"{url} is not there")
            self.data.remove(url)
        if fault == "lost_answer":
            raise StoreError(f"{url}: no answer in time")

    def probe(self) -> None:
        """It is always there."""

    def sync(self) -> None:
        """See :meth:`~parallelops.images.Store.sync`."""


class MemoryCatalog:
    """A catalogue of images that all wait in ``pending_delete``.

    Args:
        runtime: where its lock comes from.
        images: for each image the URLs of its locations.
        store: the name of the store of them all, or by URL.
        faults: what goes wrong with ``settle``, call by call, or None;
            after the last one nothing does.

    Attributes:
        settled: the ids of the locations that it marked deleted, in order.
        restored: the ids of the images that were restored.
    """

    def __init__(
        self,
        runtime: Runtime,
        images: Mapping[str, Sequence[str]],
        *,
        store: str | Mapping[str, str] | None = None,
        faults: Sequence[WriteFault | None] = (),
    ) -> None:
        self.settled: list[int] = []
        self.restored: set[str] = set()
        self._lock = runtime.lock()
        self._faults = collections.deque(faults)
        self._images: dict[str, _Image] = {}
        number = 0
        for image_id, urls in images.items():
            self._images[image_id] = kept = _Image({})
            for url in urls:
                number += 1
                named = store if isinstance(store, str | None) else store[url]
                kept.rows[number] = _Row(
                    Location(
                        id=number,
                        image_id=image_id,
                        url=url,
                        store=named,
                        status=LocationStatus.PENDING_DELETE,
                        deleted_at=0.0,
                    )
                )

    def status(self, url: str) -> LocationStatus:
        """The status of the location of that URL."""
        with self._lock:
            for image in self._images.values():
                for row in image.rows.values():
                    if row.location.url == url:
                        return row.location.status
        raise KeyError(url)

    def due(
        self,
        before: float,
        after: DueImage | None,
        limit: int,
        *,
        now: float = math.inf,
    ) -> list[DueImage]:
        """See :meth:`~parallelops.images.Catalog.due`."""
        with self._lock:
            images = [
                DueImage(image_id, 0.0, image.due(now))
                for image_id, image in sorted(self._images.items())
                if image.is_free(now)
                and image.due(now)
                and (after is None or image_id > after.id)
            ]
        return images[:limit]

    def backlog(self, before: float, *, now: float = math.inf) -> Backlog:
        """See :meth:`~parallelops.images.Catalog.backlog`."""
        images = len(self.due(before, None, len(self._images), now=now))
        with self._lock:
            waiting = sum(len(i.due(math.inf)) for i in self._images.values())
            parked = waiting - sum(
                len(image.due(now)) for image in self._images.values()
            )
        return Backlog(images, 0.0 if images else None, parked)

    def claim(
        self,
        images: Iterable[DueImage],
        limit: int,
        *,
        before: float,
        now: float,
        until: float,
    ) -> Claimed:
        """See :meth:`~parallelops.images.Catalog.claim`."""
        claimed: list[DueImage] = []
        refused: set[str] = set()
        with self._lock:
            for wanted in images:
                if len(claimed) == limit:
                    break
                image = self._images[wanted.id]
                due = image.due(now)
                if not (image.is_free(now) and due):
                    refused.add(wanted.id)
                    continue
                if image.claim:
                    for row in image.rows.values():
                        row.doubtful |= row.waits
                image.fence += 1
                image.claim, image.leased_until = image.fence, until
                claimed.append(DueImage(wanted.id, 0.0, due, image.fence))
        return Claimed(tuple(claimed), frozenset(refused))

    def renew(
        self, images: Iterable[DueImage], until: float
    ) -> frozenset[str]:
        """See :meth:`~parallelops.images.Catalog.renew`."""
        lost: set[str] = set()
        with self._lock:
            for image in images:
                kept = self._images[image.id]
                if kept.claim == image.token:
                    kept.leased_until = until
                else:
                    lost.add(image.id)
        return frozenset(lost)

    def settle(
        self,
        images: Iterable[DueImage],
        *,
        release: Collection[str] = (),
        doubtful: Collection[int] = (),
        parked: Mapping[int, float] | None = None,
    ) -> Settled:
        """See :meth:`~parallelops.images.Catalog.settle`."""
        marked: set[int] = set()
        finished: set[str] = set()
        refused: dict[int, LocationStatus | None] = {}
        lost: set[str] = set()
        with self._lock:
            fault = self._faults.popleft() if self._faults else None
            if fault == "fail":
                raise CatalogError("the test wants the catalogue to fail")
            for image in images:
                kept = self._images[image.id]
                if kept.claim != image.token:
                    lost.add(image.id)
                    continue
                for location in image.locations:
                    row = kept.rows[location.id]
                    if not row.waits:
                        refused[location.id] = row.location.status
                        continue
                    row.change(LocationStatus.DELETED)
                    marked.add(location.id)
                    self.settled.append(location.id)
                for id_, row in kept.rows.items():
                    row.doubtful |= id_ in doubtful
                    if parked and id_ in parked:
                        row.parked_until = parked[id_]
                if not any(row.waits for row in kept.rows.values()):
                    finished.add(image.id)
                if image.id in release:
                    kept.claim = 0
        if fault == "lost_answer":
            raise CatalogError("the test wants its answer to be lost")
        return Settled(
            frozenset(marked), frozenset(finished), refused, frozenset(lost)
        )

    def restore(self, image_id: str) -> tuple[Location, ...]:
        """See :meth:`~parallelops.images.SQLiteCatalog.restore`."""
        with self._lock:
            image = self._images.get(image_id)
            if image is None:
                raise NotInCatalog(f"no image {image_id!r}")
            if not image.due(math.inf):
                raise IllegalTransition("deleted", "active", "an image")
            rows = [
                row
                for row in image.rows.values()
                if row.waits and not row.doubtful
            ]
            if image.claim or not rows:
                raise RestoreRefused(image_id, "its data may be gone")
            for row in rows:
                row.change(LocationStatus.ACTIVE)
            self.restored.add(image_id)
            return tuple(row.location for row in rows)


@dataclasses.dataclass
class _Row:
    """A location, and what the catalogue alone knows of it."""

    location: Location
    doubtful: bool = False
    parked_until: float = 0.0

    @property
    def waits(self) -> bool:
        return self.location.status == LocationStatus.PENDING_DELETE

    def change(self, status: LocationStatus) -> None:
        self.location = dataclasses.replace(self.location, status=status)


@dataclasses.dataclass
class _Image:
    """The locations of an image by id, and the claim on it."""

    rows: dict[int, _Row]
    fence: int = 0
    claim: int = 0
    leased_until: float = 0.0

    def due(self, now: float) -> tuple[Location, ...]:
        return tuple(
            row.location
            for row in self.rows.values()
            if row.waits and row.parked_until <= now
        )

    def is_free(self, now: float) -> bool:
        return not self.claim or self.leased_until <= now
