"""Results become records: on the store's disk, in the catalogue, reported."""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
from typing import TYPE_CHECKING

from parallelops.images.attempt import explain
from parallelops.images.location import LocationStatus
from parallelops.images.report import LocationResult, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.images.catalog import Catalog, DueImage, Settled
    from parallelops.images.store import Store
    from parallelops.runtime import Handle, Runtime

__all__ = ["Entry", "Recorder"]

_log = logging.getLogger(__name__)

_NO_DATA = (Outcome.DELETED, Outcome.GONE)
# Seconds: a quick sync ends in the first; the other is how often to look.
_AT_ONCE, _LOOK = 0.001, 0.02


@dataclasses.dataclass(slots=True)
class Entry:
    """A result on its way into the catalogue.

    Attributes:
        image: the image, as it was claimed.
        result: what became of one of its locations.
        doubtful: nobody knows whether the data is still there.
        parked_until: when it is due again, in seconds since the epoch; None
            if it is at once.
    """

    image: DueImage
    result: LocationResult
    doubtful: bool = False
    parked_until: float | None = None


class _Sync:
    """A store that makes its deletes durable, in a thread of its own: as a
    task it could wait behind deletes that hang."""

    def __init__(
        self, store: Store, entries: list[Entry], runtime: Runtime
    ) -> None:
        self.entries = entries
        self.failure = ""
        self.since = runtime.monotonic()
        self.thread: Handle | None = None
        self._store = store
        try:
            self.thread = runtime.spawn(self._run, name="scrubber-sync")
        except RuntimeError as error:
            self.failure = str(error)

    def _run(self) -> None:
        try:
            self._store.sync()
        except BaseException as error:  # noqa: BLE001 - it is reported
            self.failure = explain(error)

    def ended(self, wait: float) -> bool:
        if self.thread is None:
            return True
        self.thread.join(wait)
        return not self.thread.is_alive()


