"""What a node measures, the order that comes of it, and the file."""

from __future__ import annotations

import itertools
import json
import logging
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.images.clocks import StillRuntime

from parallelops.errors import (
    DataMismatch,
    DestinationError,
    FetchCancelled,
    StoreError,
)
from parallelops.images import LocationEntry, LocationMetrics
from parallelops.images.bandit import Arm, indices
from parallelops.images.source import source_of

MIB = 1024 * 1024
A, B, C = (LocationEntry(url=f"http://host{n}/image") for n in "abc")


@pytest.fixture
def runtime():
    """A clock that stands still."""
    return StillRuntime()


def metrics_of(runtime, *args, **options):
    """Metrics with that clock."""
    return LocationMetrics(*args, runtime=runtime, **options)


def measure(metrics, location, speed, *, times=1):
    """Record that so many MiB came a second."""
    for _ in range(times):
        metrics.record(location, size=64 * MIB, seconds=64 / speed)


# -- names of sources


@pytest.mark.parametrize(
    ("url", "store", "source"),
    [
        ("http://Host:80/image/1?sig=x", "fast", "fast http://host:80"),
        ("https://host/image#x", None, "https://host"),
        ("https://user:hunter2@host?x=hunter2", None, "https://host"),
        ("swift+https://a:b:hunter2@host/x", None, "swift+https://host"),
        ("s3://key:hunter2/hunter2@host/x", None, "s3://"),
        ("http://[::1]:80/x", None, "http://[::1]:80"),
        ("http://host:hunter2/x", None, "http://"),
        ("file:///srv/images/secret", "local", "local file://"),
        ("rbd://cluster/pool/image/snap", None, "rbd://"),
        ("cinder://volume-of-a-user", None, "cinder://"),
        ("hunter2", None, "other://"),
        ("http://host", "a\nb", "a%0Ab http://host"),
    ],
)
def test_the_name_of_a_source_says_nothing_of_images(url, store, source):
    """Nor of users, and it has no secrets."""
    metadata = {"store": store} if store else {}
    name = source_of(LocationEntry(url=url, metadata=metadata))
    assert name == source
    assert "hunter2" not in name


@settings(deadline=None)
@given(st.text(max_size=30), st.text("/?#@:é ", max_size=6))
@example("a:b", "@")
def test_no_path_is_in_the_name(host, marks):
    """Whatever the URL is: what follows the host is not there."""
    url = f"http://{host}/{marks}hunter2"
    entry = LocationEntry.__new__(LocationEntry)
    for name, value in (("url", url), ("metadata", {})):
        object.__setattr__(entry, name, value)
    assert "hunter2" not in source_of(entry)


# -- statistics


def test_statistics_decay(runtime):
    """What is a half-life old counts for half."""
    metrics = metrics_of(runtime, half_life=100)
    measure(metrics, A, 10)
    metrics.record(A, failed=True)
    (found,) = metrics.statistics().values()
    assert found.throughput == pytest.approx(10 * MIB)
    assert (found.error_rate, found.weight) == (0.5, 2)
    assert found.first_byte is None
    runtime.now = 100
    metrics.record(A, size=64 * MIB, seconds=4, first_byte=0.8)
    (found,) = metrics.statistics().values()
    assert found.weight == 2
    assert found.error_rate == 0.25
    assert found.throughput == pytest.approx((10 + 2 * 16) / 3 * MIB)
    assert found.first_byte == 0.8


def test_small_and_large_reads_compare(runtime):
    """The time to the first byte counts once, whatever the size."""
    metrics = metrics_of(runtime)
    metrics.record(A, size=MIB, seconds=1.1, first_byte=1.0)
    metrics.record(B, size=640 * MIB, seconds=65.0, first_byte=1.0)
    one, other = metrics.statistics().values()
    assert one.throughput == pytest.approx(other.throughput)


