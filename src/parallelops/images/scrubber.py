"""The scrubber: deletes the data of images whose time has come."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from parallelops.errors import StoreError
from parallelops.images.coordinator import Coordinator
from parallelops.images.deletion import Stores, explain
from parallelops.images.recorder import Recorder
from parallelops.images.report import (
    LocationResult,
    Outcome,
    Progress,
    ScrubReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.images.catalog import Catalog, DueImage
    from parallelops.images.store import Store

__all__ = ["Scrubber"]

_log = logging.getLogger(__name__)

_PAGE = 200  # images


class Scrubber:
    """Deletes data that waits in ``pending_delete``, and records it.

    Images are scrubbed in parallel, as far as the executor goes; the
    locations of one image are deleted one after the other. The data goes
    first, and the catalogue learns of it once it is gone for good: whoever
    kills the process makes the next run repeat the deletes that were under
    way and one batch, and nothing else. One run at a time.

    A delete that runs past ``delete_timeout`` is reported as unknown, and
    keeps its worker until it ends. That needs a worker: a delete that the
    calling thread makes itself (in a serial executor, in one whose policy
    is "caller_runs", or in a full one that rejects) takes as long as it
    takes.

    Args:
        executor: runs the deletes, and is not shut down. Its tasks must see
            the objects of this process.
        catalog: says what is due. It is used in the calling thread only.
        store: the store of all locations, or the stores by the names that
            locations have.
        grace: seconds that a location waits in ``pending_delete`` first
            (Glance's ``scrub_time``).
        delete_timeout: seconds that one delete, or one sync of a store, may
            take.
        batch_size: locations that are recorded together, about.
        batch_seconds: seconds after which they are recorded although the
            batch is not full.
        progress: called in the calling thread, after each batch, with a
            :class:`Progress`. What it raises is logged.

    Raises:
        ValueError: an option can't be what it is.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        catalog: Catalog,
        store: Store | Mapping[str, Store],
        grace: float = 0.0,
        delete_timeout: float = 300.0,
        batch_size: int = 100,
        batch_seconds: float = 0.5,
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        if not executor.traits.shared_memory:
            raise ValueError(
                f"the tasks of {executor.name} do not share memory with the "
                "scrubber; take a thread, greenthread or serial executor"
            )
        if not 0 <= grace < math.inf:
            raise ValueError(f"grace must be seconds, not {grace!r}")
        for option, seconds in (
            ("delete_timeout", delete_timeout),
            ("batch_seconds", batch_seconds),
        ):
            if not 0 < seconds < math.inf:
                raise ValueError(
                    f"{option} must be seconds above 0, not {seconds!r}"
                )
        if batch_size < 1:
            raise ValueError(f"batch_size must be above 0, not {batch_size!r}")
        self._executor = executor
        self._catalog = catalog
        self._store = store
        self._grace = grace
        self._delete_timeout = delete_timeout
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._progress = progress
        self._hung: dict[str, Future[Any]] = {}

    def run_once(
        self, limit: int | None = None, *, dry_run: bool = False
    ) -> ScrubReport:
        """Scrub what is due now.

        It ends in bounded time, whatever stores do: when no worker gets
        anywhere for ``delete_timeout``, what is left is skipped. An
        interrupt first records what has ended, and then comes out.

        Args:
            limit: images, at the most; None takes all. The report has all
                their locations in memory.
            dry_run: touch nothing; the report says what would be deleted.

        Returns:
            What became of each location that was due.

        Raises:
            CatalogError: the catalogue can't be read or written. What was
                recorded stays.
            ExecutorShutdown: somebody shut the executor down. What ended
                before is recorded.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be above 0, not {limit!r}")
        runtime = self._executor.runtime
        began = runtime.monotonic()
        before = runtime.time() - self._grace
        images = self._due(before, limit)
        stores = Stores(self._store)
        if dry_run:
            results = tuple(_foreseen(images, stores))
            return ScrubReport(results, (), runtime.monotonic() - began, True)
        total = 0
        if self._progress is not None:
            total = self._catalog.count_due(before)
            total = total if limit is None else min(total, limit)

        def tell() -> None:
            self._tell(
                Progress(
                    recorder.done,
                    total,
                    {o: recorder.counts[o] for o in Outcome},
                    runtime.monotonic() - began,
                )
            )

        recorder = Recorder(
            self._catalog,
            stores,
            runtime,
            sync_timeout=self._delete_timeout,
            batch_size=self._batch_size,
            batch_seconds=self._batch_seconds,
            tell=tell if self._progress is not None else _tell_nobody,
        )
        Coordinator(
            self._executor,
            stores,
            recorder,
            delete_timeout=self._delete_timeout,
            tick=min(self._batch_seconds, self._delete_timeout),
            hung=self._hung,
        ).run(images)
        return ScrubReport(
            tuple(recorder.results),
            tuple(recorder.images),
            runtime.monotonic() - began,
        )

    def _due(self, before: float, limit: int | None) -> Iterator[DueImage]:
        left = math.inf if limit is None else limit
        last: DueImage | None = None
        while left:
            page = self._catalog.due(before, last, int(min(_PAGE, left)))
            if not page:
                return
            yield from page
            last = page[-1]
            left -= len(page)

    def _tell(self, progress: Progress) -> None:
        if self._progress is None:
            return
        try:
            self._progress(progress)
        except Exception:  # noqa: BLE001 - it only looks on
            _log.exception("the progress callable failed")


def _tell_nobody() -> None:
    pass


def _foreseen(
    images: Iterator[DueImage], stores: Stores
) -> Iterator[LocationResult]:
    for image in images:
        for location in image.locations:
            try:
                stores.of(location)
            except StoreError as error:
                yield LocationResult(location, Outcome.FAILED, explain(error))
            else:
                yield LocationResult(location, Outcome.WOULD_DELETE)
