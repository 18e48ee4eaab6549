"""Limiters under many schedules, preempted at each line."""

from __future__ import annotations

import os

import pytest

from parallelops import AdaptiveLimiter, RateLimited, RateLimiter
from parallelops.testing import explore

LIMITERS = [f"parallelops/ratelimit/{n}.py" for n in ("adaptive", "bucket")]
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(SCHEDULES, preempt=LIMITERS)


def assert_kept(times, rate, burst):
    """In any stretch of t seconds at most burst + rate * t calls."""
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            calls = last - first + 1
            assert calls <= burst + rate * (times[last] - begin) + 1e-5


@explored
def test_rate(sim):
    """It is kept, whoever is let through when, and none is lost."""
    limiter = RateLimiter(10, burst=2, runtime=sim.runtime)
    times = []

    def call():
        for _ in range(2):
            limiter.acquire()
            times.append(sim.runtime.monotonic())

    sim.together(call, call)
    assert_kept(times, 10, 2)
    assert len(times) == limiter.stats().passed == 4
    assert sim.runtime.monotonic() == pytest.approx(0.2, abs=1e-4)


@explored
def test_line(sim):
    """Two never have the same place, and what is given back is not lost,
    and not had by two."""
    limiter = RateLimiter(10, runtime=sim.runtime)
    limiter.acquire()
    places = []

    def reserve():
        first, second = limiter.reserve(), limiter.reserve()
        first.cancel()
        places.append(second)
        places.append(limiter.reserve())

    sim.together(reserve, reserve)
    waits = sorted(place.claim() for place in places)
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.4])


@explored
def test_late(sim):
    """Of those who all come late, as after the process was stopped, one
    burst is let through, and the others one after the other."""
    limiter = RateLimiter(10, burst=2, runtime=sim.runtime)
    places = [limiter.reserve() for _ in range(4)]
    sim.runtime.sleep(10)
    waits = []
    sim.together(*[lambda p=p: waits.append(p.claim()) for p in places])
    assert sorted(waits) == pytest.approx([0, 0, 0.1, 0.2])


@explored
def test_timeouts(sim):
    """Who gives up takes nothing from the others."""
    limiter = RateLimiter(20, runtime=sim.runtime)
    outcomes = []

    def call():
        try:
            limiter.acquire(timeout=0.06)
        except RateLimited:
            outcomes.append("refused")
        else:
            outcomes.append("passed")

    sim.together(*[call] * 4)
    assert sorted(outcomes) == ["passed"] * 2 + ["refused"] * 2
    stats = limiter.stats()
    assert (stats.passed, stats.refused) == (2, 2)
    assert limiter.reserve().claim() == pytest.approx(0.05)


@explored
def test_change_and_pause(sim):
    """Nobody is let through in a pause; a change loses nobody."""
    limiter = RateLimiter(10, runtime=sim.runtime)
    times, paused = [], []

    def call():
        limiter.acquire()
        times.append(sim.runtime.monotonic())

    def interfere():
        sim.runtime.sleep(0.05)
        limiter.pause(0.1)
        paused.append(sim.runtime.monotonic())
        limiter.change(100)

    sim.together(call, call, interfere)
    (begin,) = paused
    assert not [when for when in times if begin < when < begin + 0.1]
    assert len(times) == 2
    assert sim.runtime.monotonic() < 0.2


@explored
def test_in_flight(sim):
    """There are never more calls than may be, nobody is forgotten, and no
    time is lost."""
    limiter = AdaptiveLimiter(
        1e4, max_in_flight=2, runtime=sim.runtime, fastest=1e4
    )
    inside, most = [], []

    def call():
        with limiter.acquire():
            inside.append(1)
            most.append(len(inside))
            sim.runtime.sleep(1)
            inside.pop()

    sim.together(*[call] * 3)
    assert max(most) == 2
    assert limiter.stats().in_flight == 0
    assert sim.runtime.monotonic() == pytest.approx(2, abs=0.01)


@explored
def test_in_flight_in_time(sim):
    """Who waits in vain for another to end is told, and costs no place."""
    limiter = AdaptiveLimiter(1e4, max_in_flight=1, runtime=sim.runtime)
    outcomes = []

    def call():
        try:
            with limiter.acquire(timeout=1):
                sim.runtime.sleep(1)
        except RateLimited:
            outcomes.append("refused")
        else:
            outcomes.append("passed")

    sim.together(call, call, call)
    assert len(outcomes) == 3
    assert 1 <= outcomes.count("passed") <= 2
    limiter.acquire(timeout=0).cancel()
    assert limiter.stats().in_flight == 0


@explored
def test_refusals_at_once(sim):
    """Of many that were under way one cuts the rate, and once, whatever is
    accepted meanwhile."""
    limiter = AdaptiveLimiter(100, runtime=sim.runtime)
    calls = [limiter.acquire() for _ in range(3)]
    sim.together(calls[0].throttled, calls[1].throttled, calls[2].accepted)
    stats = limiter.stats()
    assert stats.throttled == 2
    assert stats.in_flight == 0
    assert limiter.state.rate >= 40


@explored
def test_one_end(sim):
    """What is said of a call twice counts once."""
    limiter = AdaptiveLimiter(100, max_in_flight=2, runtime=sim.runtime)
    call = limiter.acquire()
    sim.together(call.throttled, call.accepted, call.cancel)
    stats = limiter.stats()
    assert stats.in_flight == 0
    assert stats.throttled <= 1


@explored
def test_a_store_that_refuses(sim):
    """All is done in the end, and nothing is called in a pause that the
    store asked for."""
    limiter = AdaptiveLimiter(100, max_in_flight=2, runtime=sim.runtime)
    left = [True, True, False]
    quiet = [0.0]

    def work():
        while left:
            with limiter.acquire() as call:
                now = sim.runtime.monotonic()
                # One may have been let through before the other was refused.
                assert now >= quiet[0] or call.epoch < len(quiet) - 1
                sim.runtime.sleep(0.01)
                if left and left.pop(0):
                    call.throttled(0.1)
                    quiet.append(sim.runtime.monotonic() + 0.1)
                    quiet[0] = quiet[-1]

    sim.together(work, work)
    assert limiter.stats().in_flight == 0
    assert limiter.stats().throttled == 2
