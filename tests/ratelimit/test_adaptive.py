"""A rate that is found, against stores that limit, in simulated time."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from tests.ratelimit.stores import Refusing, Swift, call_all, simulated

from parallelops import AdaptiveLimiter, RateLimited
from parallelops.ratelimit import LimiterState
from parallelops.testing import FakeClock

RATE, BURST, CALLS = 20, 5, 100
IDEAL = (CALLS - BURST) / RATE


def ran(make_store, workers, calls=CALLS, seed=0, **options):
    """All calls, by so many workers; and the limiter afterwards."""
    found = {}

    def run(runtime):
        limiter = AdaptiveLimiter(runtime=runtime, **options)
        job = call_all(runtime, limiter, make_store(runtime), calls, workers)
        found.update(job=job, limiter=limiter)

    simulated(run, seed)
    return found["job"], found["limiter"]


# -- the goals


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
@pytest.mark.parametrize("header", [None, "exact", "whole"])
@pytest.mark.parametrize("latency", [0.0, 0.02])
def test_a_store_that_refuses(workers, header, latency):
    """Nobody said at which rate: at most a quarter over the ideal time, and
    a tenth of the calls refused."""
    job, limiter = ran(
        lambda runtime: Refusing(runtime, RATE, BURST, header, latency),
        workers,
    )
    assert len(job.done) == CALLS
    assert max(job.done) <= 1.25 * IDEAL
    assert job.share_refused <= 0.1
    assert limiter.state.found
    assert 0.7 * RATE < limiter.state.rate < 1.3 * RATE


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
@pytest.mark.parametrize("max_sleep", [60.0, 5.0, 2.0])
def test_a_store_that_makes_wait(workers, max_sleep):
    """As Swift: at most a tenth over the ideal time, and nobody gives up,
    if it tries three times."""
    job, _ = ran(lambda runtime: Swift(runtime, 10, max_sleep), workers)
    assert len(job.done) == CALLS
    assert max(job.done) <= 1.1 * (CALLS - 1) / 10
    assert job.worst < 3


@pytest.mark.parametrize("header", [None, "whole"])
@pytest.mark.parametrize(("before", "after"), [(20, 5), (20, 80), (40, 10)])
def test_a_rate_that_changes(before, after, header):
    """It follows, within seconds, whether it has to be slower or may be
    faster."""
    rates = []

    def run(runtime):
        limiter = AdaptiveLimiter(runtime=runtime)
        store = Refusing(runtime, before, BURST, header)
        call_all(runtime, limiter, store, 10 * before, 8)
        store.rate = after
        began = runtime.monotonic()
        job = call_all(runtime, limiter, store, 20 * after, 8)
        late = [when for when in job.done if when > began + 8]
        rates.append((len(late) - 1) / (late[-1] - late[0]))
        assert job.share_refused <= 0.1

    simulated(run)
    assert 0.6 * after < rates[0] < 1.1 * after


def test_in_the_long_run():
    """What is lost while it finds the rate is lost once; what it looks for
    afterwards costs little."""
    job, limiter = ran(lambda runtime: Refusing(runtime, RATE, BURST), 4, 1000)
    assert max(job.done) <= 1.05 * (1000 - BURST) / RATE
    assert job.share_refused <= 0.03
    stats = limiter.stats()
    assert stats.passed == 1000 + len(job.refused)
    assert stats.throttled == len(job.refused)
    assert stats.in_flight == 0


def test_what_it_has_learned_serves_the_next_one():
    """It goes through a file, and the next run is not refused at first."""
    _, limiter = ran(lambda runtime: Refusing(runtime, 100, BURST), 4, 1000)
    kept = json.dumps(dataclasses.asdict(limiter.state))
    state = LimiterState(**json.loads(kept))
    assert state.found
    job, _ = ran(
        lambda runtime: Refusing(runtime, 100, BURST), 4, 200, state=state
    )
    assert max(job.done) <= 1.25 * 195 / 100
    assert job.share_refused <= 0.03


def test_the_number_of_calls_at_once():
    """Is never above max_in_flight, though the store could take more."""
    inside, most = [], []

    def run(runtime):
        limiter = AdaptiveLimiter(
            fastest=1000, start=1000, max_in_flight=3, runtime=runtime
        )

        class Slow:
            def call(self):
                inside.append(1)
                most.append(len(inside))
                runtime.sleep(0.1)
                inside.pop()

        call_all(runtime, limiter, Slow(), 30, 10)

    assert simulated(run) == pytest.approx(1, abs=0.02)
    assert max(most) == 3


# -- step by step, under a clock that the test moves


@pytest.fixture
def clock():
    """The clock."""
    return FakeClock()


def calls_of(limiter, number):
    """So many calls that were let through."""
    return [limiter.acquire() for _ in range(number)]


def test_refusals_of_calls_under_way_count_once(clock):
    """Ten were on their way when the rate was cut: it is cut once. One that
    was let through afterwards cuts it again."""
    limiter = AdaptiveLimiter(100, runtime=clock)
    for call in calls_of(limiter, 10):
        call.accepted()
    calls = calls_of(limiter, 10)
    calls.pop().throttled()
    rate = limiter.state.rate
    assert rate < 100
    for call in calls:
        call.throttled()
    assert limiter.state.rate == rate
    assert limiter.stats().throttled == 10
    first, second = calls_of(limiter, 2)
    first.accepted()
    second.throttled()
    assert limiter.state.rate < rate


def test_an_outage_does_not_slow_it_down_for_good(clock):
    """A store that refuses everything tells nothing of its rate: what grows
    are the pauses, at random and up to a limit."""
    limiter = AdaptiveLimiter(50, max_pause=60, runtime=clock)
    for call in calls_of(limiter, 20):
        call.accepted()
    limiter.acquire().throttled()
    rate = limiter.state.rate
    pauses = []
    for _ in range(2000):
        before = clock.monotonic()
        limiter.acquire().throttled()
        pauses.append(clock.monotonic() - before)
    assert limiter.state.rate == rate
    assert max(pauses[:3]) < 1
    late = pauses[100:]
    assert 55 < max(late) < 61
    assert min(late) < 5
    assert sum(late) / len(late) == pytest.approx(30, rel=0.1)


def test_the_store_is_obeyed(clock):
    """No call for as long as it asks, also when the word comes from a call
    of before the cut; but no longer than max_pause."""
    limiter = AdaptiveLimiter(100, max_pause=60, runtime=clock)
    first, second, third = calls_of(limiter, 3)
    first.throttled(2)
    now = clock.monotonic()
    waiting = limiter.reserve()
    assert waiting.claim() >= 2
    second.throttled(5)
    assert waiting.claim() >= 5
    limiter.acquire(timeout=10).accepted()
    assert clock.monotonic() >= now + 5
    third.throttled(math.inf)
    assert 60 <= waiting.claim() < 61


def test_a_store_that_asks_for_no_time_gets_some(clock):
    """Retry-After: 0 says nothing that would spare it."""
    limiter = AdaptiveLimiter(100, runtime=clock)
    began = clock.monotonic()
    for _ in range(30):
        limiter.acquire().throttled(0)
    assert clock.monotonic() - began > 60


def test_a_rate_that_nobody_uses_does_not_grow(clock):
    """Only one that holds calls back is tried out."""
    limiter = AdaptiveLimiter(10, runtime=clock)
    for _ in range(50):
        limiter.acquire().accepted()
        clock.advance(1)
    assert limiter.state == LimiterState(10, found=False)
    limiter.acquire()
    limiter.acquire().accepted()
    assert limiter.state.rate > 10


def test_an_idle_hour_is_no_slow_store(clock):
    """What was let through is seen over the time of the calls alone."""
    limiter = AdaptiveLimiter(
        state=LimiterState(100.0, found=True), runtime=clock
    )
    for call in calls_of(limiter, 10):
        call.accepted()
    clock.advance(3600)
    calls = calls_of(limiter, 20)
    last = calls.pop()
    for call in calls:
        call.accepted()
    last.throttled()
    assert limiter.state.rate > 75


def test_the_limits_hold(clock):
    """Never faster than the one, never slower than the other."""
    limiter = AdaptiveLimiter(5, slowest=4, fastest=6, runtime=clock)
    for call in calls_of(limiter, 100):
        call.accepted()
    assert limiter.state.rate == 6
    for _ in range(10):
        limiter.acquire().accepted()
        limiter.acquire().throttled()
    assert limiter.state.rate == 4


def test_what_a_block_says(clock):
    """Accepted at its end; an error says nothing; what was said stays."""
    limiter = AdaptiveLimiter(10, runtime=clock)
    with limiter.acquire():
        pass
    with limiter.acquire():
        pass
    rate = limiter.state.rate
    assert rate > 10
    with pytest.raises(LookupError), limiter.acquire():
        raise LookupError
    assert limiter.state.rate == rate
    with limiter.acquire() as call:
        call.throttled()
    assert limiter.stats().throttled == 1
    assert limiter.stats().in_flight == 0


def test_no_room_in_time(clock):
    """A call that ends makes room, and only once."""
    limiter = AdaptiveLimiter(10, max_in_flight=2, runtime=clock)
    first, second = limiter.acquire(), limiter.reserve()
    with pytest.raises(RateLimited) as caught:
        limiter.reserve()
    assert caught.value.retry_after == pytest.approx(0.1)
    assert limiter.stats().refused == 1
    first.accepted()
    first.accepted()
    assert limiter.stats().in_flight == 1
    third = limiter.reserve()
    second.cancel()
    with pytest.raises(RuntimeError):
        second.claim()
    assert third.claim() > 0
    third.cancel()
    assert limiter.stats().in_flight == 0


def test_a_call_that_would_be_late_leaves_nothing_behind(clock):
    """Neither a place in the line nor one in flight."""
    limiter = AdaptiveLimiter(1, max_in_flight=1, horizon=3, runtime=clock)
    limiter.acquire().accepted()
    with pytest.raises(RateLimited):
        limiter.acquire(timeout=0.5)
    clock.advance(1)
    limiter.acquire(timeout=0).accepted()
    with limiter.acquire() as call:
        call.throttled(30)
    with pytest.raises(RateLimited):
        limiter.acquire()
    assert limiter.stats().in_flight == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"start": 0},
        {"slowest": math.nan},
        {"fastest": math.inf},
        {"slowest": 2, "fastest": 1},
        {"max_in_flight": 0},
        {"max_in_flight": 2.0},
        {"max_pause": 0},
        {"horizon": -1},
        {"state": LimiterState(math.nan, found=True)},
    ],
)
def test_what_cannot_work_is_refused(bad):
    """At once, and by name."""
    name = "rate" if "state" in bad else next(iter(bad))
    with pytest.raises(ValueError, match=name):
        AdaptiveLimiter(**bad)
