"""What stores answer, and what follows from it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parallelops import events
from parallelops.images.attempt import Attempt, explain
from parallelops.images.classify import Kind, Verdict
from parallelops.images.policy import DAY
from parallelops.images.report import Outcome
from parallelops.ratelimit import RateLimiter, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.images.lane import Job, Lane
    from parallelops.images.lanes import Lanes
    from parallelops.images.limits import Limits
    from parallelops.runtime import Runtime

__all__ = ["Answers"]

_log = logging.getLogger(__name__)

# Answers "not there" that are kept in doubt, where nothing can be asked
# whether the store is; after so many it is left alone.
_MOST_HELD = 200
# So few at the end of a run are no wonder.
_FEW = 10
_LONGEST_BACKOFF = 60.0  # seconds


class Answers:
    """Takes what stores answer: a location has its result then, or goes
    back into its lane.

    Args:
        lanes: the lanes.
        runtime: where clocks and chance come from.
        limits: the limiters of stores which say that they are busy and
            have none of their own.
        tell: is told events, as a kind and its fields.
    """

    def __init__(
        self,
        lanes: Lanes,
        runtime: Runtime,
        *,
        limits: Limits,
        tell: Callable[..., None],
    ) -> None:
        self._lanes = lanes
        self._runtime = runtime
        self._limits = limits
        self._tell = tell

    def answer(self, job: Job, attempt: Attempt) -> None:
        """A delete has ended, and this is what the store says."""
        lane, policy = job.lane, job.lane.policy
        verdict = self._verdict(lane, attempt)
        kind, seconds = verdict.kind, attempt.seconds or 0.0
        job.attempt = None
        lane.took(seconds)
        self._tell(
            events.DeleteTried,
            store=lane.key,
            kind=kind.value,
            seconds=seconds,
        )
        if kind == Kind.BUSY:
            self._busy(job, verdict)
            return
        lane.busy_since = None
        call, job.call = job.call, None
        if call is not None:
            if kind in (Kind.RETRY, Kind.UNKNOWN):
                call.cancel()
            else:
                call.accepted()
        reason = explain(attempt.error) if attempt.error else ""
        match kind:
            case Kind.DONE:
                lane.breaker.heard(gone=False)
                self._lanes.believe(lane)
                self._lanes.finish(job, Outcome.DELETED, seconds=seconds)
            case Kind.GONE:
                self._gone(job, seconds)
            case Kind.RETRY:
                job.tries += 1
                if job.tries < policy.attempts and not lane.closed:
                    lane.offer(job, self._after(policy.backoff, job.tries))
                else:
                    self._lanes.finish(
                        job,
                        Outcome.FAILED,
                        reason,
                        seconds=seconds,
                        doubtful=True,
                    )
            case Kind.UNKNOWN:
                self._lanes.finish(
                    job,
                    Outcome.UNKNOWN,
                    reason,
                    seconds=seconds,
                    doubtful=True,
                )
            case Kind.BLOCKED | Kind.UNSUPPORTED:
                parking = policy.parking * 2.0**job.location.parkings
                self._lanes.finish(
                    job,
                    Outcome(kind.value),
                    reason,
                    seconds=seconds,
                    parked_until=self._runtime.time() + min(parking, DAY),
                )

    def _verdict(self, lane: Lane, attempt: Attempt) -> Verdict:
        if attempt.error is None:
            return Verdict(Kind.DONE)
        try:
            return lane.policy.classify(attempt.error)
        except Exception:  # noqa: BLE001 - it is the caller's own
            _log.exception("store %s: classify failed", lane.key)
            return Verdict(Kind.UNKNOWN)

    def _after(self, backoff: float, tries: int) -> float:
        """A time for another try: full jitter, so that not all come at
        once."""
        longest = min(backoff * 2.0 ** min(tries, 30), _LONGEST_BACKOFF)
        return self._runtime.monotonic() + self._runtime.random.uniform(
            0, longest
        )

    def _busy(self, job: Job, verdict: Verdict) -> None:
        """The store wants fewer calls: the limiter slows down, and the job
        waits for its turn again."""
        lane, now = job.lane, self._runtime.monotonic()
        wait = verdict.retry_after
        if isinstance(wait, str):
            wait = retry_after(wait, self._runtime.time())
        self._tell(events.StoreThrottled, store=lane.key, retry_after=wait)
        job.busy += 1
        if lane.limiter is None:
            lane.limiter = limiter = self._limits.make(lane.key)
            limiter.refused(wait)
        call, job.call = job.call, None
        if call is not None:
            call.throttled(wait)
        elif isinstance(lane.limiter, RateLimiter):
            if not wait:
                wait = self._after(lane.policy.backoff, job.busy) - now
            lane.limiter.pause(wait)
        if lane.busy_since is None:
            lane.busy_since = now
        if now - lane.busy_since >= lane.policy.patience:
            why = (
                "the store says nothing but that it is busy, for "
                f"{lane.policy.patience:g} s"
            )
            self._lanes.finish(job, Outcome.FAILED, why)
            self._lanes.close(lane, why)
        elif lane.closed:
            self._lanes.skip(job, lane.closed)
        else:
            lane.offer(job, now + (wait or 0.0) if call is None else now)

    # -- whether the store is there

    def _gone(self, job: Job, seconds: float) -> None:
        lane = job.lane
        lane.held.append((job, seconds))
        suspicious = lane.breaker.heard(gone=True)
        self._lanes.offer(job.task)
        if lane.closed:
            self._lanes.disbelieve(lane, lane.closed)
        elif suspicious and lane.probe is not None:
            if lane.probing is None:
                lane.probing = Attempt(lane.probe, self._runtime)
        elif len(lane.held) >= _MOST_HELD:
            self._lanes.close(
                lane,
                f"{_MOST_HELD} locations are not there, and it can't show "
                "that it is there itself",
            )

    def probed(self, lane: Lane, attempt: Attempt) -> None:
        """The store has shown that it is there, or could not."""
        lane.probing = None
        if attempt.error is None and attempt.seconds is not None:
            lane.answered = True
            lane.breaker.shown()
            self._lanes.believe(lane)
            return
        why = (
            explain(attempt.error)
            if attempt.error
            else "it did not answer in time"
        )
        self._lanes.close(lane, f"it can't show that it is there: {why}")

    def resolve_held(self) -> None:
        """At the end of a run: a few that are gone are no wonder."""
        for lane in self._lanes:
            if len(lane.held) < _FEW:
                self._lanes.believe(lane)
            elif lane.held and lane.probing is None:
                self._lanes.disbelieve(
                    lane, "nothing shows that the store is there"
                )
