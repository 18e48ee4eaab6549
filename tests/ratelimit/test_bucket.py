"""A rate that is known, under a clock that the test moves."""

from __future__ import annotations

import collections
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parallelops import ParallelopsError, RateLimited, RateLimiter
from parallelops.testing import FakeClock

ALMOST = 1e-5  # of a call, for rounding


def assert_kept(times, rate, burst):
    """In any stretch of t seconds at most burst + rate * t calls."""
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            calls = last - first + 1
            assert calls <= burst + rate * (times[last] - begin) + ALMOST


@pytest.fixture
def clock():
    """The clock."""
    return FakeClock()


def test_a_burst_and_then_evenly(clock):
    """As many at once as the burst, and then one after the other."""
    limiter = RateLimiter(10, burst=3, runtime=clock)
    times = []
    for _ in range(6):
        limiter.acquire()
        times.append(clock.monotonic())
    assert times == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])
    stats = limiter.stats()
    assert (stats.rate, stats.passed, stats.waited) == (10, 6, 3)


def test_per(clock):
    """A rate may be of a minute."""
    limiter = RateLimiter(30, per=60, runtime=clock)
    assert limiter.rate == 0.5
    limiter.acquire()
    limiter.acquire()
    assert clock.monotonic() == pytest.approx(2)


def test_the_burst_comes_back_and_no_more(clock):
    """An hour without a call is worth one burst."""
    limiter = RateLimiter(10, burst=3, runtime=clock)
    clock.advance(3600)
    for _ in range(4):
        limiter.acquire()
    assert clock.monotonic() == pytest.approx(3600.1)


def test_what_would_be_late_is_refused_at_once(clock):
    """The error says when to try again, and no place is taken."""
    limiter = RateLimiter(10, runtime=clock)
    limiter.acquire()
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            limiter.acquire(timeout=0)
        assert caught.value.retry_after == pytest.approx(0.1)
    assert clock.monotonic() == 0
    assert "in 0.1 s" in str(caught.value)
    assert isinstance(caught.value, ParallelopsError)
    assert isinstance(caught.value, TimeoutError)
    clock.advance(caught.value.retry_after)
    limiter.acquire(timeout=0)
    limiter.acquire(timeout=0.1)
    with pytest.raises(RateLimited) as caught:
        limiter.acquire(timeout=0.04)
    assert caught.value.retry_after == pytest.approx(0.06)
    assert limiter.stats().refused == 6


def test_a_line_has_an_end(clock):
    """No place is handed out beyond the horizon."""
    limiter = RateLimiter(10, horizon=2, runtime=clock)
    for _ in range(21):
        limiter.reserve()
    with pytest.raises(RateLimited) as caught:
        limiter.reserve()
    assert caught.value.retry_after == pytest.approx(0.1)


def test_a_reservation_says_when_to_come_back(clock):
    """Nobody waits; who comes too early is told again."""
    limiter = RateLimiter(10, runtime=clock)
    first, second = limiter.reserve(), limiter.reserve()
    assert second.claim() == pytest.approx(0.1)
    assert first.claim() == 0
    clock.advance(0.06)
    assert second.claim() == pytest.approx(0.04)
    clock.advance(0.04)
    assert second.claim() == 0
    for used in (first, second):
        with pytest.raises(RuntimeError, match="used"):
            used.claim()
        used.cancel()
    assert limiter.reserve().claim() == pytest.approx(0.1)


def test_places_that_are_given_back_are_used(clock):
    """The next who asks gets the first of them; those in line keep theirs.
    When all are given back there is no line."""
    limiter = RateLimiter(10, runtime=clock)
    limiter.acquire()
    places = [limiter.reserve() for _ in range(4)]
    places[1].cancel()
    places[1].cancel()
    places[0].cancel()
    newcomer = limiter.reserve()
    assert newcomer.claim() == pytest.approx(0.1)
    assert limiter.reserve().claim() == pytest.approx(0.2)
    assert places[2].claim() == pytest.approx(0.3)
    fresh = RateLimiter(10, runtime=clock)
    fresh.acquire()
    places = [fresh.reserve() for _ in range(4)]
    for index in (1, 3, 0, 2):
        places[index].cancel()
    clock.advance(0.1)
    assert fresh.reserve().claim() == 0


def test_nobody_waits_for_who_does_not_come(clock):
    """A place that its owner forgot costs one call, and no more."""
    limiter = RateLimiter(10, runtime=clock)
    for _ in range(5):
        limiter.reserve()
    limiter.acquire()
    assert clock.monotonic() == pytest.approx(0.5)
    limiter.acquire()
    assert clock.monotonic() == pytest.approx(0.6)


def test_a_stopped_process_lets_one_burst_through(clock):
    """All who waited come at once, late, and are lined up again; who comes
    after them is behind them."""
    limiter = RateLimiter(10, burst=5, runtime=clock)
    places = [limiter.reserve() for _ in range(64)]
    clock.advance(3600)
    waits = [place.claim() for place in places]
    assert waits[:5] == [0] * 5
    assert waits[5:] == pytest.approx([n / 10 for n in range(1, 60)])
    assert limiter.reserve().claim() == pytest.approx(6)


def test_the_wall_clock_may_jump():
    """Nobody looks at it."""

    class Jumping(FakeClock):
        def time(self):
            raise AssertionError("somebody looked at the wall clock")

    clock = Jumping()
    limiter = RateLimiter(10, runtime=clock)
    for _ in range(3):
        limiter.acquire()
    assert clock.monotonic() == pytest.approx(0.2)


