"""Rate limits: how fast calls may follow one another.

- :class:`RateLimiter` keeps to a rate that is known.
- :class:`AdaptiveLimiter` finds the rate of a store that says "slow down".
- :func:`retry_after` reads when the store wants to be asked again.
"""

from __future__ import annotations

from parallelops.ratelimit.adaptive import AdaptiveLimiter, LimiterState
from parallelops.ratelimit.bucket import (
    LimiterStats,
    RateLimiter,
    Reservation,
)
from parallelops.ratelimit.call import Call
from parallelops.ratelimit.header import retry_after

__all__ = [
    "AdaptiveLimiter",
    "Call",
    "LimiterState",
    "LimiterStats",
    "RateLimiter",
    "Reservation",
    "retry_after",
]
