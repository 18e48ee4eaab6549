"""A catalogue and a store in memory, with faults that a test plans."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Literal

from parallelops.errors import (
    CatalogError,
    ImageDataNotFound,
    StoreError,
    StoreUnavailable,
)
from parallelops.images.catalog import DueImage, Settled
from parallelops.images.location import Location, LocationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelops.runtime import Runtime

__all__ = ["Fault", "MemoryCatalog", "MemoryStore", "WriteFault"]

Fault = Literal["fail", "not_found", "unavailable", "lost_answer", "slow"]
"""What may go wrong with one call of a store:

- fail: nothing is done, and it raises StoreError;
- not_found: nothing is done, and it says that there is no data;
- unavailable: nothing is done, and it raises StoreUnavailable;
- lost_answer: it is done, and answered with a time-out;
- slow: it is done, an hour later.
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
        if fault == "slow":
            self._runtime.sleep(_HOUR)
        with self._lock:
            if url not in self.data:
                raise ImageDataNotFound(f"{url} is not there")
            self.data.remove(url)
        if fault == "lost_answer":
            raise StoreError(f"{url}: no answer in time")

    def sync(self) -> None:
        """See :meth:`~parallelops.images.Store.sync`."""


class MemoryCatalog:
    """A catalogue of images that all wait in ``pending_delete``.

    Args:
        runtime: where its lock comes from.
        images: for each image the URLs of its locations.
        store: the name of the store of them all.
        faults: what goes wrong with ``settle``, call by call, or None;
            after the last one nothing does.

    Attributes:
        settled: the ids of the locations that it marked deleted, in order.
    """

    def __init__(
        self,
        runtime: Runtime,
        images: Mapping[str, Sequence[str]],
        *,
        store: str | None = None,
        faults: Sequence[WriteFault | None] = (),
    ) -> None:
        self.settled: list[int] = []
        self._lock = runtime.lock()
        self._faults = collections.deque(faults)
        self._locations: dict[str, list[Location]] = {}
        number = 0
        for image_id, urls in images.items():
            self._locations[image_id] = []
            for url in urls:
                number += 1
                self._locations[image_id].append(
                    Location(
                        id=number,
                        image_id=image_id,
                        url=url,
                        store=store,
                        status=LocationStatus.PENDING_DELETE,
                        deleted_at=0.0,
                    )
                )

    def status(self, url: str) -> LocationStatus:
        """The status of the location of that URL."""
        with self._lock:
            for locations in self._locations.values():
                for location in locations:
                    if location.url == url:
                        return location.status
        raise KeyError(url)

    def due(
        self, before: float, after: DueImage | None, limit: int
    ) -> list[DueImage]:
        """See :meth:`~parallelops.images.Catalog.due`."""
        with self._lock:
            images = [
                DueImage(image_id, 0.0, tuple(pending))
                for image_id, locations in sorted(self._locations.items())
                if (pending := list(filter(_waits, locations)))
                and (after is None or image_id > after.id)
            ]
        return images[:limit]

    def count_due(self, before: float) -> int:
        """See :meth:`~parallelops.images.Catalog.count_due`."""
        with self._lock:
            return sum(
                any(map(_waits, locations))
                for locations in self._locations.values()
            )

    def settle(self, images: Iterable[DueImage]) -> Settled:
        """See :meth:`~parallelops.images.Catalog.settle`."""
        marked: set[int] = set()
        finished: set[str] = set()
        refused: dict[int, LocationStatus | None] = {}
        with self._lock:
            fault = self._faults.popleft() if self._faults else None
            if fault == "fail":
                raise CatalogError("the test wants the catalogue to fail")
            for image in images:
                kept = self._locations[image.id]
                wanted = {location.id for location in image.locations}
                for index, location in enumerate(kept):
                    if location.id not in wanted:
                        continue
                    if not _waits(location):
                        refused[location.id] = location.status
                        continue
                    kept[index] = dataclasses.replace(
                        location, status=LocationStatus.DELETED
                    )
                    marked.add(location.id)
                    self.settled.append(location.id)
                if not any(map(_waits, kept)):
                    finished.add(image.id)
        if fault == "lost_answer":
            raise CatalogError("the test wants its answer to be lost")
        return Settled(frozenset(marked), frozenset(finished), refused)


def _waits(location: Location) -> bool:
    return location.status == LocationStatus.PENDING_DELETE
