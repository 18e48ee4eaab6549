"""The rate of a store that nobody set is found, and remembered."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.images.simulated import Bucket, Store, names, scrub
from tests.polling import until

from parallelops import load_executor
from parallelops.errors import CatalogError
from parallelops.images import Scrubber, StorePolicy
from parallelops.images.keptfile import KeptFile
from parallelops.images.limits import Limits
from parallelops.testing import FakeClock, MemoryCatalog, explore

simulated = explore(2)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path):
    """Where limits are kept."""
    return tmp_path / "limits.json"


def test_a_store_that_refuses_is_remembered(file):
    """It gets a limiter by itself. The next process begins at the rate that
    was found: the store refuses next to nothing."""

    @simulated
    def remembers(sim):
        file.unlink(missing_ok=True)
        refused = []
        for letter in "ab":
            urls = names(letter, 100)
            bucket = Bucket(sim.runtime, None)
            store = Store(sim.runtime, urls, bucket)
            _, report = scrub(sim, store, urls, limits_file=file)
            assert report.ok
            assert report.seconds < 10
            refused.append(bucket.refused)
        assert refused[0] >= 3
        assert refused[1] <= refused[0] / 2
        ((store, rate, found),) = json.loads(file.read_text())["stores"]
        assert (store, found) == (None, True)
        assert 10 < rate < 40

    remembers()


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
@pytest.mark.parametrize("shared", [False, True])
def test_the_first_refusals_say_nothing_of_the_rate(workers, shared):
    """They are of calls that nothing held back: the store's rate is found
    as fast as if there had been a limiter from the beginning. Where a store
    is known to be shared there is one, and few calls are refused."""

    @simulated
    def finds(sim):
        urls = names("a", 100)
        bucket = Bucket(sim.runtime, None)
        store = Store(sim.runtime, urls, bucket)
        policy = StorePolicy(shared=shared)
        _, report = scrub(sim, store, urls, workers=workers, policy=policy)
        assert report.ok
        assert report.seconds <= 1.25 * 95 / 20
        if shared:
            assert bucket.refused <= 10

    finds()


def test_each_store_has_its_own(file):
    """And those that this run had nothing of keep theirs."""
    kept = [["a", 3.0, True], ["c", 7.0, False]]
    file.write_text(json.dumps({"version": 1, "stores": kept}))

    @explore(1)
    def limited(sim):
        urls = names("a", 7) + names("b", 7)
        stores = {name: Store(sim.runtime, urls) for name in "abc"}
        _, report = scrub(sim, stores, urls, limits_file=file)
        assert report.ok
        assert stores["a"].times[-1] > 1.5
        assert stores["b"].times[-1] < 0.2

    limited()
    stores = {
        name: rest for name, *rest in json.loads(file.read_text())["stores"]
    }
    assert stores["c"] == [7.0, False]
    assert stores["a"][0] > 3.0  # it grew, for nothing was refused
    assert stores.keys() == {"a", "c"}


def test_a_run_that_fails_remembers_too(file):
    """What the stores said is true all the same."""

    @explore(1)
    def fails(sim):
        urls = names("a", 30)
        catalog = MemoryCatalog(
            sim.runtime, {url: [url] for url in urls}, faults=["fail"]
        )
        store = Store(sim.runtime, urls, Bucket(sim.runtime, None))
        with sim.executor(8) as executor:
            scrubber = Scrubber(
                executor, catalog=catalog, store=store, limits_file=file
            )
            with pytest.raises(CatalogError):
                scrubber.run_once()

    fails()
    assert json.loads(file.read_text())["stores"]


def test_what_was_learned_is_written_in_the_midst_of_a_run(file, monkeypatch):
    """Whoever is killed has not learned it in vain; not with each delete."""
    times = []
    write = KeptFile.write

    @explore(1)
    def learns(sim):
        def noted(kept, content):
            times.append(sim.runtime.monotonic())
            write(kept, content)

        monkeypatch.setattr(KeptFile, "write", noted)
        urls = names("a", 300)
        store = Store(sim.runtime, urls, Bucket(sim.runtime, None))
        _, report = scrub(sim, store, urls, limits_file=file)
        assert report.ok

    learns()
    *in_the_midst, last = times
    assert 2 <= len(in_the_midst) <= last / 5
    assert in_the_midst[0] < 6


@pytest.mark.once
def test_one_that_was_killed_is_survived(file):
    """By what it wrote before, whole."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.images.learn_and_die", file], cwd=ROOT
    ) as killed:
        try:
            until(file.exists)
        finally:
            killed.kill()
    assert killed.returncode == -signal.SIGKILL
    ((store, rate, _),) = json.loads(file.read_text())["stores"]
    assert store is None
    assert rate > 0
    limits = Limits(FakeClock(), file)
    assert limits.get(None).state.rate == rate


def test_without_refusals_there_is_no_file(file):
    """Nothing was learned."""

    @explore(1)
    def accepts(sim):
        urls = names("a", 3)
        _, report = scrub(
            sim, Store(sim.runtime, urls), urls, limits_file=file
        )
        assert report.ok

    accepts()
    assert not file.exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"version": 2, "stores": []}',
        '{"version": 1, "stores": [["a", 1.0]]}',
        '{"version": 1, "stores": [["a", 0, true]]}',
        '{"version": 1, "stores": [["a", NaN, true]]}',
        '{"version": 1, "stores": [["a", "fast", true]]}',
        '{"version": 1, "stores": [["a", 1.0, 1]]}',
        '{"version": 1, "stores": [[1, 1.0, true]]}',
    ],
)
def test_a_damaged_file_is_put_aside(file, caplog, content):
    """And named; nothing else goes wrong."""
    file.write_text(content)
    clock = FakeClock()
    with load_executor("serial") as executor:
        Scrubber(
            executor,
            catalog=MemoryCatalog(clock, {}),
            store=Store(clock),
            limits_file=file,
        ).run_once()
    assert "limits.json is damaged" in caplog.text
    assert (file.parent / "limits.json.damaged").read_text() == content
