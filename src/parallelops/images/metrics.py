"""What this node measured of the places that it reads images from."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

from parallelops.errors import (
    DestinationError,
    FetchCancelled,
    FetchError,
    StoreError,
)
from parallelops.images import bandit
from parallelops.images.metricsfile import MetricsFile
from parallelops.images.observations import (
    Observation,
    Source,
    add,
    mean,
    pause,
    rewards,
    weigh,
)
from parallelops.images.source import source_of
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from parallelops.images.strategy import Selectable
    from parallelops.runtime import Runtime

__all__ = ["LocationMetrics", "Measurement", "SourceStatistics"]

_MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatistics:
    """What is known of one source; what is older counts for less.

    Attributes:
        throughput: bytes a second, of those that did not fail, for data of
            the reference size; None if all failed.
        first_byte: seconds until the first byte; None if nobody measured.
        error_rate: the share of those that failed, from 0 to 1.
        weight: how many measurements that is from. One as old as the
            half-life counts as half of one.
    """

    throughput: float | None
    first_byte: float | None
    error_rate: float
    weight: float


class Measurement:
    """One use of a location, while it goes on; one thread uses it.

    Attributes:
        size: bytes that came. If it is still 0 when all went well, nothing
            is recorded.
        began: when, on the monotonic clock.
        ended: the same; None makes it the end of the block.
        first_byte: seconds until it came; None if nobody said so.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.size = 0
        self.began = runtime.monotonic()
        self.first_byte: float | None = None
        self.ended: float | None = None
        self._runtime = runtime

    def finish(self, size: int) -> None:
        """All came, so many bytes; what is left to do does not count."""
        self.size = size
        self.ended = self._runtime.monotonic()

    def first_byte_came(self) -> None:
        """The first byte is there; later calls change nothing."""
        if self.first_byte is None:
            self.first_byte = self._runtime.monotonic() - self.began


L = TypeVar("L", bound="Selectable")