def test_a_use_is_measured_by_the_clock(runtime):
    """From begin to end, or to where it said that it was done."""
    metrics = metrics_of(runtime)
    with metrics.measure(A) as measurement:
        runtime.now += 1
        measurement.first_byte_came()
        runtime.now += 1
        measurement.first_byte_came()
        measurement.finish(64 * MIB)
        runtime.now += 1000
    (found,) = metrics.statistics().values()
    assert found.first_byte == 1
    assert found.throughput == pytest.approx(32 * MIB)


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (DataMismatch("digest", "a", "b"), True),
        (StoreError("no"), True),
        (TimeoutError(), True),
        (DestinationError("/a", "full"), False),
        (FetchCancelled("no"), False),
        (KeyError("a bug"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_is_not_the_fault_of_a_location_is_not_recorded(
    runtime, error, recorded
):
    """A full disk here, or a bug, says nothing of it."""
    metrics = metrics_of(runtime)
    with pytest.raises(type(error)), metrics.measure(A):
        raise error
    assert bool(metrics.statistics()) == recorded
    with metrics.measure(B):
        pass  # nothing came, and nothing failed
    assert source_of(B) not in metrics.statistics()


@pytest.mark.parametrize(
    "bad",
    [
        {"window": 0},
        {"half_life": 0},
        {"half_life": math.inf},
        {"reference_size": 0},
        {"max_sources": 0},
        {"save_interval": math.nan},
    ],
)
def test_options_are_checked(bad):
    """The error names the option."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        LocationMetrics(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"size": 0, "seconds": 1},
        {"size": 1, "seconds": 0},
        {"size": 1, "seconds": math.inf},
        {"size": 1, "seconds": 1, "first_byte": -1},
    ],
)
def test_measurements_are_checked(runtime, bad):
    """A number that says nothing is not taken, and a small one is."""
    metrics = metrics_of(runtime)
    with pytest.raises(ValueError):
        metrics.record(A, **bad)
    metrics.record(A, size=1, seconds=1e-9)


def test_the_number_of_sources_is_bounded(runtime):
    """Those last used are kept, and those in use."""
    metrics = metrics_of(runtime, max_sources=2)
    measure(metrics, A, 1)
    measure(metrics, B, 1)
    measure(metrics, A, 1)
    measure(metrics, C, 1)
    assert set(metrics.statistics()) == {source_of(A), source_of(C)}
    with metrics.measure(A), metrics.measure(C):
        measure(metrics, B, 1)
        assert len(metrics.statistics()) == 3
    measure(metrics, B, 1)
    measure(metrics, A, 1)


# -- the order


def test_the_fastest_is_first_and_none_is_left_out(runtime):
    """Once there is enough to tell them apart."""
    metrics = metrics_of(runtime)
    for location, speed in ((A, 10), (B, 100), (C, 50)):
        measure(metrics, location, speed, times=50)
    assert metrics.order([A, B, C]) == [B, C, A]
    assert metrics.order([]) == []
    assert metrics.order([A]) == [A]


def test_locations_of_one_source_keep_their_order(runtime):
    """Nothing is known that would tell them apart."""
    metrics = metrics_of(runtime)
    measure(metrics, B, 1)
    same = [LocationEntry(url=f"http://hosta/{n}") for n in range(5)]
    ordered = metrics.order([same[0], B, *same[1:]])
    assert [each for each in ordered if each != B] == same


def test_what_is_in_use_is_not_tried_by_everybody(runtime):
    """Of two that nobody knows, the second is for the second reader."""
    metrics = metrics_of(runtime)
    first = metrics.order([A, B])[0]
    with metrics.measure(first):
        assert metrics.order([A, B])[0] != first


def test_one_that_only_fails_is_asked_less_and_less(runtime):
    """But never given up, and back at once when it works again."""
    metrics = metrics_of(runtime)
    measure(metrics, B, 10, times=20)
    tried = []
    while runtime.now < 1700:
        if metrics.order([A, B])[0] is A:
            tried.append(runtime.now)
            metrics.record(A, failed=True)
        else:
            measure(metrics, B, 10)
            runtime.now += 2
    pauses = [b - a for a, b in itertools.pairwise(tried)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 64]
    assert 600 <= max(pauses) <= 602
    runtime.now = tried[-1] + 602
    assert metrics.order([A, B])[0] is A
    measure(metrics, A, 100)
    assert metrics.order([A, B])[0] is A


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.builds(Arm, st.floats(0, 1), st.floats(0, 1e4), st.integers(0, 50)),
        max_size=6,
    )
)
def test_the_index_of_a_bandit(arms):
    """It is never below the mean, infinite only for what was never used,
    and one that had more than its share has no bonus."""
    found = indices(arms)
    share = sum(a.count + a.pending for a in arms) / max(len(arms), 1)
    for arm, index in zip(arms, found, strict=True):
        used = arm.count + arm.pending
        if not used:
            assert index == math.inf
        else:
            assert index >= (arm.reward if arm.count else 1.0)
            if arm.count and used > share:
                assert index == arm.reward


# -- a simulation: against the best fixed choice in hindsight

ROUNDS = 1000
STATIONARY = [lambda t: (100, 0), lambda t: (50, 0), lambda t: (80, 0)]
SCENARIOS = {
    "stationary": [*STATIONARY, lambda t: (10, 0)],
    "stationary, nearly equal": [
        lambda t: (100, 0),
        lambda t: (90, 0),
        lambda t: (95, 0),
    ],
    "drifting, and the best one stays": [
        lambda t: (100 - 40 * t, 0),
        lambda t: (20 + 30 * t, 0),
        lambda t: (40, 0),
    ],
    "drifting, and the best one changes": [
        lambda t: (100 - 80 * t, 0),
        lambda t: (20 + 80 * t, 0),
        lambda t: (50, 0),
    ],
    "switching late": [
        lambda t: (100 if t < 0.8 else 10, 0),
        lambda t: (10 if t < 0.7 else 100, 0),
        lambda t: (30, 0),
    ],
    "failing for good": [
        lambda t: (100, 0 if t < 0.5 else 1),
        lambda t: (60, 0),
        lambda t: (30, 0),
    ],
    "failing for a while": [
        lambda t: (100, 1 if 0.3 < t < 0.5 else 0),
        lambda t: (60, 0.02),
        lambda t: (30, 0),
    ],
    "failing now and then": [
        lambda t: (100, 0.1),
        lambda t: (60, 0),
        lambda t: (100, 0.3),
    ],
}


def regret(scenario, seed):
    """What it gained, as a share of the best fixed choice in hindsight.

    The gain of a read is its speed, as a share of the fastest there is; a
    failure gains nothing, and takes ten seconds.
    """
    runtime = StillRuntime(seed)
    chance = random.Random(seed + 1000)
    metrics = LocationMetrics(runtime=runtime)
    locations = [LocationEntry(url=f"http://h{n}/") for n in range(9)]
    locations = locations[: len(scenario)]
    gained, fixed = 0.0, [0.0] * len(scenario)
    chosen = [0] * len(scenario)
    for number in range(ROUNDS):
        speeds = []
        for source in scenario:
            speed, failures = source(number / ROUNDS)
            noise = chance.lognormvariate(0, 0.3)
            fails = chance.random() < failures
            speeds.append(0.0 if fails else speed * noise)
        pick = locations.index(metrics.order(locations)[0])
        chosen[pick] += 1
        gained += min(speeds[pick] / 100, 1)
        for n, speed in enumerate(speeds):
            fixed[n] += min(speed / 100, 1)
        if speeds[pick]:
            seconds = 64 / speeds[pick]
            runtime.now += seconds
            metrics.record(locations[pick], size=64 * MIB, seconds=seconds)
        else:
            runtime.now += 10
            metrics.record(locations[pick], failed=True)
    return gained / max(fixed), chosen


@pytest.mark.once
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_gains_nine_tenths_of_the_best_fixed_choice(name):
    """In hindsight; and no source is starved."""
    for seed in range(2):
        share, chosen = regret(SCENARIOS[name], seed)
        assert min(chosen) >= 3
        assert share >= 0.9


# -- the file


def test_the_file_keeps_what_was_measured(runtime, tmp_path):
    """Another process knows it, and how old it is."""
    path = tmp_path / "metrics.json"
    metrics = metrics_of(runtime, path, half_life=100)
    measure(metrics, A, 10, times=3)
    runtime.now += 100
    metrics.record(B, failed=True)
    metrics.save()
    assert path.stat().st_mode & 0o777 == 0o600
    later = StillRuntime()
    later.now = 200.0
    again = metrics_of(later, path, half_life=100)
    found = again.statistics()
    assert found[source_of(A)].weight == pytest.approx(3 / 4)
    assert found[source_of(A)].throughput == pytest.approx(10 * MIB)
    assert found[source_of(B)].error_rate == 1
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_it_is_written_now_and_then(runtime, tmp_path):
    """Whoever kills the process loses a minute at the most."""
    path = tmp_path / "metrics.json"
    metrics = metrics_of(runtime, path)
    measure(metrics, A, 10)
    assert not path.exists()
    runtime.now += 61
    measure(metrics, A, 10)
    assert len(json.loads(path.read_text())["sources"]["http://hosta"]) == 2


@settings(deadline=None)
@given(st.text(max_size=20), st.text(min_size=1, max_size=9))
def test_any_name_of_a_source_is_read_again(tmp_path_factory, host, store):
    """No store or host makes a file that would count as damaged."""
    path = tmp_path_factory.mktemp("metrics") / "file"
    entry = LocationEntry.__new__(LocationEntry)
    object.__setattr__(entry, "url", f"http://{host}")
    object.__setattr__(entry, "metadata", {"store": store})
    metrics = LocationMetrics(path)
    metrics.record(entry, failed=True)
    metrics.save()
    assert list(LocationMetrics(path).statistics()) == [source_of(entry)]


GOOD = {"version": 1, "saved": 1.0, "sources": {"a": [[0, 1, None]]}}
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    json.dumps(GOOD)[:-5].encode(),
    *(
        json.dumps(GOOD | change).encode()
        for change in (
            {"version": 2},
            {"saved": "now"},
            {"saved": math.nan},
            {"sources": []},
            {"sources": {"a": 1}},
            {"sources": {"a": [[1, 2]]}},
            {"sources": {"a": [[-1, 2, None]]}},
            {"sources": {"a": [[1, True, None]]}},
            {"sources": {"a": [[1, 10**400, None]]}},
            {"sources": {"a\n": [[1, 2, None]]}},
            {"sources": {"a" * 999: [[1, 2, None]]}},
        )
    ),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_put_aside_and_said(
    runtime, tmp_path, caplog, content
):
    """It is never fatal, and it is not lost either."""
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    metrics = metrics_of(runtime, path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "metrics.json is damaged" in record.getMessage()
    assert (tmp_path / "metrics.json.damaged").read_bytes() == content
    measure(metrics, A, 1)
    metrics.save()
    assert metrics_of(runtime, path).statistics()


def test_a_file_that_cannot_be_read_or_written_is_said(
    runtime, tmp_path, caplog
):
    """And nothing else goes wrong."""
    metrics = metrics_of(runtime, tmp_path)  # a directory
    measure(metrics, A, 1)
    metrics.save()
    assert "cannot read" in caplog.text
    caplog.clear()
    metrics = metrics_of(runtime, tmp_path / "missing" / "file")
    measure(metrics, A, 1)
    metrics.save()
    assert "cannot write" in caplog.text
    assert metrics.statistics()


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_content_is_fatal(tmp_path_factory, content):
    """Whatever somebody wrote there."""
    path = tmp_path_factory.mktemp("metrics") / "file"
    path.write_bytes(content)
    assert not LocationMetrics(path).statistics()
