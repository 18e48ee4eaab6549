"""The scrubber: deletes the data of images whose time has come."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from parallelops import events
from parallelops.errors import StoreError
from parallelops.images.answers import Answers
from parallelops.images.attempt import explain
from parallelops.images.audience import Audience
from parallelops.images.daemon import run_forever
from parallelops.images.intake import Intake
from parallelops.images.lanes import Lanes
from parallelops.images.limits import Limits
from parallelops.images.overdue import Overdue
from parallelops.images.policy import StorePolicy
from parallelops.images.recorder import Recorder
from parallelops.images.report import (
    LocationResult,
    Outcome,
    Progress,
    ScrubReport,
)
from parallelops.images.scheduler import Scheduler
from parallelops.images.stores import Stores

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from parallelops.events import Observer
    from parallelops.executor import Executor
    from parallelops.images.catalog import Catalog
    from parallelops.images.store import Store
    from parallelops.ratelimit import AdaptiveLimiter, RateLimiter

__all__ = ["Scrubber", "Stop"]


class Stop(Protocol):
    """What tells a scrubber to stop; any event is one."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> object: ...


class Scrubber:
    """Deletes data that waits in ``pending_delete``, and records it.

    Images are scrubbed in parallel, as far as the executor goes; the
    locations of one image are deleted one after the other. Stores share the
    workers evenly, so that one which is slow or hangs holds up no other. The
    data goes first, and the catalogue learns of it once it is gone for good:
    whoever kills the process makes the next run repeat the deletes that were
    under way and one batch, and nothing else. Any number of scrubbers, here
    and elsewhere, share one catalogue: each claims the images it works on.
    One run at a time.

    A delete that runs past its time limit is reported as unknown, and keeps
    its worker until it ends. A store with many of those is left alone. That
    needs a worker: a delete that the calling thread makes itself (in a
    serial executor, in one whose policy is "caller_runs", or in a full one
    that rejects) takes as long as it takes.

    Args:
        executor: runs the deletes, and is not shut down. Its tasks must see
            the objects of this process.
        catalog: says what is due. It is used in the calling thread only.
        store: the store of all locations, or the stores by the names that
            locations have.
        limiter: how fast deletes may follow one another, in all stores
            together; short for a policy with nothing else.
        policy: how to treat all stores, or each by its name.
        grace: seconds that a location waits in ``pending_delete`` first
            (Glance's ``scrub_time``).
        delete_timeout: seconds that one delete, or one sync of a store, may
            take.
        lease: seconds after which others may take over what this scrubber
            has claimed, if it does not say that it lives. It says so three
            times in that time.
        batch_size: locations that are recorded together, about.
        batch_seconds: seconds after which they are recorded although the
            batch is not full.
        progress: called in the calling thread, after each batch, with a
            :class:`Progress`. What it raises is logged.
        observers: told events, in the calling thread; see
            :class:`~parallelops.events.ScrubEvent`. What they raise is
            logged.
        limits_file: keeps, from run to run, the rates that were found for
            stores which said that they are busy, and have no limiter. Losing
            it costs a few refusals. None keeps them as long as this object.

    Raises:
        ValueError: an option can't be what it is.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        catalog: Catalog,
        store: Store | Mapping[str, Store],
        limiter: RateLimiter | AdaptiveLimiter | None = None,
        policy: StorePolicy | Mapping[str, StorePolicy] | None = None,
        grace: float = 0.0,
        delete_timeout: float = 300.0,
        lease: float = 60.0,
        batch_size: int = 100,
        batch_seconds: float = 0.5,
        progress: Callable[[Progress], object] | None = None,
        observers: Iterable[Observer] = (),
        limits_file: str | os.PathLike[str] | None = None,
    ) -> None:
        executor.traits.check_memory(executor.name, "scrubber")
        if not 0 <= grace < math.inf:
            raise ValueError(f"grace must be seconds, not {grace!r}")
        for option, seconds in (
            ("delete_timeout", delete_timeout),
            ("lease", lease),
            ("batch_seconds", batch_seconds),
        ):
            if not 0 < seconds < math.inf:
                raise ValueError(
                    f"{option} must be seconds above 0, not {seconds!r}"
                )
        if batch_size < 1:
            raise ValueError(f"batch_size must be above 0, not {batch_size!r}")
        if limiter is not None:
            if policy is not None:
                raise ValueError("give a limiter or a policy, not both")
            policy = StorePolicy(limiter=limiter)
        self._executor = executor
        self._runtime = executor.runtime
        self._catalog = catalog
        self._stores = Stores(store, policy)
        self._grace = grace
        self._delete_timeout = delete_timeout
        self._lease = lease
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._audience = Audience(executor, observers, progress)
        # What outlives a run: deletes that have not ended, and what was
        # learned of stores which said that they are busy.
        self._hung: dict[str, tuple[Future[Any], str | None]] = {}
        self._limits = Limits(self._runtime, limits_file)

    def run_once(
        self,
        limit: int | None = None,
        *,
        dry_run: bool = False,
        stop: Stop | None = None,
        drain: float = 30.0,
    ) -> ScrubReport:
        """Scrub what is due now.

        It ends in bounded time, whatever stores do: when no worker gets
        anywhere for ``delete_timeout``, what is left is skipped. An
        interrupt first records what has ended, and then comes out.

        Args:
            limit: images, at the most; None takes all. The report has all
                their locations in memory.
            dry_run: touch nothing; the report says what would be deleted.
            stop: when it is set, nothing more is begun. It is looked at
                twice a second.
            drain: seconds to wait then for the deletes that are under way.

        Returns:
            What became of each location that was due, and that no other
            scrubber had claimed.

        Raises:
            CatalogError: the catalogue can't be read or written. What was
                recorded stays.
            ExecutorShutdown: somebody shut the executor down. What ended
                before is recorded.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be above 0, not {limit!r}")
        began = self._runtime.monotonic()
        now = self._runtime.time()
        intake = Intake(
            self._catalog,
            self._runtime,
            before=now - self._grace,
            limit=limit,
            lease=self._lease,
        )
        if dry_run:
            results = tuple(self._foreseen(intake))
            return ScrubReport(
                results, (), self._runtime.monotonic() - began, dry_run=True
            )
        total = 0
        audience = self._audience
        if audience:
            backlog = self._catalog.backlog(now - self._grace, now=now)
            total = min(backlog.images, limit or backlog.images)
            audience.tell(
                events.ScrubStarted,
                images=backlog.images,
                oldest_age=None
                if backlog.oldest is None
                else max(now - backlog.oldest, 0.0),
                parked=backlog.parked,
            )

        def recorded(results: list[LocationResult]) -> None:
            self._limits.keep_now_and_then()
            audience.tell_recorded(results)
            audience.show(
                lambda: Progress(
                    recorder.done,
                    total,
                    {o: recorder.counts[o] for o in Outcome},
                    self._runtime.monotonic() - began,
                )
            )

        recorder = Recorder(
            self._catalog,
            self._runtime,
            sync_timeout=self._delete_timeout,
            batch_size=self._batch_size,
            batch_seconds=self._batch_seconds,
            tell=recorded,
            released=intake.forget,
            give_up=lambda key, why: lanes.give_up(key, why),
        )
        lanes = Lanes(
            self._stores,
            recorder,
            self._runtime,
            limits=self._limits,
            tell=audience.tell,
        )
        tick = min(self._batch_seconds, self._delete_timeout)
        answers = Answers(
            lanes, self._runtime, limits=self._limits, tell=audience.tell
        )
        scheduler = Scheduler(
            self._executor,
            intake,
            lanes,
            answers,
            recorder,
            Overdue(
                self._executor,
                lanes,
                answers,
                delete_timeout=self._delete_timeout,
                pause=tick / 2,
                hung=self._hung,
            ),
            stores=len(self._stores),
            tick=tick,
            stopped=stop.is_set if stop is not None else _never,
            drain=drain,
        )
        error = ""
        try:
            scheduler.run()
        except BaseException as raised:
            error = explain(raised)
            raise
        finally:
            report = ScrubReport(
                tuple(recorder.results),
                tuple(recorder.images),
                self._runtime.monotonic() - began,
                stopped=scheduler.was_stopped,
                closed=lanes.closed,
            )
            self._limits.keep()
            audience.tell(
                events.ScrubEnded,
                locations=len(report.results),
                failures=len(report.failures),
                seconds=report.seconds,
                error=error,
            )
        return report

    def run_forever(
        self,
        stop: Stop,
        *,
        interval: float = 60.0,
        drain: float = 30.0,
        report: Callable[[ScrubReport], object] | None = None,
    ) -> None:
        """Scrub every ``interval`` seconds, until ``stop`` is set.

        Runs never overlap: the next one after a long one is at the next
        multiple of the interval. A catalogue that fails is tried again after
        a random part of a time that doubles, up to the interval.

        Args:
            stop: an event, such as ``executor.runtime.event()``.
            interval: seconds from the beginning of one run to that of the
                next (Glance's ``wakeup_time``).
            drain: see :meth:`run_once`.
            report: called with the report of each run. What it raises is
                logged.

        Raises:
            ValueError: the interval is no number of seconds.
            ExecutorShutdown: somebody shut the executor down.
        """
        run_forever(
            lambda: self.run_once(stop=stop, drain=drain),
            stop,
            self._runtime,
            interval=interval,
            report=report,
        )

    def _foreseen(self, intake: Intake) -> Iterator[LocationResult]:
        """What a dry run has to say."""
        while page := intake.page():
            for image in page:
                for location in image.locations:
                    try:
                        self._stores.of(location)
                    except StoreError as error:
                        yield LocationResult(
                            location, Outcome.FAILED, explain(error)
                        )
                    else:
                        yield LocationResult(location, Outcome.WOULD_DELETE)


def _never() -> bool:
    return False
