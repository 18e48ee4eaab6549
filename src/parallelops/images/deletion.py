"""What a worker runs: it deletes the data of one image."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING

from parallelops.errors import (
    ImageDataNotFound,
    ParallelopsError,
    StoreError,
    StoreUnavailable,
)
from parallelops.images.report import LocationResult, Outcome
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from parallelops.images.catalog import DueImage
    from parallelops.images.location import Location
    from parallelops.images.store import Store
    from parallelops.runtime import Runtime

__all__ = ["ImageDeletion", "Stores", "explain"]


class Stores:
    """The stores that one run may use.

    Args:
        stores: one store for all locations, whatever they say, or stores by
            the names that locations have.
    """

    def __init__(self, stores: Store | Mapping[str, Store]) -> None:
        self._stores = stores
        self._given_up: dict[str | None, str] = {}

    def key(self, location: Location) -> str | None:
        """What tells the store of ``location`` from others."""
        return location.store if isinstance(self._stores, Mapping) else None

    def of(self, location: Location) -> Store:
        """The store of ``location``.

        Raises:
            StoreError: there is none of that name.
            StoreUnavailable: this run has given it up.
        """
        key = self.key(location)
        if key in self._given_up:
            raise StoreUnavailable(self._given_up[key])
        if not isinstance(self._stores, Mapping):
            return self._stores
        known = ", ".join(map(repr, self._stores)) or "none"
        if key is None:
            raise StoreError(
                "the catalogue does not say which store it is in; known: "
                f"{known}"
            )
        if key not in self._stores:
            raise StoreError(f"no store called {key!r}; known: {known}")
        return self._stores[key]

    def give_up(self, key: str | None, why: str) -> None:
        """Use a store no more."""
        self._given_up[key] = why


class ImageDeletion:
    """Deletes the locations of one image, one after the other, when called.

    A worker calls it, and the coordinator looks on. Both go through one
    lock, which nobody holds while a store works, so that a location ends
    exactly once: once the coordinator has closed it, a delete that ends
    late changes nothing, and no other begins.

    Attributes:
        image: the image.
        since: when the last delete began, on the monotonic clock; None
            before the first.
        closed: it begins nothing more, and all its results are there.
    """

    def __init__(
        self, image: DueImage, stores: Stores, runtime: Runtime
    ) -> None:
        self.image = image
        self.since: float | None = None
        self.closed = False
        self._stores = stores
        self._now = runtime.monotonic
        self._lock = runtime.lock()
        self._left = collections.deque(image.locations)
        self._running: Location | None = None
        self._results: list[LocationResult] = []

    def __call__(self) -> None:
        """Delete; what becomes of each location is for :meth:`take`.

        Raises:
            KeyboardInterrupt: in the middle of a delete. The rest is left.
        """
        while (location := self._begin()) is not None:
            try:
                self._stores.of(location).delete(location.url)
            except ImageDataNotFound:
                self._end(Outcome.GONE)
            except KeyboardInterrupt:
                # It is meant for the whole run: the calling thread makes
                # this deletion itself.
                raise
            except BaseException as error:  # noqa: BLE001 - it is reported
                self._end(Outcome.FAILED, explain(error))
            else:
                self._end(Outcome.DELETED)

    def take(self) -> list[LocationResult]:
        """The results that nobody has taken yet."""
        with self._lock:
            results, self._results = self._results, []
        return results

    def close(self, why: str) -> None:
        """End it: a running delete is unknown, what is left is skipped."""
        with self._lock:
            self._close(why, why)

    def close_if_overdue(self, limit: float) -> None:
        """Close it if one delete has been running for ``limit`` seconds."""
        with self._lock:
            if self._running and self._seconds() >= limit:
                self._close(
                    f"the delete has not ended after {limit:g} s, and may "
                    "still happen",
                    "the delete before it did not end",
                )

    def close_if_waiting(self, why: str) -> None:
        """Close it if nobody has begun it."""
        with self._lock:
            if self.since is None:
                self._close(why, why)

    def _begin(self) -> Location | None:
        with self._lock:
            if not self._left:
                return None
            self.since = self._now()
            self._running = self._left.popleft()
            return self._running

    def _end(self, outcome: Outcome, reason: str = "") -> None:
        with self._lock:
            if self._running:  # not if it was closed meanwhile
                self._add(self._running, outcome, reason, self._seconds())
                self._running = None

    def _close(self, why_unknown: str, why_skipped: str) -> None:
        self.closed = True
        if self._running:
            self._add(
                self._running, Outcome.UNKNOWN, why_unknown, self._seconds()
            )
            self._running = None
        for location in self._left:
            self._add(location, Outcome.SKIPPED, why_skipped)
        self._left.clear()

    def _seconds(self) -> float:
        return 0.0 if self.since is None else self._now() - self.since

    def _add(
        self,
        location: Location,
        outcome: Outcome,
        reason: str,
        seconds: float = 0.0,
    ) -> None:
        self._results.append(
            LocationResult(location, outcome, reason, seconds)
        )


def explain(error: BaseException) -> str:
    """An error on one line, short, without secrets."""
    text = redact_text(str(error)[:10_000])[:1000]
    if text and isinstance(error, ParallelopsError):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
