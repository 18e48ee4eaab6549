"""A rate that is known: a token bucket that hands out places in a line."""

from __future__ import annotations

import bisect
import dataclasses
import math
from typing import TYPE_CHECKING

from parallelops.errors import RateLimited
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Runtime

__all__ = ["LimiterStats", "RateLimiter", "Reservation", "positive", "whole"]

# Of a call: what rounding may cost. It is owed, and not forgiven.
_ROUNDING = 1e-6
# Seconds: the shortest wait, so that a clock can show that it is over.
_SHORTEST = 1e-9
# Seconds: a longer wait is slept in parts, so as to see in time that the rate
# has grown.
_NAP = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LimiterStats:
    """What a limiter has done so far.

    Attributes:
        rate: calls a second that it lets through now.
        passed: calls that it let through.
        waited: those of them that had to wait.
        refused: calls that it refused with RateLimited.
        throttled: calls of which the store said "slow down".
        in_flight: calls that were let through, or wait for it, and have not
            ended. Only an :class:`AdaptiveLimiter` knows.
    """

    rate: float
    passed: int
    waited: int
    refused: int
    throttled: int = 0
    in_flight: int = 0


class RateLimiter:
    """Lets through ``rate`` calls in ``per`` seconds, first come first
    served.

    In any stretch of ``t`` seconds at most ``burst + rate * t / per`` calls
    are let through, on the monotonic clock: whatever the wall clock does,
    and also after the process was stopped.

    Each caller gets a place in a line, and comes back when its time has
    come. Nobody holds a lock while it waits, and a place whose owner does
    not come back holds up nobody.

    Args:
        rate: calls, more than 0.
        per: the seconds in which so many calls are let through.
        burst: calls that may come at once when there were none for a while;
            1 spaces them evenly.
        horizon: seconds that a call may have to wait at the most. It bounds
            the line; a place further off is refused.
        runtime: whose clock and sleep it uses; real threads by default.

    Raises:
        ValueError: one of them can't work.
    """

    def __init__(
        self,
        rate: float,
        per: float = 1.0,
        burst: int = 1,
        *,
        horizon: float = 3600.0,
        runtime: Runtime | None = None,
    ) -> None:
        positive("rate", rate)
        positive("per", per)
        positive("horizon", horizon)
        runtime = runtime or ThreadRuntime()
        self.burst = whole("burst", burst)
        self.horizon = horizon
        self._rate = positive("rate / per", rate / per)
        self._monotonic = runtime.monotonic
        self._sleep = runtime.sleep
        self._lock = runtime.lock()
        # Places are numbers, and one's time has come when the counter gets
        # there. It counts on at the rate, and at most a burst ahead.
        self._counter = float(burst)
        self._counted_at = self._monotonic()
        self._last = 0.0  # the last place in the line
        self._free: list[float] = []  # places that were given back, in order
        # The bucket. It sees when calls really pass: many may come late at
        # once, when the process was stopped.
        self._tokens = float(burst)
        self._last_late = -math.inf  # the last place of those sent back
        self._passed = self._waited = self._refused = 0

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self._rate

    def acquire(self, timeout: float | None = None) -> None:
        """Wait until a call is let through.

        Args:
            timeout: seconds to wait at the most; None is the horizon.

        Raises:
            RateLimited: it would take longer. That is known, and raised, at
                once, but for a rate that changes meanwhile.
        """
        with self._lock:
            now = self._count()
            if (
                self._last + 1 <= self._counter
                and self._tokens >= 1
                and self._counted_at <= now
            ):
                # Nobody waits: there is no need for a place in the line.
                self._last += 1
                self._tokens -= 1
                self._passed += 1
                return
        place = self.reserve(timeout)
        try:
            self.wait(place.claim, timeout)
        except BaseException:
            place.cancel()
            raise

    def reserve(self, timeout: float | None = None) -> Reservation:
        """Take a place in the line, and don't wait.

        Args:
            timeout: seconds that it may be off; None is the horizon, and no
                more than that in any case.

        Raises:
            RateLimited: it is further off. No place is taken.
        """
        limit = self.horizon
        if timeout is not None:
            limit = min(limit, max(timeout, 0.0))
        with self._lock:
            now = self._count()
            # Those whose time has come are of no use to who comes now: they
            # would push back who is in line.
            del self._free[: bisect.bisect_right(self._free, self._counter)]
            place = self._free[0] if self._free else self._last + 1
            wait = self._until(place, now)
            if wait <= limit + _ROUNDING:
                if self._free:
                    del self._free[0]
                else:
                    self._last = place
                return Reservation(self, place)
            self._refused += 1
        raise RateLimited(wait - limit)

    def change(self, rate: float) -> None:
        """Let through ``rate`` calls a second from now on.

        It holds for the calls in line, too. One that sleeps sees it when
        an eighth of its time is over, if not before.

        Raises:
            ValueError: the rate is not above 0.
        """
        positive("rate", rate)
        with self._lock:
            self._count()
            self._rate = rate

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long; the line stays as it is."""
        with self._lock:
            until = self._count() + seconds
            self._counted_at = max(self._counted_at, until)

    def stats(self) -> LimiterStats:
        """What it has done so far."""
        with self._lock:
            return LimiterStats(
                rate=self._rate,
                passed=self._passed,
                waited=self._waited,
                refused=self._refused,
            )

    # What its reservations ask, and an adaptive limiter.

    def wait(self, claim: Callable[[], float], timeout: float | None) -> None:
        """Claim until it is let through; RateLimited if it would be late."""
        end = None if timeout is None else self._monotonic() + timeout
        while wait := claim():
            if end is not None:
                late = self._monotonic() + wait - end
                if late > _ROUNDING:
                    with self._lock:
                        self._refused += 1
                    raise RateLimited(late)
            self._sleep(min(wait, max(wait / 8, _NAP)))

    def pass_or_wait(self, reservation: Reservation) -> float:
        """Seconds until it is its turn; at 0 it is let through."""
        with self._lock:
            place = reservation.place
            if place is None:
                raise RuntimeError("the reservation was used, or given back")
            now = self._count()
            wait = self._until(place, now)
            if not wait and self._tokens < 1 - _ROUNDING:
                # It came late, with others. Line them up again; who comes
                # now gets in line behind them.
                place = max(
                    self._counter + 1 - self._tokens, self._last_late + 1
                )
                self._last_late = reservation.place = place
                self._last = max(self._last, place)
                wait = self._until(place, now)
            if wait:
                reservation.waited = True
                return wait
            reservation.place = None
            self._tokens -= 1
            self._passed += 1
            self._waited += reservation.waited
            return 0.0

    def give_back(self, reservation: Reservation) -> None:
        """Somebody else may have the place, if it was not used."""
        with self._lock:
            place, reservation.place = reservation.place, None
            if place is None:
                return
            bisect.insort(self._free, place)
            while self._free and self._free[-1] == self._last:
                self._last = self._free.pop() - 1

    def _count(self) -> float:
        """The time, with the counter and the bucket as they are then."""
        now = self._monotonic()
        if now > self._counted_at:
            more = (now - self._counted_at) * self._rate
            self._counted_at = now
            self._counter = min(self._counter + more, self._last + self.burst)
            self._tokens = min(self._tokens + more, self.burst)
        return now

    def _until(self, place: float, now: float) -> float:
        wait = max(self._counted_at - now, 0.0)
        missing = place - self._counter
        if missing > _ROUNDING:
            wait += missing / self._rate
        return max(wait, _SHORTEST) if wait else 0.0


class Reservation:
    """A place in the line of a limiter.

    Attributes:
        place: its number; None once it was used or given back.
        waited: it was not its turn when it was first asked.
    """

    __slots__ = ("_limiter", "place", "waited")

    def __init__(self, limiter: RateLimiter, place: float) -> None:
        self._limiter = limiter
        self.place: float | None = place
        self.waited = False

    def claim(self) -> float:
        """Pass, if its time has come.

        Returns:
            0 if it was let through, which it is once. Otherwise the seconds
            after which to ask again: do something else meanwhile.

        Raises:
            RuntimeError: it was used, or given back.
        """
        return self._limiter.pass_or_wait(self)

    def cancel(self) -> None:
        """Give the place back, for the next who asks.

        Of a reservation that was used nothing is left to give back.
        """
        self._limiter.give_back(self)


def positive(name: str, value: float) -> float:
    """The value.

    Raises:
        ValueError: it is no number, not above 0, or not finite.
    """
    if isinstance(value, bool | str) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value


def whole(name: str, value: int) -> int:
    """The value.

    Raises:
        ValueError: it is no whole number, or less than 1.
    """
    if type(value) is not int or value < 1:
        raise ValueError(
            f"{name} must be a whole number, at least 1, not {value!r}"
        )
    return value
