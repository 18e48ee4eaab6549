"""A lane: what waits for one store, and whether it may begin."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import itertools
import math
from typing import TYPE_CHECKING

from parallelops.errors import RateLimited
from parallelops.images.breaker import Breaker
from parallelops.ratelimit import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from typing import Any

    from parallelops.images.attempt import Attempt
    from parallelops.images.catalog import DueImage
    from parallelops.images.location import Location
    from parallelops.images.policy import StorePolicy
    from parallelops.images.store import Store
    from parallelops.ratelimit import (
        AdaptiveLimiter,
        RateLimiter,
        Reservation,
    )

__all__ = ["ImageTask", "Job", "Lane"]

# Seconds.
_ROUNDING = 1e-6
_SOON = 1.0
# A scrubber claims about as many images as it deletes in this time.
_MOMENT = 0.25
_LARGEST = 500  # images
_PACE = 8  # deletes until the pace has followed


@dataclasses.dataclass(slots=True, eq=False)
class ImageTask:
    """An image, of which one location at a time is in a lane.

    Attributes:
        image: as it was listed, or claimed.
        number: its place in the order of images.
        left: the locations that were not offered yet.
        open: how many locations have no result yet.
        lost: another scrubber took it over.
    """

    image: DueImage
    number: int
    left: collections.deque[Location]
    open: int
    lost: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class Job:
    """A location to delete.

    Attributes:
        task: its image.
        location: the location.
        lane: where it waits.
        tries: how often a delete failed.
        busy: how often its store said that it is busy.
        attempt: the delete that is under way.
        call: what the limiter is to be told of it.
    """

    task: ImageTask
    location: Location
    lane: Lane
    tries: int = 0
    busy: int = 0
    attempt: Attempt | None = None
    call: Call | None = None


class Lane:
    """The queue of one store, with all that says when its next delete may
    begin. Only the scheduler's thread uses it.

    Attributes:
        key: the name of the store.
        store: the store.
        policy: how to treat it.
        running: what is under way, by future.
        hung: how many deletes are given up, and still have a worker.
        answered: the store has answered anything in this run.
        pace: about how many seconds a delete takes; infinite until one has
            ended.
        closed: why nothing begins any more; empty while something may.
        held: what the store said is gone, and nobody believes yet.
        probe: what to call to see whether the store is there; None if
            nothing is.
        probing: that call, while it is under way.
        busy_since: when it began to say nothing but that it is busy, on the
            monotonic clock.
    """

    def __init__(
        self,
        key: str | None,
        store: Store,
        policy: StorePolicy,
        limiter: RateLimiter | AdaptiveLimiter | None,
    ) -> None:
        self.key = key
        self.store = store
        self.policy = policy
        self.limiter = limiter
        self.breaker = Breaker()
        self.running: dict[Future[Any], Job] = {}
        self.hung = 0
        self.answered = False
        self.pace = math.inf
        self.closed = ""
        self.held: list[tuple[Job, float]] = []
        self.probe: Callable[[], object] | None = policy.probe or getattr(
            store, "probe", None
        )
        self.probing: Attempt | None = None
        self.busy_since: float | None = None
        # Images that nobody has claimed yet, and then jobs of claimed ones:
        # those that may begin, by image, and those that have to wait.
        self.unclaimed: dict[str, Job] = {}
        self._ready: list[tuple[int, int, Job]] = []
        self._later: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        # How many images were claimed at the last time, and when that was.
        self._portion = 0
        self._portioned = 0.0
        self._place: Reservation | Call | None = None

    def __len__(self) -> int:
        return len(self.unclaimed) + len(self._ready) + len(self._later)

    def __iter__(self) -> Iterator[Job]:
        yield from self.unclaimed.values()
        for _, _, job in (*self._ready, *self._later):
            yield job

    def offer(self, job: Job, when: float = -math.inf) -> None:
        """Have a job wait here, for its turn or until ``when``."""
        if not job.task.image.token:
            self.unclaimed[job.task.image.id] = job
            return
        number = next(self._numbers)
        if when > -math.inf:
            heapq.heappush(self._later, (when, number, job))
        else:
            heapq.heappush(self._ready, (job.task.number, number, job))

    def took(self, seconds: float) -> None:
        """The store has answered a delete. One that becomes slow is seen at
        once, one that becomes fast after a while."""
        self.answered = True
        seconds = max(seconds, _ROUNDING)
        if self.pace < math.inf:
            mean = self.pace + (seconds - self.pace) / _PACE
            seconds = max(seconds, mean)
        self.pace = seconds

    def wake(self, now: float) -> None:
        """Jobs whose time has come may begin."""
        while self._later and self._later[0][0] <= now + _ROUNDING:
            _, number, job = heapq.heappop(self._later)
            heapq.heappush(self._ready, (job.task.number, number, job))

    def room(self, workers: int, stores: int, ahead: int = 0) -> int:
        """How many more deletes may be under way.

        One of several stores gets half of the workers until it answers, so
        that one which is dead does not get them all. ``ahead`` of them may
        wait for a worker.
        """
        most = workers
        if stores > 1 and not self.answered:
            most = (workers + 1) // 2
        elif self.limiter is None:
            # What a limiter let through is not to wait for a worker.
            most += ahead
        if self.policy.max_in_flight is not None:
            most = min(most, self.policy.max_in_flight)
        return most - len(self.running) - self.hung

    def is_about_to_begin(self, now: float) -> bool:
        """It is asked whether it is there, and may still answer soon."""
        if self.probing is None or self.answered:
            return False
        since = self.probing.since
        return since is None or now - since < _SOON

    def portion(self, least: int, now: float) -> int:
        """How many images to claim, going by how long the last ones lasted;
        the limiter lets no more through in a second."""
        lasted = max(now - self._portioned, _MOMENT / 2)
        most = int(self._portion * _MOMENT / lasted)
        self._portion = max(min(most, _LARGEST), least)
        self._portioned = now
        if self.limiter is None:
            return self._portion
        return max(min(least, int(self.limiter.stats().rate)), 1)

    @property
    def ready(self) -> bool:
        """Some job may begin, as far as the queue goes."""
        return bool(self._ready)

    @property
    def wants(self) -> bool:
        """Some job could begin, once its image is claimed."""
        return bool(self._ready or self.unclaimed)

    @property
    def has_work(self) -> bool:
        """Something waits or is under way, or is about to be known."""
        return bool(
            len(self)
            or self.running
            or (self.probing is not None and not self.answered)
        )

    def wait(self, now: float) -> float:
        """Seconds until a job may begin, but for the limiter's."""
        if self.wants:
            return 0.0
        return max(self._later[0][0] - now, 0.0) if self._later else math.inf

    def admit(self) -> tuple[float, Call | None]:
        """Ask the limiter to let one delete through.

        Returns:
            Seconds to wait, and at 0 what to tell of the delete, if it is
            to be told.
        """
        limiter = self.limiter
        if limiter is None:
            return 0.0, None
        if self._place is None:
            try:
                # One that has no room for calls says so at once.
                self._place = limiter.reserve()
            except RateLimited as error:
                return max(error.retry_after, 1e-3), None
        wait = self._place.claim()
        if wait:
            return wait, None
        place, self._place = self._place, None
        return 0.0, place if isinstance(place, Call) else None

    def take(self) -> Job:
        """The next job."""
        return heapq.heappop(self._ready)[2]

    def drain(self) -> list[Job]:
        """All that waits here, which is left to the caller."""
        jobs = list(self)
        self.unclaimed.clear()
        self._ready.clear()
        self._later.clear()
        self.give_back()
        return jobs

    def give_back(self) -> None:
        """Leave the limiter's line."""
        if self._place is not None:
            self._place.cancel()
            self._place = None
