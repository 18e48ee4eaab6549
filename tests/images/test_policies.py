"""How stores are treated: limits, verdicts, doubts, and hangs. In virtual
time, so that a minute costs nothing."""

from __future__ import annotations

import pytest
from tests.images.simulated import Bucket, Store, names, scrub

from parallelops import AdaptiveLimiter, RateLimiter, load_executor
from parallelops.errors import (
    ImageDataNotFound,
    LocationBlocked,
    StoreBusy,
    StoreUnavailable,
)
from parallelops.events import (
    DeleteTried,
    ScrubEnded,
    StoreClosed,
    StoreThrottled,
)
from parallelops.images import (
    Kind,
    Outcome,
    Scrubber,
    StorePolicy,
    Verdict,
)
from parallelops.testing import MemoryCatalog, explore

# The scenarios that look for races are in tests/explored.
simulated = explore(2)


@simulated
def test_a_rate_is_kept_and_holds_no_worker(sim):
    """However many workers there are; another store is not slowed down."""
    urls = names("a", 20) + names("b", 20)
    stores = {
        "a": Store(sim.runtime, urls),
        "b": Store(sim.runtime, urls, lambda url: sim.runtime.sleep(0.01)),
    }
    _, report = scrub(
        sim,
        stores,
        urls,
        workers=2,
        policy={
            "a": StorePolicy(limiter=RateLimiter(10, runtime=sim.runtime))
        },
    )
    assert report.ok
    slow, fast = stores["a"].times, stores["b"].times
    assert slow[-1] - slow[0] >= 1.9 - 1e-3
    assert report.seconds < 2.1
    assert fast[-1] < 0.3


@simulated
def test_one_limiter_for_all(sim):
    """As the argument has it: the stores share the rate."""
    urls = names("a", 5) + names("b", 5)
    stores = {name: Store(sim.runtime, urls) for name in "ab"}
    limiter = RateLimiter(10, runtime=sim.runtime)
    _, report = scrub(sim, stores, urls, limiter=limiter)
    assert report.ok
    assert 0.9 - 1e-3 <= report.seconds < 1.2
    assert limiter.stats().passed == 10


@simulated
def test_max_in_flight(sim):
    """No more at once, whatever is free."""
    urls = names("a", 12)
    store = Store(sim.runtime, urls, lambda url: sim.runtime.sleep(1))
    _, report = scrub(sim, store, urls, policy=StorePolicy(max_in_flight=3))
    assert report.ok
    assert store.most == 3
    assert report.seconds == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("workers", [1, 16, 64])
def test_a_store_that_refuses(wait, workers):
    """All in one run, near the rate that the store has, with few refusals;
    the limiter finds the rate."""

    @simulated
    def refuses(sim):
        urls = names("a", 100)
        bucket = Bucket(sim.runtime, wait)
        limiter = AdaptiveLimiter(runtime=sim.runtime)
        _, report = scrub(
            sim,
            Store(sim.runtime, urls, bucket),
            urls,
            workers=workers,
            limiter=limiter,
        )
        assert report.ok
        assert report.seconds <= 1.25 * 95 / 20
        assert bucket.refused <= 10
        assert limiter.stats().in_flight == 0

    refuses()


@simulated
def test_a_rate_limiter_pauses_when_the_store_is_busy(sim):
    """For as long as the store asks."""
    urls = names("a", 3)
    answers = [StoreBusy("slow down", 30.0)]

    def called(url):
        if answers:
            raise answers.pop()

    store = Store(sim.runtime, urls, called)
    limiter = RateLimiter(1000, runtime=sim.runtime)
    _, report = scrub(sim, store, urls, workers=1, limiter=limiter)
    assert report.ok
    assert store.times[1] >= 30.0


@simulated
def test_a_store_that_is_always_busy_is_given_up(sim):
    """After its patience; nothing is lost, and it is said."""
    urls = names("a", 30)

    def called(url):
        raise StoreBusy("slow down", 20.0)

    _, report = scrub(
        sim,
        Store(sim.runtime, urls, called),
        urls,
        policy=StorePolicy(patience=120.0),
    )
    assert report.counts[Outcome.FAILED] >= 1
    left = report.counts[Outcome.FAILED] + report.counts[Outcome.SKIPPED]
    assert left == 30
    assert "nothing but that it is busy" in report.closed[None]
    assert report.seconds < 600


@simulated
def test_failures_are_tried_again_with_pauses(sim):
    """At random times that grow, and no worker waits for them."""
    urls = names("a", 4)
    left = dict.fromkeys(urls, 2)

    def called(url):
        left[url] -= 1
        if left[url] >= 0:
            raise StoreUnavailable("not now")

    store = Store(sim.runtime, urls, called)
    _, report = scrub(
        sim,
        store,
        urls,
        workers=1,
        policy=StorePolicy(attempts=3, backoff=10.0),
    )
    assert report.ok
    assert len(store.times) == 12
    assert len(set(store.times)) > 6


