"""All lanes of a run: what images go through, and what answers mean."""

from __future__ import annotations

import collections
import logging
from typing import TYPE_CHECKING

from parallelops import events
from parallelops.errors import StoreError
from parallelops.images.attempt import Attempt, explain
from parallelops.images.lane import ImageTask, Job, Lane
from parallelops.images.recorder import Entry
from parallelops.images.report import LocationResult, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelops.images.catalog import DueImage
    from parallelops.images.limits import Limits
    from parallelops.images.location import Location
    from parallelops.images.recorder import Recorder
    from parallelops.images.stores import Stores
    from parallelops.runtime import Runtime

__all__ = ["Lanes"]

_log = logging.getLogger(__name__)


class Lanes:
    """The lanes by store. Each location of an image goes through that of
    its store, one at a time, and each gets one result.

    Args:
        stores: the stores.
        recorder: takes the results.
        runtime: where clocks come from.
        limits: the limiters of stores without one of their own.
        tell: is told events, as a kind and its fields.

    Attributes:
        closed: why stores are left alone in this run, by name.
        leftovers: images whose data is gone, and which are only to be
            finished.
    """

    def __init__(
        self,
        stores: Stores,
        recorder: Recorder,
        runtime: Runtime,
        *,
        limits: Limits,
        tell: Callable[..., None],
    ) -> None:
        self.closed: dict[str | None, str] = {}
        self.leftovers: list[DueImage] = []
        self._stores = stores
        self._recorder = recorder
        self._runtime = runtime
        self._limits = limits
        self._tell = tell
        self._lanes: dict[str | None, Lane] = {}
        self._tasks: dict[str, ImageTask] = {}
        self._numbers = 0

    def __iter__(self) -> Iterator[Lane]:
        # A copy: an image that goes on may make a new one.
        return iter(tuple(self._lanes.values()))

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._lanes)

    @property
    def waiting(self) -> int:
        """How many images wait in all lanes."""
        return sum(map(len, self)) + len(self.leftovers)

    def of(self, location: Location) -> Lane:
        """The lane of a location.

        Raises:
            StoreError: it has none, since there is no such store.
        """
        key = self._stores.key(location)
        lane = self._lanes.get(key)
        if lane is None:
            store = self._stores.of(location)
            policy = self._stores.policy(key)
            limiter = policy.limiter or self._limits.get(key)
            if limiter is None and policy.shared:
                limiter = self._limits.make(key)
            lane = self._lanes[key] = Lane(key, store, policy, limiter)
            if len(self._stores) > 1 and lane.probe is not None:
                # One that hangs takes one worker from the others, not all.
                lane.probing = Attempt(lane.probe, self._runtime)
        return lane

    # -- images

    def add(self, image: DueImage, why_not: str = "") -> None:
        """Bring an image; with a reason, only to be skipped."""
        if not image.locations:
            self.leftovers.append(image)
            return
        task = ImageTask(
            image,
            self._numbers,
            collections.deque(image.locations),
            len(image.locations),
        )
        self._numbers += 1
        self._tasks[image.id] = task
        if why_not:
            self._skip_rest(task, why_not)
        else:
            self.offer(task)

    def claimed(self, image: DueImage) -> None:
        """It is ours now, and this is how it is now."""
        task = self._tasks.get(image.id)
        if task is None:  # nothing but to finish it
            self._recorder.finish(image)
            return
        first = self._unqueue(task)
        handled = {location.id for location in task.image.locations} - {
            location.id for location in (first, *task.left) if location
        }
        task.image = image
        task.left = collections.deque(
            location
            for location in image.locations
            if location.id not in handled
        )
        task.open = len(task.left)
        if task.open:
            self.offer(task)
        else:
            self._end(task)

    def refused(self, image_id: str) -> None:
        """It is somebody else's, or not due any more."""
        task = self._tasks.pop(image_id, None)
        if task is not None:
            self._unqueue(task)

    def lost(self, image_id: str) -> None:
        """It was ours, and is somebody else's now."""
        task = self._tasks.get(image_id)
        if task is not None:
            task.lost = True

    def _unqueue(self, task: ImageTask) -> Location | None:
        for lane in self:
            job = lane.unclaimed.pop(task.image.id, None)
            if job is not None:
                return job.location
        return None

    def offer(self, task: ImageTask) -> None:
        """Bring the next location of an image to its lane."""
        while task.left:
            location = task.left.popleft()
            try:
                lane = self.of(location)
            except StoreError as error:
                result = LocationResult(
                    location, Outcome.FAILED, explain(error)
                )
                self._record(task, None, result)
                continue
            if task.lost:
                self._record(task, lane, _taken(location))
            elif lane.closed:
                result = LocationResult(location, Outcome.SKIPPED, lane.closed)
                self._record(task, lane, result)
            else:
                lane.offer(Job(task, location, lane))
                return

    def _skip_rest(self, task: ImageTask, why: str) -> None:
        while task.left:
            result = LocationResult(task.left.popleft(), Outcome.SKIPPED, why)
            self._record(task, None, result)

    def _record(
        self,
        task: ImageTask,
        lane: Lane | None,
        result: LocationResult,
        *,
        doubtful: bool = False,
        parked_until: float | None = None,
    ) -> None:
        task.open -= 1
        self._recorder.add(
            Entry(task.image, result, doubtful, parked_until),
            lane.key if lane is not None else None,
            lane.store if lane is not None else None,
        )
        if not task.open:
            self._end(task)

    def _end(self, task: ImageTask) -> None:
        del self._tasks[task.image.id]
        self._recorder.finish(task.image)

    # -- jobs

    def finish(
        self,
        job: Job,
        outcome: Outcome,
        reason: str = "",
        *,
        seconds: float = 0.0,
        doubtful: bool = False,
        parked_until: float | None = None,
        rest: str = "",
    ) -> None:
        """A job has its result, and the next location its turn; with
        ``rest`` the image's other locations are skipped."""
        if job.call is not None:
            job.call.cancel()
        self._record(
            job.task,
            job.lane,
            LocationResult(job.location, outcome, reason, seconds),
            doubtful=doubtful,
            parked_until=parked_until,
        )
        if rest:
            self._skip_rest(job.task, rest)
        else:
            self.offer(job.task)

    def skip(self, job: Job, why: str) -> None:
        """Nobody is to touch it in this run."""
        self.finish(job, Outcome.SKIPPED, why)

    def take_away(self, job: Job) -> None:
        """It was taken over before it began."""
        if job.call is not None:
            job.call.cancel()
        self._record(job.task, job.lane, _taken(job.location))
        self.offer(job.task)

    def close(self, lane: Lane, why: str, *, is_news: bool = True) -> None:
        """Begin nothing more in a lane, in this run."""
        if lane.closed:
            return
        lane.closed = why
        if is_news:
            self.closed[lane.key] = why
            _log.warning("store %s is left alone now: %s", lane.key, why)
            self._tell(events.StoreClosed, store=lane.key, reason=why)
        for job in lane.drain():
            self.skip(job, why)
        self.disbelieve(lane, why)

    def give_up(self, key: str | None, why: str) -> None:
        """Close the lane of that name."""
        self.close(self._lanes[key], why)

    # -- whether a store is there

    def believe(self, lane: Lane) -> None:
        """What it said is gone is gone."""
        held, lane.held = lane.held, []
        for job, seconds in held:
            self._resolve(job, Outcome.GONE, "", seconds)

    def disbelieve(self, lane: Lane, why: str) -> None:
        """What it said is gone may as well be there."""
        held, lane.held = lane.held, []
        for job, seconds in held:
            reason = f"it is not there, but that is not believed: {why}"
            self._resolve(job, Outcome.FAILED, reason, seconds)

    def _resolve(
        self, job: Job, outcome: Outcome, reason: str, seconds: float
    ) -> None:
        # The next location had its turn when the store answered.
        self._record(
            job.task,
            job.lane,
            LocationResult(job.location, outcome, reason, seconds),
            doubtful=outcome != Outcome.GONE,
        )


def _taken(location: Location) -> LocationResult:
    return LocationResult(
        location, Outcome.TAKEN, "another scrubber took its image over"
    )
