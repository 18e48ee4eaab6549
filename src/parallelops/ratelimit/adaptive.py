"""A rate that nobody knows: found by what the store lets through."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Literal

from parallelops.errors import RateLimited
from parallelops.ratelimit.bucket import (
    LimiterStats,
    RateLimiter,
    positive,
    whole,
)
from parallelops.ratelimit.call import Call
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from parallelops.runtime import Runtime

__all__ = ["AdaptiveLimiter", "LimiterState"]

# All growth is the share of itself by which the rate grows in a second.
# So it grows while the store's rate is sought: from the beginning, and when
# it has not been refused for long.
_BOLD = 2.0
# After a cut it grows back so to what was seen to be let through, ...
_BACK = 0.25
# ... and from there so; this doubles with each second without a refusal.
_TIMID = 0.01
# Seconds that one call counts for at the most, so that a slow rate does not
# grow by leaps.
_ONE_CALL = 0.25
# A rate is cut to this much of what was seen to be let through.
_SEEN = 0.88
# It is cut to a half where too few calls were let through to tell, and while
# it was sought to no less; to no less than a quarter in any case.
_HALF, _QUARTER = 0.5, 0.25
_ENOUGH = 5
# What was seen is that of the time in which the rate grew by this factor, once
# or twice: when it was lower the store could have let through more.
_STRETCH = 1.2
# Seconds; after so long without a call what was seen before tells nothing.
_IDLE = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class LimiterState:
    """What an adaptive limiter has learned, to be kept for the next run.

    Attributes:
        rate: calls a second.
        found: the store has said "slow down" before, so that the rate is
            near to what it lets through.
    """

    rate: float
    found: bool


class AdaptiveLimiter:
    """Finds the rate at which a store takes calls, and keeps to it.

    Each call is reported: accepted, or throttled, which is what an answer
    with the status 429, 503, or Swift's 498 means. While calls are accepted
    and the limiter holds others back, the rate grows; the longer nothing is
    refused, the faster. When the store says "slow down", the rate is cut to
    a little less than what it let through since the last time. Refusals of
    calls that were under way when the rate was cut don't cut it again.

    After a refusal nothing is let through for as long as the store asks. If
    it doesn't say, that is a random part of a time that doubles with each
    refusal in a row, and begins with that of one call. (Full jitter: Brooker,
    "Exponential backoff and jitter", AWS Architecture Blog, 2015.)

    Calls are spaced evenly, without bursts. It serves one store, or one
    account of it, whatever has a limit of its own.

    Args:
        start: calls a second to begin with.
        slowest: calls a second; it is never slower, but for pauses.
        fastest: calls a second; it is never faster.
        max_in_flight: calls at once, those included that have a place in
            the line; None is any number.
        max_pause: seconds; a store that asks for more gets no more.
        horizon: see :class:`RateLimiter`.
        state: what an earlier one has learned; it counts in the place of
            ``start``.
        runtime: where clock, sleep, locks and chance come from; real
            threads by default.

    Raises:
        ValueError: one of them can't work.
    """

    def __init__(
        self,
        start: float = 10.0,
        *,
        slowest: float = 0.1,
        fastest: float = 10_000.0,
        max_in_flight: int | None = None,
        max_pause: float = 300.0,
        horizon: float = 3600.0,
        state: LimiterState | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        positive("slowest", slowest)
        positive("fastest", fastest)
        if slowest > fastest:
            raise ValueError(
                f"slowest ({slowest!r}) is above fastest ({fastest!r})"
            )
        if max_in_flight is not None:
            whole("max_in_flight", max_in_flight)
        learned = state or LimiterState(positive("start", start), found=False)
        runtime = runtime or ThreadRuntime()
        self.max_in_flight = max_in_flight
        self._slowest, self._fastest = slowest, fastest
        self._max_pause = positive("max_pause", max_pause)
        self._now = runtime.monotonic
        self._random = runtime.random
        self._limiter = RateLimiter(
            self._within(positive("rate", learned.rate)),
            horizon=horizon,
            runtime=runtime,
        )
        self._found = learned.found
        self._growth = _TIMID if learned.found else _BOLD
        self._aim = 0.0  # what the rate grows back to
        # Guards what follows; notified when a call ends.
        self._ended = runtime.condition(runtime.lock())
        self._in_flight = self._throttled = self._full = 0
        # One more at each refusal that counts. Calls of an earlier epoch
        # were under way then.
        self._epoch = 0
        # Nothing was accepted since the last refusal: that says nothing of
        # the rate, but that the pause was too short.
        self._in_vain = False
        self._backoff = 0.0
        # How many were accepted since the last refusal, or since it was
        # idle; and marks: when, how many by then, and the rate.
        self._accepted = 0
        self._last = self._now()
        self._marks = collections.deque([(self._last, 0, 0.0)], maxlen=2)

    @property
    def state(self) -> LimiterState:
        """What it has learned; the next one takes it as ``state``."""
        return LimiterState(self._limiter.rate, self._found)

    def acquire(self, timeout: float | None = None) -> Call:
        """Wait until a call is let through, and report on it afterwards.

        Args:
            timeout: seconds to wait at the most; None waits for one of
                ``max_in_flight`` calls to end however long that takes, and
                then no longer than the horizon.

        Raises:
            RateLimited: it took longer, or would.
        """
        end = None if timeout is None else self._now() + timeout
        call = self.reserve(timeout)
        try:
            left = None if end is None else max(end - self._now(), 0.0)
            self._limiter.wait(call.claim, left)
        except BaseException:
            call.cancel()
            raise
        return call

    def reserve(self, timeout: float | None = 0.0) -> Call:
        """A call with a place in the line, whose turn nobody waits for.

        Args:
            timeout: seconds to wait at the most for one of
                ``max_in_flight`` calls to end; None is without end.

        Raises:
            RateLimited: none ended in time, after which to try again in the
                time of one call is a guess; or its turn would be beyond the
                horizon.
        """
        with self._ended:
            if not self._ended.wait_for(self._has_room, timeout):
                self._full += 1
                raise RateLimited(1 / self._limiter.rate)
            self._in_flight += 1
        try:
            return Call(self, self._limiter.reserve())
        except BaseException:
            with self._ended:
                self._leave()
            raise

    def stats(self) -> LimiterStats:
        """What it has done so far."""
        with self._ended:
            seen = self._limiter.stats()
            return dataclasses.replace(
                seen,
                refused=seen.refused + self._full,
                throttled=self._throttled,
                in_flight=self._in_flight,
            )

    def refused(self, wanted: float | None = None) -> None:
        """The store has said "slow down" to a call that nothing held back,
        before this limiter was there.

        It says nothing of the rate, so that one is sought as if it had not
        been said; but not before the store takes calls again.

        Args:
            wanted: seconds that the store asks for; None if it does not say.
        """
        with self._ended:
            self._in_vain = True
            self._pause(wanted)

    # What its calls tell.

    def claim(self, call: Call) -> float:
        """Seconds until it is its turn; at 0 it is let through."""
        # Before: if the rate is cut meanwhile, it was under way then.
        epoch = self._epoch
        wait = call.place.claim()
        if wait:
            return wait
        with self._ended:
            call.epoch = epoch
            now = self._now()
            if now - self._last > _IDLE + 1 / self._limiter.rate:
                self._measure_from(now)
            self._last = max(now, self._last)
        return 0.0

    def end(
        self,
        call: Call,
        how: Literal["accepted", "throttled", "other"],
        wanted: float | None = None,
    ) -> None:
        """It has ended; only the first time counts."""
        with self._ended:
            if call.ended:
                return
            call.ended = True
            if call.epoch is None:
                call.place.cancel()
            elif how == "accepted":
                self._grow(call)
            elif how == "throttled":
                self._throttle(call, wanted)
            self._leave()

    def _grow(self, call: Call) -> None:
        self._accepted += 1
        if call.epoch != self._epoch:
            return
        self._in_vain = False
        # A rate that held nobody back was not tried out.
        if call.place.waited:
            rate = self._limiter.rate
            seconds = min(1 / rate, _ONE_CALL)
            if rate < self._aim:
                growth = _BACK
            else:
                growth = self._growth
                self._growth = min(growth * 2**seconds, _BOLD)
            rate = self._within(rate * (1 + growth * seconds))
            self._limiter.change(rate)
            if self._found and rate > self._marks[-1][2] * _STRETCH:
                self._marks.append((self._now(), self._accepted, rate))

    def _throttle(self, call: Call, wanted: float | None) -> None:
        self._throttled += 1
        if call.epoch != self._epoch:
            if wanted is not None:
                self._limiter.pause(self._bounded(wanted))
            return
        if self._accepted or not self._in_vain:
            self._cut(self._now())
            self._backoff = 0.0
        self._pause(wanted)

    def _bounded(self, wanted: float) -> float:
        return min(max(wanted, 0.0), self._max_pause)

    def _pause(self, wanted: float | None) -> None:
        """Let nothing through for a time; what is under way is of before."""
        if wanted is not None:
            wanted = self._bounded(wanted)
            self._limiter.pause(wanted)
        # After it: who sees the new epoch is held by the pause as well.
        self._epoch += 1
        now = self._now()
        self._backoff = self._backoff or 1 / self._limiter.rate
        if not wanted:
            longest = min(self._backoff, self._max_pause)
            self._limiter.pause(self._random.uniform(0, longest))
        self._backoff = min(self._backoff * 2, self._max_pause)
        self._in_vain = True
        # The store lets nothing through while it wants us to wait; while
        # we chose to wait it would have.
        self._last = now + (wanted or 0.0)
        self._measure_from(self._last)

    def _cut(self, now: float) -> None:
        """Slow down to a little less than what it let through."""
        rate = self._limiter.rate
        since, before, _ = self._marks[0]
        accepted = self._accepted - before
        seen = min(rate, accepted / (now - since)) if now > since else rate
        if self._found:
            self._aim = seen = max(seen, rate * _QUARTER)
            lower = seen * _SEEN
        else:
            # Until now it grew so fast that what was seen is no aim.
            self._aim = lower = max(seen, rate * _HALF) * _SEEN
        if accepted < _ENOUGH:
            lower = min(lower, rate * _HALF)
        self._limiter.change(self._within(lower))
        self._found = True
        self._growth = _TIMID

    def _measure_from(self, when: float) -> None:
        self._accepted = 0
        self._marks.clear()
        self._marks.append((when, 0, self._limiter.rate))

    def _within(self, rate: float) -> float:
        return min(max(rate, self._slowest), self._fastest)

    def _has_room(self) -> bool:
        most = self.max_in_flight
        return most is None or self._in_flight < most

    def _leave(self) -> None:
        self._in_flight -= 1
        self._ended.notify()
