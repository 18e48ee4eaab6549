"""Stores that limit their callers, and who calls them."""

from __future__ import annotations

import dataclasses
import math

from parallelops.testing.schedules import RandomWalk
from parallelops.testing.simulation import Simulation


@dataclasses.dataclass(frozen=True)
class Refusal(Exception):
    """The store says "slow down"."""

    retry_after: float | None


class Refusing:
    """A token bucket: 429 when it is empty.

    Args:
        header: None, "exact", or "whole" seconds, as the RFC has it.
    """

    def __init__(self, runtime, rate, burst, header=None, latency=0.0):
        self.rate, self.burst, self.header = rate, burst, header
        self._runtime, self._latency = runtime, latency
        self._tokens, self._at = float(burst), runtime.monotonic()
        self._lock = runtime.lock()

    def call(self):
        self._runtime.sleep(self._latency / 2)
        with self._lock:
            now = self._runtime.monotonic()
            more = (now - self._at) * self.rate
            self._tokens = min(self._tokens + more, self.burst)
            self._at = now
            passed = self._tokens >= 1 - 1e-9
            if passed:
                self._tokens -= 1
            missing = (1 - self._tokens) / self.rate
        self._runtime.sleep(self._latency / 2)
        if not passed:
            raise Refusal(
                {None: None, "exact": missing}.get(
                    self.header, math.ceil(missing)
                )
            )


class Swift:
    """Swift's middleware ``ratelimit``: it sleeps, or answers 498, without
    Retry-After, when it would have to sleep for longer than it may.

    As in swift/common/middleware/ratelimit.py, ``_get_sleep_time``, with its
    counter in memcached that runs ahead of the clock.
    """

    def __init__(self, runtime, rate, max_sleep=60.0, buffer=5.0, latency=0.0):
        self._runtime, self._latency = runtime, latency
        self._each = round(1000 / rate)
        self._max_sleep, self._buffer = max_sleep * 1000, buffer * 1000
        self._running = 0

    def call(self):
        self._runtime.sleep(self._latency)
        now = round(self._runtime.time() * 1000)
        self._running += self._each
        sleep = 0
        if now - self._running > self._buffer:
            self._running = now + self._each
        else:
            sleep = max(self._running - now - self._each, 0)
        if self._max_sleep - sleep <= 10:
            self._running -= self._each
            raise Refusal(None)
        self._runtime.sleep(sleep / 1000)


@dataclasses.dataclass
class Job:
    """What a run of many calls came to."""

    done: list[float] = dataclasses.field(default_factory=list)
    refused: list[float] = dataclasses.field(default_factory=list)
    worst: int = 0

    @property
    def share_refused(self):
        return len(self.refused) / (len(self.done) + len(self.refused))


def simulated(function, seed=0):
    """Run ``function(runtime)`` in simulated time."""
    simulation = Simulation(RandomWalk(seed), seed, max_steps=10**7)
    simulation.run(lambda: function(simulation.runtime))
    return simulation.now


def call_all(runtime, limiter, store, calls, workers):
    """Make so many calls, each for as long as it is refused."""
    left = list(range(calls))
    job = Job()

    def work():
        while left:
            left.pop()
            tries = 0
            while True:
                with limiter.acquire() as call:
                    try:
                        store.call()
                    except Refusal as refusal:
                        call.throttled(refusal.retry_after)
                        job.refused.append(runtime.monotonic())
                        tries += 1
                        job.worst = max(job.worst, tries)
                        continue
                    job.done.append(runtime.monotonic())
                    break

    handles = [runtime.spawn(work, name=f"w{n}") for n in range(workers)]
    for handle in handles:
        handle.join()
    return job
