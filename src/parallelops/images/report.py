"""What a scrubber did, location by location."""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import TYPE_CHECKING, Any

from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelops.images.location import Location

__all__ = ["LocationResult", "Outcome", "Progress", "ScrubReport"]


class Outcome(enum.StrEnum):
    """What became of a location."""

    DELETED = "deleted"
    """Its data was deleted, and the catalogue says so."""
    GONE = "gone"
    """Its data was not there any more, and the catalogue says so."""
    FAILED = "failed"
    """Its data may still be there; the next run tries again."""
    UNKNOWN = "unknown"
    """The delete did not end in time: it may still happen. The next run
    tries again."""
    BLOCKED = "blocked"
    """Its store may not delete it now, since somebody uses it, or forbids
    it. It is parked: a later run tries again."""
    UNSUPPORTED = "unsupported"
    """Its store can't delete it. It is parked as well."""
    SKIPPED = "skipped"
    """Nobody touched it; the next run tries again."""
    TAKEN = "taken"
    """Another scrubber took its image over, and reports it."""
    WOULD_DELETE = "would_delete"
    """A dry run would have deleted it otherwise."""


_FAILURES = (
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.BLOCKED,
    Outcome.UNSUPPORTED,
    Outcome.SKIPPED,
)


@dataclasses.dataclass(frozen=True, slots=True)
class LocationResult:
    """What became of one location.

    Attributes:
        location: the location, as it was when it was due.
        outcome: what became of it.
        reason: why, in words without secrets; empty when all went well.
        seconds: how long the store took, or has taken so far.
    """

    location: Location
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        location = self.location
        return (
            f"image {location.image_id}, location {location.id} "
            f"({redact_url(location.url)}): {self.outcome}"
            + (f": {self.reason}" if self.reason else "")
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. What it counts is in the catalogue.

    Attributes:
        done: images that the run is done with.
        total: images that were due when it began.
        counts: how many locations had each outcome so far.
        seconds: since it began.
    """

    done: int
    total: int
    counts: Mapping[Outcome, int]
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this pace; None if nobody can tell."""
        if not self.done:
            return None
        return self.seconds / self.done * max(self.total - self.done, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class ScrubReport:
    """What one run did. What it says is deleted, the catalogue says too.

    Attributes:
        results: one for each location that was due, in the order in which
            they ended.
        images: ids of the images that the run marked deleted.
        seconds: how long it took.
        dry_run: nothing was touched.
        stopped: somebody stopped it before all that was due was tried.
        closed: why stores were used no more in this run, by name.
    """

    results: tuple[LocationResult, ...]
    images: tuple[str, ...]
    seconds: float
    dry_run: bool = False
    stopped: bool = False
    closed: Mapping[str | None, str] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if all that was due was done with, and nothing failed, is
        unknown, parked or was skipped."""
        return not (self.failures or self.stopped)

    @property
    def failures(self) -> tuple[LocationResult, ...]:
        """The results that are not as they should be."""
        return tuple(
            result for result in self.results if result.outcome in _FAILURES
        )

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many locations had each outcome."""
        return count(self.results)

    @property
    def stores(self) -> dict[str | None, dict[Outcome, int]]:
        """The same for each store by name; None is for those without."""
        by_store = collections.defaultdict(list)
        for result in self.results:
            by_store[result.location.store].append(result)
        return {store: count(results) for store, results in by_store.items()}

    @property
    def reasons(
        self,
    ) -> collections.Counter[tuple[str | None, Outcome, str]]:
        """How many locations of a store failed alike, for the same reason."""
        return collections.Counter(
            (result.location.store, result.outcome, result.reason)
            for result in self.failures
        )

    def summary(self, failures: int = 20) -> list[str]:
        """The report in lines for people.

        Args:
            failures: how many of them to name.
        """
        first = (
            f"{'dry run: ' if self.dry_run else ''}"
            f"{len(self.results)} locations in {self.seconds:.1f} s: "
            f"{_in_words(self.counts) or 'nothing to do'}; "
            f"{len(self.images)} images deleted"
        )
        lines = [first]
        stores = self.stores
        if len(stores) > 1:
            lines += [
                f"store {store}: {_in_words(counts)}"
                for store, counts in stores.items()
            ]
        lines += [
            f"store {store} was given up: {why}"
            for store, why in self.closed.items()
        ]
        if self.stopped:
            lines.append("the run was stopped; the rest waits for the next")
        lines += [
            f"{n} {outcome} in store {store}: {reason}"
            for (store, outcome, reason), n in self.reasons.most_common(10)
            if n > 1
        ]
        failed = self.failures
        lines += map(str, failed[:failures])
        if len(failed) > failures:
            lines.append(f"and {len(failed) - failures} more")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON takes it, without secrets."""
        return {
            "ok": self.ok,
            "dry_run": self.dry_run,
            "stopped": self.stopped,
            "closed": [
                {"store": store, "reason": reason}
                for store, reason in self.closed.items()
            ],
            "images": list(self.images),
            "seconds": self.seconds,
            "counts": _plain(self.counts),
            "stores": [
                {"store": store, "counts": _plain(counts)}
                for store, counts in self.stores.items()
            ],
            "results": [
                {
                    "image": result.location.image_id,
                    "location": result.location.id,
                    "url": redact_url(result.location.url),
                    "store": result.location.store,
                    "outcome": result.outcome.value,
                    "reason": result.reason,
                    "seconds": result.seconds,
                }
                for result in self.results
            ],
        }


def count(results: Iterable[LocationResult]) -> dict[Outcome, int]:
    """How many of ``results`` had each outcome, zeros included."""
    counted = collections.Counter(result.outcome for result in results)
    return {outcome: counted[outcome] for outcome in Outcome}


def _in_words(counts: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)


def _plain(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: n for outcome, n in counts.items()}