@simulated
def test_parking_doubles_up_to_a_day(sim):
    """What is blocked is left alone for longer and longer."""

    class Blocking(Store):
        def delete(self, url):
            super().delete(url)
            raise LocationBlocked("in use")

    class Catalog(MemoryCatalog):
        def settle(self, images, *, parked=None, **others):
            now = sim.runtime.time()
            waits.extend(until - now for until in (parked or {}).values())
            return super().settle(images, parked=parked, **others)

        def claim(self, *args, **options):
            claimed = super().claim(*args, **options)
            for image in claimed.images:
                for location in image.locations:
                    object.__setattr__(location, "parkings", len(waits))
            return claimed

    waits = []
    catalog = Catalog(sim.runtime, {"a": ["a"]})
    store = Store(sim.runtime, "a", None)
    store.called = lambda url: (_ for _ in ()).throw(LocationBlocked("used"))
    with sim.executor(1) as executor:
        scrubber = Scrubber(executor, catalog=catalog, store=store)
        for _ in range(10):
            (result,) = scrubber.run_once().results
            assert result.outcome == Outcome.BLOCKED
            assert scrubber.run_once().results == ()
            sim.runtime.sleep(waits[-1])
    rounded = [round(wait, -1) for wait in waits]
    assert rounded[:3] == [600, 1200, 2400]
    assert max(rounded) == rounded[-1] == 86_400


# -- verdicts of the caller's own


@simulated
def test_classify_may_be_replaced(sim):
    """It sees the error, and its word counts."""
    urls = names("a", 4)
    seen = []

    def classify(error):
        seen.append(error)
        return Verdict(Kind.UNSUPPORTED)

    def called(url):
        raise ValueError("mine")

    _, report = scrub(
        sim,
        Store(sim.runtime, urls, called),
        urls,
        policy=StorePolicy(classify=classify),
    )
    assert report.counts[Outcome.UNSUPPORTED] == 4
    assert {type(error) for error in seen} == {ValueError}


def test_a_classify_that_fails_is_logged(caplog):
    """Then nobody knows what the error meant."""

    @explore(1)
    def fails(sim):
        def called(url):
            raise ValueError("mine")

        _, report = scrub(
            sim,
            Store(sim.runtime, ["a"], called),
            ["a"],
            policy=StorePolicy(classify=lambda error: 1 / 0),
        )
        assert report.counts[Outcome.UNKNOWN] == 1

    fails()
    assert "classify failed" in caplog.text


# -- whether the store is there


def gone(url):
    """The data is not there, says the store."""
    raise ImageDataNotFound(url)


@simulated
def test_a_burst_of_not_found_is_not_believed(sim):
    """The store can't show that it is there: nothing is marked deleted, and
    it is left alone."""
    urls = names("a", 50)
    store = Store(sim.runtime, urls, gone)

    def probe():
        raise StoreUnavailable("not mounted")

    told = []
    _, report = scrub(
        sim,
        store,
        urls,
        policy=StorePolicy(probe=probe),
        observers=[told.append],
    )
    assert report.counts[Outcome.GONE] == 0
    assert report.counts[Outcome.DELETED] == 0
    assert "not mounted" in report.closed[None]
    (closed,) = (event for event in told if isinstance(event, StoreClosed))
    assert closed.reason == report.closed[None]
    assert len(store.times) < 30
    assert not report.ok


@simulated
def test_a_probe_that_works_is_believed(sim):
    """Images may really be gone, all of them."""
    urls = names("a", 50)
    probes = []
    _, report = scrub(
        sim,
        Store(sim.runtime, urls, gone),
        urls,
        policy=StorePolicy(probe=lambda: probes.append(1)),
    )
    assert report.ok
    assert report.counts[Outcome.GONE] == 50
    assert 1 <= len(probes) <= 6


@simulated
def test_a_probe_that_hangs_gives_the_store_up(sim):
    """After the time that a delete may take."""
    urls = names("a", 50)
    _, report = scrub(
        sim,
        Store(sim.runtime, urls, gone),
        urls,
        policy=StorePolicy(probe=lambda: sim.runtime.sleep(500)),
        delete_timeout=30.0,
        batch_seconds=10.0,
    )
    assert report.counts[Outcome.GONE] == 0
    assert "in time" in report.closed[None]
    assert report.seconds < 60


class NoProbe:
    """A store that can't be asked whether it is there."""

    def __init__(self, deletes):
        self.delete = deletes

    def sync(self):
        """Nothing to do."""


@simulated
def test_without_a_probe_a_delete_that_works_is_the_proof(sim):
    """As after a crash: what was deleted before is met first."""
    urls = names("a", 60)

    def delete(url):
        if url < "a050":
            gone(url)

    _, report = scrub(sim, NoProbe(delete), urls, workers=2)
    assert report.ok
    assert report.counts[Outcome.GONE] == 50


