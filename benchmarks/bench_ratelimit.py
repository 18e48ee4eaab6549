"""What a limiter costs that holds nobody back, and how soon one that has to
find a store's rate is done."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from pathlib import Path

import harness

from parallelops import AdaptiveLimiter, RateLimiter, ThreadRuntime

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ratelimit.stores import Refusing, call_all

CALLS = 50_000
NEVER = 1e9  # calls a second, so that nobody waits
RATE, BURST, STORE_CALLS, WORKERS = 20, 5, 100, 16
IDEAL = (STORE_CALLS - BURST) / RATE
GOAL = 1.25


class PlainBucket:
    """A token bucket under a lock, as one writes it in ten lines: who waits
    sleeps with the lock in hand."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = float(burst), time.monotonic()
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait for a token."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(
                self._tokens + (now - self._at) * self._rate, self._burst
            )
            self._at = now
            self._tokens -= 1
            if self._tokens < 0:
                time.sleep(-self._tokens / self._rate)


def microseconds(limiter: PlainBucket | RateLimiter) -> float:
    """Of one acquire that does not wait."""
    acquire = limiter.acquire
    begin = time.perf_counter()
    for _ in range(CALLS):
        acquire()
    return (time.perf_counter() - begin) / CALLS * 1e6


def adaptive_microseconds() -> float:
    """Of one call that does not wait, and is reported."""
    limiter = AdaptiveLimiter(NEVER, fastest=NEVER)
    begin = time.perf_counter()
    for _ in range(CALLS):
        with limiter.acquire():
            pass
    return (time.perf_counter() - begin) / CALLS * 1e6


def found(header: str | None) -> tuple[float, float]:
    """Times the ideal time, and the share refused; on real threads."""
    runtime = ThreadRuntime()
    store = Refusing(runtime, RATE, BURST, header, latency=0.002)
    limiter = AdaptiveLimiter(runtime=runtime)
    begin = time.monotonic()
    job = call_all(runtime, limiter, store, STORE_CALLS, WORKERS)
    return (time.monotonic() - begin) / IDEAL, job.share_refused


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=5)
    harness.report(
        [
            harness.Comparison(
                "acquire, nobody waits",
                "us",
                "a plain token bucket",
                lambda: microseconds(PlainBucket(NEVER, 1000)),
                lambda: microseconds(RateLimiter(NEVER, burst=1000)),
            ),
            harness.Comparison(
                "adaptive call, nobody waits",
                "us",
                "a plain token bucket",
                lambda: microseconds(PlainBucket(NEVER, 1000)),
                adaptive_microseconds,
            ),
        ],
        rounds,
    )
    print(
        f"\n{STORE_CALLS} calls, {WORKERS} threads, a store that refuses "
        f"above {RATE}/s: the goal is {GOAL:g} x the ideal, 10 % refused"
    )
    for header in (None, "exact", "whole"):
        runs = [found(header) for _ in range(min(rounds, 3))]
        times = [ratio for ratio, _ in runs]
        print(
            f"Retry-After {header or 'absent':<7} "
            f"{statistics.median(times):.2f} x the ideal "
            f"({min(times):.2f} to {max(times):.2f}), "
            f"{max(share for _, share in runs):.1%} refused"
        )


if __name__ == "__main__":
    main()
