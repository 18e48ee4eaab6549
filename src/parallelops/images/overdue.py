"""What takes too long: deletes that hang, and workers that never come."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from parallelops.images.report import Outcome

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.images.answers import Answers
    from parallelops.images.attempt import Attempt
    from parallelops.images.lane import Job, Lane
    from parallelops.images.lanes import Lanes

__all__ = ["Overdue"]

_log = logging.getLogger(__name__)

# A store may have one in so many workers with deletes that do not end.
_HUNG_SHARE = 4


class Overdue:
    """Gives up what does not end in time.

    Args:
        executor: where the workers are.
        lanes: the lanes.
        answers: is told of probes that do not end.
        delete_timeout: seconds that one delete may take, where its policy
            does not say, and that a location may wait while no worker gets
            anywhere.
        pause: seconds between two looks.
        hung: see below.

    Attributes:
        hung: by image, the tasks whose delete did not end in time, and its
            store; of earlier runs too. They keep their workers.
        starved: why all is skipped from now on; empty while nothing is.
    """

    def __init__(
        self,
        executor: Executor,
        lanes: Lanes,
        answers: Answers,
        *,
        delete_timeout: float,
        pause: float,
        hung: MutableMapping[str, tuple[Future[Any], str | None]],
    ) -> None:
        self.hung = hung
        self.starved = ""
        self._executor = executor
        self._runtime = executor.runtime
        self._lanes = lanes
        self._answers = answers
        self._delete_timeout = delete_timeout
        self._moved = self._next = self._runtime.monotonic()
        self._pause = pause

    def moved(self) -> None:
        """A worker has got somewhere just now."""
        self._moved = self._runtime.monotonic()

    def forget_ended(self) -> None:
        """What hung may have ended after all."""
        for name, (future, _) in tuple(self.hung.items()):
            if future.done():
                del self.hung[name]
                self._next = 0.0

    def close(self, job: Job, why: str, rest: str = "") -> None:
        """Give a job up, unless its delete has just ended."""
        attempt = job.attempt
        begun = attempt is not None and attempt.give_up()
        if attempt is not None and attempt.seconds is not None:
            self._answers.answer(job, attempt)
            return
        since = (attempt.since if attempt else None) or 0.0
        self._lanes.finish(
            job,
            Outcome.UNKNOWN if begun else Outcome.SKIPPED,
            why,
            seconds=self._runtime.monotonic() - since if begun else 0.0,
            doubtful=begun,
            rest=rest,
        )

    def look(
        self,
        probes: dict[Future[Any], tuple[Lane, Attempt]],
        starving: bool,
    ) -> None:
        """Give up what takes too long, once a while.

        Args:
            probes: those that are under way.
            starving: something could begin, but for a worker.
        """
        now = self._runtime.monotonic()
        if now < self._next:
            return
        self._next = now + self._pause
        self._look_for_hung(probes, now)
        for lane in self._lanes:
            self._park_if_hung(lane)
        self._look_for_starved(starving, now)

    def _look_for_hung(
        self, probes: dict[Future[Any], tuple[Lane, Attempt]], now: float
    ) -> None:
        for lane in self._lanes:
            limit = lane.policy.delete_timeout or self._delete_timeout
            for future, job in tuple(lane.running.items()):
                since = job.attempt.since if job.attempt else None
                if since is None or now - since < limit or future.done():
                    continue
                del lane.running[future]
                self.hung[job.task.image.id] = (future, lane.key)
                self.close(
                    job,
                    f"the delete has not ended after {limit:g} s, and may "
                    "still happen",
                    "the delete before it did not end",
                )
                _log.warning(
                    "a delete of image %s in store %s has not ended after "
                    "%g s; its worker is left alone",
                    job.task.image.id,
                    lane.key,
                    limit,
                )
        for future, (lane, attempt) in tuple(probes.items()):
            began = attempt.since
            if began is not None and now - began >= self._delete_timeout:
                del probes[future]
                self.hung[f"probe of {lane.key}"] = (future, lane.key)
                attempt.give_up()
                self._answers.probed(lane, attempt)

    def _park_if_hung(self, lane: Lane) -> None:
        lane.hung = sum(key == lane.key for _, key in self.hung.values())
        if not lane.hung:
            return
        most = max(self._executor.stats().max_workers // _HUNG_SHARE, 1)
        if lane.hung >= min(most, lane.policy.max_in_flight or most):
            why = f"{lane.hung} of its deletes do not end"
            self._lanes.close(lane, why)
            for future, job in tuple(lane.running.items()):
                if job.attempt is not None and job.attempt.since is None:
                    future.cancel()
                    del lane.running[future]
                    self.close(job, why)

    def _look_for_starved(self, starving: bool, now: float) -> None:
        """Give up if no worker has begun or ended anything for too long."""
        waits = [
            (future, job)
            for lane in self._lanes
            for future, job in lane.running.items()
            if job.attempt is not None and job.attempt.since is None
        ]
        for lane in self._lanes:
            for job in lane.running.values():
                since = job.attempt.since if job.attempt else None
                self._moved = max(self._moved, since or self._moved)
        if not (waits or starving):
            self._moved = now
            return
        limit = max(
            lane.policy.delete_timeout or self._delete_timeout
            for lane in self._lanes
        )
        if now - self._moved < limit:
            return
        self.starved = f"no worker came free for {limit:g} s"
        for future, job in waits:
            future.cancel()
            del job.lane.running[future]
            self.close(job, self.starved)
        for lane in self._lanes:
            self._lanes.close(lane, self.starved, is_news=False)