@simulated
def test_without_a_probe_and_a_proof_nothing_is_believed(sim):
    """A few may be gone; all of many is more than can be believed."""
    _, report = scrub(sim, NoProbe(gone), names("a", 9))
    assert report.counts[Outcome.GONE] == 9
    urls = names("a", 400)
    _, report = scrub(sim, NoProbe(gone), urls)
    assert report.counts[Outcome.GONE] == 0
    assert len(report.failures) == 400
    assert report.counts[Outcome.SKIPPED] > 100


# -- hangs


@simulated
def test_a_store_that_hangs_does_not_eat_the_pool(sim):
    """Its probe takes one worker, and no delete is begun: the other store's
    images are deleted, in this run and in those that follow."""
    urls = names("a", 40) + names("b", 40)
    stores = {name: Store(sim.runtime, urls) for name in "ab"}
    stores["a"].probe = lambda: sim.runtime.sleep(1e5)
    _, report = scrub(
        sim,
        stores,
        urls,
        workers=4,
        delete_timeout=30.0,
        batch_seconds=10.0,
    )
    assert stores["a"].times == []
    assert report.stores["b"][Outcome.DELETED] == 40
    assert report.stores["a"][Outcome.SKIPPED] == 40
    assert stores["b"].times[-1] < 1


@simulated
def test_deletes_that_hang_are_bounded(sim):
    """A store of which a quarter of the workers hangs is left alone; while
    they hang no later run begins another, and other stores go on."""
    urls = names("a", 40) + names("b", 40)
    catalog = MemoryCatalog(
        sim.runtime,
        {url: [url] for url in urls},
        store={url: url[0] for url in urls},
    )
    stores = {
        "a": Store(sim.runtime, urls, lambda url: sim.runtime.sleep(1e5)),
        "b": Store(sim.runtime, urls, lambda url: sim.runtime.sleep(10)),
    }
    with sim.executor(8) as executor:
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=stores,
            delete_timeout=30.0,
            batch_seconds=10.0,
        )
        first = scrubber.run_once()
        assert first.stores["b"][Outcome.DELETED] == 40
        begun = len(stores["a"].times)
        assert begun <= 7
        assert first.stores["a"][Outcome.UNKNOWN] == begun
        assert "do not end" in first.closed["a"]
        second = scrubber.run_once()
        assert len(stores["a"].times) == begun
        assert second.stores["a"][Outcome.SKIPPED] == 40


# -- what observers are told


def test_observers(place):
    """In order, with what they need; one that fails stops nobody."""
    place.add("a", 2)
    seen = []

    def failing(event):
        raise ValueError("no")

    with load_executor("serial", name="scrub") as executor:
        report = Scrubber(
            executor,
            catalog=place.catalog,
            store=place.store,
            observers=[failing, seen.append],
        ).run_once()
    assert report.ok
    assert [type(event).__name__ for event in seen] == [
        "ScrubStarted",
        "DeleteTried",
        "DeleteTried",
        "LocationRecorded",
        "LocationRecorded",
        "ScrubEnded",
    ]
    assert {event.executor for event in seen} == {"scrub"}
    assert [e.kind for e in seen if isinstance(e, DeleteTried)] == ["done"] * 2
    assert isinstance(seen[-1], ScrubEnded)
    assert seen[0].images == 1
    assert seen[0].oldest_age > 1e6


@explore(1)
def test_throttles_are_told(sim):
    """By store, with the time that it asked for."""
    seen = []
    answers = [StoreBusy("slow down", 2.0)]

    def called(url):
        if answers:
            raise answers.pop()

    scrub(
        sim, Store(sim.runtime, ["a"], called), ["a"], observers=[seen.append]
    )
    (throttled,) = [e for e in seen if isinstance(e, StoreThrottled)]
    assert (throttled.store, throttled.retry_after) == (None, 2.0)


@pytest.mark.parametrize(
    "options",
    [
        {"max_in_flight": 0},
        {"max_in_flight": 1.5},
        {"attempts": 0},
        {"backoff": 0},
        {"delete_timeout": -1},
        {"patience": float("inf")},
        {"parking": float("nan")},
    ],
)
def test_bad_policies(options):
    """The error names what is wrong."""
    with pytest.raises(ValueError, match=next(iter(options))):
        StorePolicy(**options)


def test_policies_for_stores_that_are_not_there(place):
    """A misspelt name is found at once."""
    with (
        load_executor("serial") as executor,
        pytest.raises(ValueError, match="'ceph'"),
    ):
        Scrubber(
            executor,
            catalog=place.catalog,
            store={"cpeh": place.store},
            policy={"ceph": StorePolicy()},
        )
    with (
        load_executor("serial") as executor,
        pytest.raises(ValueError, match="not both"),
    ):
        Scrubber(
            executor,
            catalog=place.catalog,
            store=place.store,
            limiter=RateLimiter(1),
            policy=StorePolicy(),
        )
