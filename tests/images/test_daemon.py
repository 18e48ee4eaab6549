"""A scrubber that runs for ever: when it wakes up, and what it survives."""

from __future__ import annotations

import gc
import itertools

import pytest

from parallelops import load_executor
from parallelops.errors import CatalogError
from parallelops.images import Scrubber
from parallelops.testing import FakeClock, MemoryCatalog, MemoryStore


class Stop:
    """An event for one thread: who waits for it moves the clock."""

    def __init__(self, clock):
        self.clock = clock
        self.value = False

    def is_set(self):
        return self.value

    def wait(self, timeout=None):
        self.clock.advance(timeout)
        return self.value


class Catalog(MemoryCatalog):
    """Has nothing to do; counts how often it was asked, and takes a second
    each time, or does what the test says."""

    def __init__(self, clock, ask):
        super().__init__(clock, {})
        self.clock = clock
        self.ask = ask
        self.began = []

    def due(self, *args, **options):
        self.began.append(self.clock.monotonic())
        self.ask(len(self.began))
        return []


@pytest.fixture
def daemon():
    """Runs for ever with a catalogue that does as it is told; returns the
    times at which runs began, once ``wake`` has set the event."""
    with load_executor("serial") as executor:
        clock = executor.runtime = FakeClock()

        def run(ask, wake, interval=10.0):
            stop = Stop(clock)
            catalog = Catalog(clock, lambda number: ask(clock, number))
            Scrubber(
                executor, catalog=catalog, store=MemoryStore(clock)
            ).run_forever(
                stop,
                interval=interval,
                report=lambda _: wake(stop, len(catalog.began)),
            )
            return catalog.began

        yield run


def test_ten_thousand_wake_ups(daemon):
    """Each at its time, however long the run before took; none overlaps,
    nothing drifts, and nothing is kept of those before."""
    alive = []

    def ask(clock, number):
        clock.advance(25 if number % 7 == 0 else 1)

    def wake(stop, number):
        if number in (1_000, 10_000):
            gc.collect()
            alive.append(len(gc.get_objects()))
            stop.value = number == 10_000

    began = daemon(ask, wake)
    assert len(began) == 10_000
    assert all(time % 10 == pytest.approx(0, abs=1e-6) for time in began)
    gaps = {round(b - a) for a, b in itertools.pairwise(began)}
    assert gaps == {10, 30}
    assert alive[1] - alive[0] < 100


def test_a_catalogue_that_fails_is_tried_again(daemon, caplog):
    """Sooner than the next turn, and less and less often."""

    def ask(clock, number):
        if 2 <= number <= 9:
            raise CatalogError("the database is locked")

    def wake(stop, number):
        stop.value = number == 11

    began = daemon(ask, wake, interval=60.0)
    pauses = [b - a for a, b in itertools.pairwise(began)][1:9]
    for number, pause in enumerate(pauses):
        longest = min(2**number, 60)
        assert longest / 2 <= pause <= longest
    assert began[-1] % 60 == pytest.approx(0, abs=1e-6)
    assert "the database is locked" in caplog.text


def test_a_report_callable_that_fails_is_logged(daemon, caplog):
    """The daemon goes on."""

    def wake(stop, number):
        stop.value = number == 3
        raise ValueError("no mail today")

    assert len(daemon(lambda clock, number: None, wake)) == 3
    assert "no mail today" in caplog.text


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_is_a_number_of_seconds(daemon, interval):
    """Otherwise nothing is run at all."""
    with pytest.raises(ValueError, match="interval"):
        daemon(pytest.fail, pytest.fail, interval)