class LocationMetrics:
    """Measures sources, and says which to use next.

    A source is a store, or a host; see :func:`source_of`. Nothing of it
    knows which image was read. Several threads may use one; it is kept in
    memory, and in a file if there is one, and never with an image.

    The order is that of a bandit (see :mod:`parallelops.images.bandit`),
    whose reward is the speed of a source as a share of the best one's, and
    0 for a failure. So most reads go to what is fastest from here, every
    source is tried now and then, and one that becomes faster or slower is
    soon found out. More failures in a row than chance explains, and the
    success that ends them, are taken for such a change at once.

    Args:
        path: a file that keeps it; None keeps it in memory only. A damaged
            file is put aside, and logged.
        window: how many measurements of the sources in question count.
            More explores less, and takes longer to see a change.
        half_life: seconds after which a measurement counts for half.
        reference_size: bytes of the read that sources are compared for.
        max_sources: of more sources, those last used are kept.
        save_interval: seconds between two writes of the file.
        runtime: where its lock, its clocks and chance come from.

    Raises:
        ValueError: an option can't be what it is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        window: int = 1000,
        half_life: float = 86_400.0,
        reference_size: int = 64 * _MIB,
        max_sources: int = 64,
        save_interval: float = 60.0,
        runtime: Runtime | None = None,
    ) -> None:
        for option, number in (
            ("window", window),
            ("reference_size", reference_size),
            ("max_sources", max_sources),
        ):
            if number < 1:
                raise ValueError(f"{option} must be above 0, not {number!r}")
        for option, seconds in (
            ("half_life", half_life),
            ("save_interval", save_interval),
        ):
            if not 0 < seconds < math.inf:
                raise ValueError(
                    f"{option} must be seconds above 0, not {seconds!r}"
                )
        self._window = window
        self._half_life = half_life
        self._reference_size = reference_size
        self._max_sources = max_sources
        self._save_interval = save_interval
        self._runtime = runtime or ThreadRuntime()
        self._lock = self._runtime.lock()
        self._number = 0
        # The one last used comes last.
        self._sources: dict[str, Source] = {}
        self._file = None if path is None else MetricsFile(path)
        self._saved_at = self._runtime.monotonic()
        if self._file is not None:
            self._load(self._file)

    # -- what is measured

    @contextlib.contextmanager
    def measure(self, location: Selectable) -> Iterator[Measurement]:
        """Measure a use of ``location``, which the ``with`` block makes.

        It failed if the block raises an OSError, a StoreError, or a
        FetchError that is about the data. Other errors are not the
        location's fault, and record nothing.
        """
        source = source_of(location)
        with self._lock:
            self._source(source).pending += 1
        measurement = Measurement(self._runtime)
        try:
            yield measurement
            if measurement.size:
                ended = measurement.ended
                if ended is None:
                    ended = self._runtime.monotonic()
                self.record(
                    location,
                    size=measurement.size,
                    # What a clock can't tell took no longer than its tick.
                    seconds=max(ended - measurement.began, 1e-6),
                    first_byte=measurement.first_byte,
                )
        except (DestinationError, FetchCancelled):
            raise
        except (FetchError, OSError, StoreError):
            self.record(location, failed=True)
            raise
        finally:
            with self._lock:
                self._source(source).pending -= 1

    def record(
        self,
        location: Selectable,
        *,
        size: int = 0,
        seconds: float = 0.0,
        first_byte: float | None = None,
        failed: bool = False,
    ) -> None:
        """Add one measurement.

        Args:
            location: what was used.
            size: bytes that came; above 0, unless it failed.
            seconds: how long that took in all; above 0, unless it failed.
            first_byte: after how many seconds the first of them came.
            failed: it gave no data, or wrong data. The rest does not count
                then.

        Raises:
            ValueError: one of the numbers can't be what it is.
        """
        speed = 0.0
        if failed:
            first_byte = None
        else:
            speed = self._speed(size, seconds, first_byte or 0.0)
        now = self._runtime.monotonic()
        key = source_of(location)
        with self._lock:
            source = self._source(key)
            self._number += 1
            add(source, Observation(self._number, now, speed, first_byte))
            # Used last, and so forgotten last.
            self._sources[key] = self._sources.pop(key)
            due = now - self._saved_at >= self._save_interval
            if due:
                self._saved_at = now
        if due:
            self.save()

    # -- what is known

    def order(self, locations: Sequence[L]) -> list[L]:
        """The locations, in the order in which to try them.

        Those of one source stay in the order they have.
        """
        keys = [source_of(location) for location in locations]
        sources = list(dict.fromkeys(keys))
        self._runtime.random.shuffle(sources)  # who of equals is first
        index = self._indices(sources)
        sources.sort(key=index.__getitem__, reverse=True)
        rank = {source: number for number, source in enumerate(sources)}
        pairs = sorted(
            zip(keys, locations, strict=True), key=lambda pair: rank[pair[0]]
        )
        return [location for _, location in pairs]

    def statistics(self) -> Mapping[str, SourceStatistics]:
        """What is known of each source, by its name."""
        with self._lock:
            sources = {
                key: tuple(source.observations)
                for key, source in self._sources.items()
            }
        now = self._runtime.monotonic()
        return {
            key: self._statistics(observations, now)
            for key, observations in sources.items()
            if observations
        }

    def save(self) -> None:
        """Write the file, if there is one, now.

        A file that can't be written is logged, and tried again later.
        """
        if self._file is None:
            return
        with self._lock:
            sources = {
                key: tuple(source.observations)
                for key, source in self._sources.items()
            }
        self._file.write(
            sources, self._runtime.monotonic(), self._runtime.time()
        )

    # -- inside

    def _load(self, file: MetricsFile) -> None:
        now = self._runtime.monotonic()
        found = file.read(now, self._runtime.time())
        for key, observation in found[-self._max_sources * self._window :]:
            self._number += 1
            numbered = dataclasses.replace(observation, number=self._number)
            add(self._source(key), numbered)

    def _source(self, key: str) -> Source:
        """The source; the lock is held."""
        source = self._sources.get(key)
        if source is None:
            while len(self._sources) >= self._max_sources:
                idle = (k for k, s in self._sources.items() if not s.pending)
                oldest = next(idle, None)
                if oldest is None:
                    break  # as many as are in use are kept
                del self._sources[oldest]
            source = Source(collections.deque(maxlen=self._window))
            self._sources[key] = source
        return source

    def _speed(self, size: int, seconds: float, first_byte: float) -> float:
        if size < 1:
            raise ValueError(f"size must be above 0, not {size!r}")
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be above 0, not {seconds!r}")
        if not 0 <= first_byte < math.inf:
            raise ValueError(f"first_byte must be seconds, not {first_byte!r}")
        # As long as the whole, if all came at once.
        rest = seconds - first_byte if first_byte < seconds else seconds
        reference = first_byte + self._reference_size * rest / size
        return self._reference_size / reference

    def _indices(self, sources: list[str]) -> dict[str, float]:
        """How much it is worth to try each of the sources next."""
        with self._lock:
            known = [
                (list(source.observations), source.pending)
                if (source := self._sources.get(key))
                else ([], 0)
                for key in sources
            ]
        now = self._runtime.monotonic()
        first = 0
        if sum(len(found) for found, _ in known) > self._window:
            numbers = sorted(o.number for found, _ in known for o in found)
            first = numbers[-self._window]
        index, alive, used = {}, {}, {}
        for key, (found, pending) in zip(sources, known, strict=True):
            counted = (
                [o for o in found if o.number >= first] if first else found
            )
            if counted and not any(o.speed for o in counted):
                index[key] = pause(found, pending, now)
            else:
                alive[key] = weigh(counted, now, self._half_life)
                used[key] = pending
        arms = [
            bandit.Arm(reward, count, pending)
            for (reward, count), pending in zip(
                rewards(list(alive.values())), used.values(), strict=True
            )
        ]
        return index | dict(zip(alive, bandit.indices(arms), strict=True))

    def _statistics(
        self, observations: tuple[Observation, ...], now: float
    ) -> SourceStatistics:
        weighed = weigh(observations, now, self._half_life)
        whole = sum(weight for weight, _ in weighed)
        good = [pair for pair in weighed if pair[1]]
        first = [
            (weight, o.first_byte)
            for (weight, _), o in zip(weighed, observations, strict=True)
            if o.first_byte is not None
        ]
        throughput, weight = mean(good)
        # What is old beyond measure weighs nothing at all.
        return SourceStatistics(
            throughput=throughput if weight else None,
            first_byte=mean(first)[0] if first else None,
            error_rate=1 - weight / whole if whole else 0.0,
            weight=whole,
        )