def test_a_new_rate_holds_for_those_in_line(clock):
    """Slower or faster, from now on; what has been waited counts."""
    limiter = RateLimiter(10, runtime=clock)
    limiter.acquire()
    places = [limiter.reserve() for _ in range(3)]
    clock.advance(0.05)
    limiter.change(1)
    assert places[0].claim() == pytest.approx(0.5)
    assert places[2].claim() == pytest.approx(2.5)
    limiter.change(100)
    assert places[2].claim() == pytest.approx(0.025)


def test_a_sleeper_sees_that_the_rate_has_grown(clock):
    """It does not sleep on as it would have had to."""
    limiter = RateLimiter(0.01, runtime=clock)
    limiter.acquire()
    sleep = clock.sleep

    def and_faster(seconds):
        limiter.change(100)
        sleep(seconds)

    limiter._sleep = and_faster
    limiter.acquire()
    assert clock.monotonic() < 20


def test_who_would_be_late_after_all_is_told(clock):
    """The rate fell while it waited; its place is given back."""
    limiter = RateLimiter(10, runtime=clock)
    limiter.acquire()
    sleep = clock.sleep

    def and_slower(seconds):
        limiter.change(0.1)
        sleep(seconds)

    limiter._sleep = and_slower
    with pytest.raises(RateLimited) as caught:
        limiter.acquire(timeout=0.5)
    assert 4 < caught.value.retry_after < 10
    assert limiter._last == 1


def test_nothing_passes_in_a_pause(clock):
    """Neither a burst nor who is in line."""
    limiter = RateLimiter(10, burst=5, runtime=clock)
    limiter.pause(3)
    limiter.pause(1)
    assert limiter.reserve().claim() == pytest.approx(3)
    clock.advance(2)
    place = limiter.reserve()
    assert place.claim() == pytest.approx(1)
    clock.advance(1)
    assert place.claim() == 0


def test_an_interrupted_wait_gives_its_place_back(clock):
    """Ctrl-C in the sleep."""
    limiter = RateLimiter(10, runtime=clock)
    limiter.acquire()

    def interrupted(_):
        raise KeyboardInterrupt

    limiter._sleep = interrupted
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    assert limiter.reserve().claim() == pytest.approx(0.1)


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": math.nan},
        {"rate": math.inf},
        {"rate": True},
        {"rate": "10"},
        {"rate": 1, "per": 0},
        {"rate": 1e-300, "per": 1e300},
        {"rate": 1, "burst": 0},
        {"rate": 1, "burst": 1.5},
        {"rate": 1, "burst": True},
        {"rate": 1, "horizon": math.inf},
    ],
)
def test_what_cannot_work_is_refused(bad):
    """At once, and by name."""
    with pytest.raises(ValueError, match="must be a"):
        RateLimiter(**bad)


def test_a_new_rate_is_looked_at_too():
    """It would be too late when somebody waits."""
    with pytest.raises(ValueError, match="rate"):
        RateLimiter(1).change(math.nan)


ACTIONS = st.one_of(
    st.tuples(st.just("reserve"), st.just(0)),
    st.tuples(st.just("claim"), st.integers(0, 30)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("advance"), st.floats(0, 3)),
)


@settings(deadline=None)
@given(
    st.floats(0.1, 1000),
    st.integers(1, 5),
    st.lists(ACTIONS, max_size=60),
)
@example(10.0, 1, [("reserve", 0)] * 9 + [("advance", 3.0)])
def test_never_faster_than_the_rate(rate, burst, actions):
    """Whoever comes late, early, or never; and in the end all get through,
    each when it was told."""
    clock = FakeClock()
    limiter = RateLimiter(rate, burst=burst, runtime=clock)
    places, times = [], []

    def claim(place):
        wait = place.claim()
        if not wait:
            times.append(clock.monotonic())
        return wait

    for action, value in actions:
        if action == "advance":
            clock.advance(value)
        elif action == "reserve":
            places.append(limiter.reserve())
        elif value < len(places):
            place = places.pop(value)
            if action == "cancel":
                place.cancel()
            elif claim(place):
                places.insert(value, place)
    rounds = 0
    while places:
        waits = [(claim(place), n) for n, place in enumerate(places)]
        places = [places[n] for wait, n in waits if wait]
        if places:
            clock.advance(min(wait for wait, _ in waits if wait))
        rounds += 1
        assert rounds < 200, "it has no end"
    assert_kept(times, rate, burst)
    assert limiter.stats().passed == len(times)


@settings(deadline=None)
@given(
    st.floats(0.1, 1000),
    st.integers(1, 5),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=40),
)
def test_first_come_first_served(rate, burst, gaps):
    """Who comes when it was told is let through, in order, and as early as
    the rate allows."""
    clock = FakeClock()
    limiter = RateLimiter(rate, burst=burst, horizon=1e6, runtime=clock)
    line = collections.deque()

    def pass_until(end):
        while line and line[0][0] <= end:
            when, place = line.popleft()
            clock.advance(max(when - clock.monotonic(), 0))
            assert place.claim() < ALMOST
        if end < math.inf:
            clock.advance(max(end - clock.monotonic(), 0))

    arrival, tokens = 0.0, float(burst)
    for gap in gaps:
        arrival += gap
        tokens = min(tokens + gap * rate, burst) - 1
        pass_until(arrival)
        place = limiter.reserve()
        wait = place.claim()
        assert wait == pytest.approx(max(-tokens / rate, 0), abs=1e-4)
        if wait:
            line.append((arrival + wait, place))
    pass_until(math.inf)
