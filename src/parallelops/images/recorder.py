"""Results become records: on the store's disk, in the catalogue, reported."""

from __future__ import annotations

import collections
import dataclasses
import logging
from typing import TYPE_CHECKING

from parallelops.images.catalog import Settled
from parallelops.images.deletion import explain
from parallelops.images.location import LocationStatus
from parallelops.images.report import LocationResult, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.images.catalog import Catalog, DueImage
    from parallelops.images.deletion import Stores
    from parallelops.runtime import Runtime

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)

_NO_DATA = (Outcome.DELETED, Outcome.GONE)
_NOTHING_SETTLED = Settled(frozenset(), frozenset(), {})


class Recorder:
    """Records results in batches. Only one thread uses it.

    For each batch the stores first make their deletes durable, then the
    catalogue takes all of them in one transaction, and only then are they
    results. Whoever dies on the way repeats one batch, and finds it gone.

    Attributes:
        results: what is recorded.
        counts: how many of them had each outcome.
        images: ids of the images that the catalogue marked deleted.
        done: how many images are done with, and recorded.
    """

    def __init__(
        self,
        catalog: Catalog,
        stores: Stores,
        runtime: Runtime,
        *,
        sync_timeout: float,
        batch_size: int,
        batch_seconds: float,
        tell: Callable[[], None],
    ) -> None:
        self.results: list[LocationResult] = []
        self.counts = collections.Counter[Outcome]()
        self.images: list[str] = []
        self.done = 0
        self._catalog = catalog
        self._stores = stores
        self._runtime = runtime
        self._sync_timeout = sync_timeout
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._tell = tell
        # By image, with the results that are not recorded yet.
        self._batch: dict[str, tuple[DueImage, list[LocationResult]]] = {}
        self._size = 0
        self._done = 0
        self._since: float | None = None

    def add(
        self, image: DueImage, results: Iterable[LocationResult], *, done: bool
    ) -> None:
        """Take results of an image; with the last ones it is ``done``."""
        added = list(results)
        if not added and not done:
            return
        if self._since is None:
            self._since = self._runtime.monotonic()
        self._batch.setdefault(image.id, (image, []))[1].extend(added)
        self._size += max(len(added), 1)
        self._done += done

    def flush_if_due(self) -> None:
        """Record the batch if it is full or old enough."""
        if self._since is not None and (
            self._size >= self._batch_size
            or self._runtime.monotonic() - self._since >= self._batch_seconds
        ):
            self.flush()

    def flush(self) -> None:
        """Record what was added. If it raises, it may be called again.

        Raises:
            CatalogError: the catalogue could not take it.
        """
        if self._since is None:
            return
        self._sync()
        settled = self._settle()
        for _, batch in self._batch.values():
            results = [_checked(result, settled) for result in batch]
            self.results += results
            self.counts.update(result.outcome for result in results)
        self.images += sorted(settled.images)
        self.done += self._done
        self._batch = {}
        self._size = self._done = 0
        self._since = None
        self._tell()

    def _sync(self) -> None:
        """Results whose store can't make them durable become failures."""
        failed: dict[str | None, tuple[Outcome, str]] = {}
        synced: set[str | None] = set()
        for _, results in self._batch.values():
            for index, result in enumerate(results):
                if result.outcome not in _NO_DATA:
                    continue
                key = self._stores.key(result.location)
                if key not in synced:
                    synced.add(key)
                    failure = self._sync_store(key, result)
                    if failure:
                        failed[key] = failure
                if key in failed:
                    outcome, reason = failed[key]
                    results[index] = dataclasses.replace(
                        result, outcome=outcome, reason=reason
                    )

    def _sync_store(
        self, key: str | None, result: LocationResult
    ) -> tuple[Outcome, str] | None:
        """Sync the store of ``result``; what came of it, if it did not."""
        failures: list[str] = []

        def sync() -> None:
            try:
                self._stores.of(result.location).sync()
            except BaseException as error:  # noqa: BLE001 - it is reported
                failures.append(explain(error))

        # Not a task, which could wait behind deletes that hang, and not
        # here, where nobody could leave it if it hangs itself.
        try:
            thread = self._runtime.spawn(sync, name="scrubber-sync")
            thread.join(self._sync_timeout)
        except RuntimeError as error:
            return Outcome.FAILED, f"its store was not synced: {error}"
        if failures:
            return Outcome.FAILED, f"its store was not synced: {failures[0]}"
        if not thread.is_alive():
            return None
        why = f"its store has not synced after {self._sync_timeout:g} s"
        _log.warning("store %s is given up for this run: %s", key, why)
        self._stores.give_up(key, why)
        return Outcome.UNKNOWN, why

    def _settle(self) -> Settled:
        images = [
            dataclasses.replace(
                image,
                locations=tuple(
                    result.location
                    for result in results
                    if result.outcome in _NO_DATA
                ),
            )
            for image, results in self._batch.values()
        ]
        # One of which nothing is left is settled too: that finishes it.
        images = [
            image
            for image in images
            if image.locations or not self._batch[image.id][1]
        ]
        return self._catalog.settle(images) if images else _NOTHING_SETTLED


def _checked(result: LocationResult, settled: Settled) -> LocationResult:
    """The result, after a look at what the catalogue made of it."""
    location = result.location
    if result.outcome not in _NO_DATA or location.id in settled.locations:
        return result
    status = settled.refused.get(location.id)
    if status == LocationStatus.DELETED:
        return dataclasses.replace(
            result, reason="somebody else recorded it first"
        )
    found = f"as {status}" if status else "no more"
    reason = f"its data is {result.outcome}, but the catalogue has it {found}"
    _log.error("%s: %s", location, reason)
    return dataclasses.replace(result, outcome=Outcome.FAILED, reason=reason)
