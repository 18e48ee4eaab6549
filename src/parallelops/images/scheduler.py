"""One run of a scrubber, as the calling thread sees it.

Data flows one way: the intake lists due images and claims them, each
location goes through the lane of its store to a worker, and its result goes
to the recorder. Only this thread touches the catalogue and the lanes;
workers touch only stores. It is the one that waits for limiters, so that no
worker does.
"""

from __future__ import annotations

import functools
import math
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING, Any

from parallelops.errors import CatalogError, ExecutorSaturated
from parallelops.images.attempt import Attempt, explain
from parallelops.images.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.images.answers import Answers
    from parallelops.images.intake import Intake
    from parallelops.images.lane import Job, Lane
    from parallelops.images.lanes import Lanes
    from parallelops.images.overdue import Overdue
    from parallelops.images.recorder import Recorder

__all__ = ["Scheduler"]

# Images that are known before the first begins, so that those of a fast
# store are found behind those of a slow one.
_AHEAD = 1000
_STOPPED = "the run was stopped"


class Scheduler:
    """Brings locations to workers and results to the recorder.

    Args:
        executor: where the workers are. Others may use it too.
        intake: what is due.
        lanes: what waits, by store.
        answers: takes what the stores say.
        recorder: takes the results.
        overdue: sees what takes too long.
        stores: how many stores there are.
        tick: seconds after which to look round although nothing happened.
        stopped: whether to begin nothing more.
        drain: seconds to wait for what is under way then.
    """

    def __init__(
        self,
        executor: Executor,
        intake: Intake,
        lanes: Lanes,
        answers: Answers,
        recorder: Recorder,
        overdue: Overdue,
        *,
        stores: int,
        tick: float,
        stopped: Callable[[], bool],
        drain: float,
    ) -> None:
        self._executor = executor
        self._runtime = executor.runtime
        self._intake = intake
        self._lanes = lanes
        self._answers = answers
        self._recorder = recorder
        self._tick = tick
        self._hung = overdue.hung
        self._overdue = overdue
        self._stopped = stopped
        self._drain = drain
        self._probes: dict[Future[Any], tuple[Lane, Attempt]] = {}
        self._starving = False  # a job could begin, but for a worker
        self._shares = Shares(
            executor,
            lanes,
            self._probes,
            self._hung,
            stores=stores,
            reads_ahead=self._reads_ahead,
        )
        self.was_stopped = False

    def run(self) -> None:
        """Delete what is due and record what came of it.

        If it is interrupted, it records what has ended, leaves alone what
        has begun, and cancels the rest.

        Raises:
            CatalogError: the catalogue can't be read or written. Nothing
                more is tried.
        """
        try:
            while not self._stopped():
                self._read_ahead()
                for image_id in self._intake.renew():
                    self._lanes.lost(image_id)
                self._overdue.look(self._probes, self._starving)
                wait = self._begin_all()
                if not self._busy and wait == math.inf and self._intake.over:
                    self._answers.resolve_held()
                    if not self._lanes.waiting and not self._probe_waits:
                        break
                self._wait(0.0 if self._reads_ahead() else wait)
            else:
                self._stop()
            self._answers.resolve_held()
            self._recorder.flush()
        except CatalogError:
            self._leave_all()
            raise
        except BaseException:
            self._leave_all()
            self._recorder.flush()
            raise
        finally:
            for lane in self._lanes:
                lane.give_back()

    # -- what comes in

    def _reads_ahead(self) -> bool:
        """There is more to list, and room for it."""
        return not self._intake.over and self._lanes.waiting < _AHEAD

    def _read_ahead(self) -> None:
        """Read one page, so that its images begin while the next is read."""
        if not self._reads_ahead():
            return
        for image in self._intake.page():
            self._overdue.forget_ended()
            why = self._overdue.starved
            if image.id in self._hung:
                why = "a delete of an earlier run has still not ended"
            self._lanes.add(image, why)
        leftovers = self._lanes.leftovers
        if leftovers:
            claimed = self._intake.claim(leftovers, len(leftovers))
            leftovers.clear()
            for image in claimed.images:
                self._lanes.claimed(image)

    def _claim(self, lane: Lane) -> None:
        """Claim the next images of a lane: enough for a moment, and no more
        than that, since others may have nothing to do."""
        now = self._runtime.monotonic()
        limit = lane.portion(2 * self._shares.workers, now)
        wanted = [job.task.image for job in lane.unclaimed.values()]
        claimed = self._intake.claim(wanted, limit)
        for image_id in claimed.refused:
            self._lanes.refused(image_id)
        for image in claimed.images:
            self._lanes.claimed(image)

    # -- what begins

    @property
    def _busy(self) -> bool:
        """Is anything under way?"""
        return bool(self._probes) or any(lane.running for lane in self._lanes)

    @property
    def _probe_waits(self) -> bool:
        return any(lane.probing for lane in self._lanes)

    def _begin_all(self) -> float:
        """Begin all that may begin now.

        Returns:
            Seconds after which more may, if nothing ends before.
        """
        soonest = math.inf
        waiting = set[str | None]()
        self._starving = False
        room = self._shares.room()
        while True:
            now = self._runtime.monotonic()
            # The one with the fewest under way goes first.
            lanes = sorted(
                (lane for lane in self._lanes if lane.key not in waiting),
                key=lambda lane: len(lane.running) + lane.hung,
            )
            for lane in lanes:
                wait = self._may_begin(lane, now)
                if wait is None:
                    break
                waiting.add(lane.key)
                soonest = min(soonest, wait)
            else:
                return soonest
            if room <= 0:
                self._starving = True
                lane.give_back()
                if self._busy or self._hung:
                    return soonest
                # Others have it all. This way it goes on, if slowly.
                return self._make_here(lane)
            if lane.probing is not None:
                self._submit_probe(lane)
                waiting.add(lane.key)
                room -= 1
                continue
            wait, call = lane.admit()
            if wait:
                waiting.add(lane.key)
                soonest = min(soonest, wait)
                continue
            job = lane.take()
            job.call = call
            room = room - 1 if self._submit(job) else 0

    def _may_begin(self, lane: Lane, now: float) -> float | None:
        """None if it may; otherwise the seconds until it may."""
        if lane.probing is not None:
            under_way = any(one is lane for one, _ in self._probes.values())
            return math.inf if under_way else None
        lane.wake(now)
        if self._shares.of(lane, now) <= 0:
            return math.inf
        while not lane.ready and lane.unclaimed:
            self._claim(lane)
        if not lane.ready:
            lane.give_back()
            return lane.wait(now)
        return None

    def _attempt(self, job: Job) -> Attempt:
        delete = functools.partial(job.lane.store.delete, job.location.url)
        job.attempt = Attempt(delete, self._runtime)
        return job.attempt

    def _submit(self, job: Job) -> bool:
        """False if there was no room for it after all."""
        lane = job.lane
        if job.task.lost:
            self._lanes.take_away(job)
            return True
        if not self._busy:
            self._overdue.moved()
        try:
            future = self._executor.submit(self._attempt(job))
        except ExecutorSaturated:
            # Somebody else was faster. What the limiter let through is not
            # made use of, which does no harm.
            self._return(job)
            return False
        except BaseException:
            # An interrupt may come when it was accepted.
            self._overdue.close(job, _STOPPED)
            raise
        else:
            lane.running[future] = job
        return True

    def _return(self, job: Job) -> None:
        if job.call is not None:
            job.call.cancel()
        job.call = job.attempt = None
        job.lane.offer(job)

    def _submit_probe(self, lane: Lane) -> None:
        attempt = lane.probing
        assert attempt is not None  # noqa: S101 - the caller has seen it
        try:
            self._probes[self._executor.submit(attempt)] = (lane, attempt)
        except ExecutorSaturated:
            self._starving = True

    def _make_here(self, lane: Lane) -> float:
        """One call, in this thread; the seconds until there may be one."""
        if lane.probing is not None:
            lane.probing()
            self._answers.probed(lane, lane.probing)
            return 0.0
        wait, call = lane.admit()
        if wait:
            return wait
        job = lane.take()
        job.call = call
        if job.task.lost:
            self._lanes.take_away(job)
            return 0.0
        attempt = self._attempt(job)
        try:
            attempt()
        except BaseException:
            self._overdue.close(job, _STOPPED)
            raise
        self._answers.answer(job, attempt)
        return 0.0

    # -- what ends

    def _wait(self, most: float) -> None:
        """Wait until something has happened, and see to it."""
        timeout = min(most, self._tick, self._recorder.step())
        futures = [future for lane in self._lanes for future in lane.running]
        futures += self._probes
        futures += [future for future, _ in self._hung.values()]
        if futures:
            self._executor.wait(
                futures, timeout=timeout, return_when=FIRST_COMPLETED
            )
        elif timeout > 0:
            self._runtime.sleep(timeout)
        self._overdue.forget_ended()
        self._land_all()
        self._recorder.step()

    def _land_all(self) -> None:
        for lane in self._lanes:
            for future in [f for f in lane.running if f.done()]:
                self._land(future, lane.running.pop(future))
        for future in [future for future in self._probes if future.done()]:
            lane, attempt = self._probes.pop(future)
            self._answers.probed(lane, attempt)

    def _land(self, future: Future[Any], job: Job) -> None:
        """A task has ended."""
        self._overdue.moved()
        if future.cancelled():
            why = "the executor cancelled its task"
            self._overdue.close(job, why, rest=why)
            return
        error = future.exception()
        if error is None and job.attempt is not None:
            self._answers.answer(job, job.attempt)
            return
        why = explain(error) if error else _STOPPED
        self._overdue.close(job, why, rest=why)
        if isinstance(error, KeyboardInterrupt):
            raise error

    # -- the end

    def _stop(self) -> None:
        """Begin nothing more, and wait a while for what has begun."""
        self.was_stopped = True
        end = self._runtime.monotonic() + self._drain
        self._close_all()
        for lane in self._lanes:
            for future in lane.running:
                future.cancel()
        while self._busy and (left := end - self._runtime.monotonic()) > 0:
            for image_id in self._intake.renew():
                self._lanes.lost(image_id)
            self._wait(left)
        self._leave_all()

    def _close_all(self) -> None:
        self._answers.resolve_held()
        for lane in self._lanes:
            self._lanes.close(lane, _STOPPED, is_news=False)

    def _leave_all(self) -> None:
        """Leave alone what has begun; keep what has ended."""
        self._close_all()
        for lane in self._lanes:
            for future, job in tuple(lane.running.items()):
                del lane.running[future]
                future.cancel()
                self._overdue.close(job, _STOPPED)
        for future, (_, attempt) in self._probes.items():
            future.cancel()
            attempt.give_up()