class Recorder:
    """Records results in batches. Only one thread uses it.

    For each batch the stores first make their deletes durable, each by
    itself, then the catalogue takes it in one transaction, and only then are
    they results. Whoever dies on the way repeats one batch, and finds it
    gone. A store that is slow at this holds up no other.

    Attributes:
        results: what is recorded.
        counts: how many of them had each outcome.
        images: ids of the images that the catalogue marked deleted.
        done: how many images are done with, and recorded.
    """

    def __init__(
        self,
        catalog: Catalog,
        runtime: Runtime,
        *,
        sync_timeout: float,
        batch_size: int,
        batch_seconds: float,
        tell: Callable[[list[LocationResult]], None],
        released: Callable[[Iterable[str]], None],
        give_up: Callable[[str | None, str], None],
    ) -> None:
        self.results: list[LocationResult] = []
        self.counts = collections.Counter[Outcome]()
        self.images: list[str] = []
        self.done = 0
        self._catalog = catalog
        self._runtime = runtime
        self._sync_timeout = sync_timeout
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._tell = tell
        self._released = released
        self._give_up = give_up
        # Results on their way: to be synced, being synced, to be settled.
        self._waiting: dict[str | None, tuple[Store, list[Entry]]] = {}
        self._syncs: dict[str | None, _Sync] = {}
        self._ready: list[Entry] = []
        self._dead: dict[str | None, str] = {}
        # By image: how many of its results are on their way. Of those that
        # are done with, the claim goes back with the last one.
        self._open = collections.Counter[str]()
        self._done: dict[str, DueImage] = {}
        self._size = 0
        self._since: float | None = None  # the first that is to be synced
        self._began: float | None = None  # the batch that is to be settled

    def add(self, entry: Entry, key: str | None, store: Store | None) -> None:
        """Take a result. If its data is gone, ``store`` is synced first."""
        self._open[entry.image.id] += 1
        if entry.result.outcome in _NO_DATA and store is not None:
            self._waiting.setdefault(key, (store, []))[1].append(entry)
        else:
            self._ready.append(entry)
        self._grow()

    def finish(self, image: DueImage) -> None:
        """There are no more results of this image."""
        self._done[image.id] = image
        self._grow(not self._open[image.id])

    def _grow(self, by: int = 1) -> None:
        self._size += by
        if self._since is None:
            self._since = self._runtime.monotonic()

    def step(self) -> float:
        """Do what is to be done now.

        Returns:
            Seconds after which there is something to do again.

        Raises:
            CatalogError: the catalogue could not take it.
        """
        now = self._runtime.monotonic()
        self._look_at_syncs(0.0)
        self._settle_if_synced(now)
        if self._since is not None and (
            self._size >= self._batch_size
            or now >= self._since + self._batch_seconds
        ):
            self._start_syncs()
            self._look_at_syncs(_AT_ONCE)
            self._settle_if_synced(now)
        if self._syncs:
            return _LOOK
        if self._since is None:
            return math.inf
        left = self._since + self._batch_seconds - self._runtime.monotonic()
        return max(left, 0.0)

    def _settle_if_synced(self, now: float) -> None:
        # A store that takes its time holds up the others only so long.
        if self._began is not None and (
            not self._syncs or now >= self._began + self._batch_seconds
        ):
            self._settle()

    def flush(self) -> None:
        """Record all that was added. If it raises, it may be called again.

        Raises:
            CatalogError: the catalogue could not take it.
        """
        while self._waiting or self._syncs:
            self._start_syncs()
            self._look_at_syncs(_LOOK)
        self._settle()

    def _start_syncs(self) -> None:
        self._size, self._since = 0, None
        if self._began is None:
            self._began = self._runtime.monotonic()
        for key in tuple(self._waiting):
            if key in self._syncs:
                continue
            store, entries = self._waiting.pop(key)
            if key in self._dead:
                self._fail(entries, Outcome.FAILED, self._dead[key])
            else:
                self._syncs[key] = _Sync(store, entries, self._runtime)
        if self._waiting:
            self._grow()  # what has to wait for a sync under way

    def _look_at_syncs(self, wait: float) -> None:
        for key, sync in tuple(self._syncs.items()):
            if sync.ended(wait):
                del self._syncs[key]
                if sync.failure:
                    why = f"its store was not synced: {sync.failure}"
                    self._fail(sync.entries, Outcome.FAILED, why)
                else:
                    self._ready += sync.entries
            elif self._runtime.monotonic() - sync.since >= self._sync_timeout:
                del self._syncs[key]
                why = (
                    f"its store has not synced after {self._sync_timeout:g} s"
                )
                _log.warning("store %s is given up for this run: %s", key, why)
                self._dead[key] = why
                self._fail(sync.entries, Outcome.UNKNOWN, why)
                self._give_up(key, why)

    def _fail(self, entries: list[Entry], outcome: Outcome, why: str) -> None:
        for entry in entries:
            entry.doubtful = True
            entry.result = dataclasses.replace(
                entry.result, outcome=outcome, reason=why
            )
        self._ready += entries

    def _settle(self) -> None:
        """The catalogue takes what is ready, in one transaction."""
        ready = self._ready
        here = collections.Counter(entry.image.id for entry in ready)
        release = {
            image_id: image
            for image_id, image in self._done.items()
            if self._open[image_id] == here[image_id]
        }
        if not ready and not release:
            self._begin_next()
            return
        # What nobody claimed is only reported.
        claimed = {entry.image.id: entry.image for entry in ready} | release
        deleted: dict[str, list[Entry]] = {
            image_id: [] for image_id, image in claimed.items() if image.token
        }
        for entry in ready:
            if entry.result.outcome in _NO_DATA:
                deleted[entry.image.id].append(entry)
        settled = self._catalog.settle(
            [
                dataclasses.replace(
                    claimed[image_id],
                    locations=tuple(e.result.location for e in entries),
                )
                for image_id, entries in deleted.items()
            ],
            release=release.keys(),
            doubtful=[e.result.location.id for e in ready if e.doubtful],
            parked={
                e.result.location.id: e.parked_until
                for e in ready
                if e.parked_until is not None
            },
        )
        self._ready = []
        self._begin_next()
        self._open.subtract(here)
        for image_id in release:
            del self._done[image_id], self._open[image_id]
        self._released(release)
        self._released(settled.lost)
        results = [_checked(entry.result, settled) for entry in ready]
        self.results += results
        self.counts.update(result.outcome for result in results)
        self.images += sorted(settled.images)
        self.done += len(release)
        self._tell(results)

    def _begin_next(self) -> None:
        """The next batch has what is being synced, if anything is."""
        self._began = self._runtime.monotonic() if self._syncs else None


def _checked(result: LocationResult, settled: Settled) -> LocationResult:
    """The result, after a look at what the catalogue made of it."""
    location = result.location
    if location.image_id in settled.lost:
        _log.warning("%s: another scrubber took its image over", location)
        return dataclasses.replace(
            result,
            outcome=Outcome.TAKEN,
            reason="another scrubber took its image over; here it was "
            f"{result.outcome}",
        )
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
