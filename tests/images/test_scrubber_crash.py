"""A scrubber that is killed, at many points, and then runs again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parallelops import load_executor
from parallelops.errors import RestoreRefused
from parallelops.images import Outcome, Scrubber

pytestmark = pytest.mark.once

CHILD = Path(__file__).with_name("scrub_and_die.py")
IMAGES = 12
LOCATIONS = 24  # one, two or three an image


def fill(place):
    """Add images to delete, and let nobody keep the catalogue open."""
    for n in range(IMAGES):
        place.add(f"i{n:02}", 1 + n % 3)
    place.catalog.close()


def scrub(place, kind="thread", event="never", number=1, ahead=0):
    """Start a scrub that dies at the given point."""
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "error", CHILD),
            *(place.path, place.root, kind, event, str(number), str(ahead)),
        ],
        stdout=subprocess.PIPE,
    )


def check_what_is_left(place, place_at):
    """After a crash: no lie in the catalogue, and the next run finishes.

    The next run reports what was not recorded before, all of it, once.
    """
    with place_at(place.root.parent) as place:
        rows = [
            location
            for n in range(IMAGES)
            for location in place.catalog.locations(f"i{n:02}")
        ]
        assert len(rows) == LOCATIONS
        recorded = {row.id for row in rows if row.status == "deleted"}
        for row in rows:
            if row.id in recorded:
                assert row.url.rpartition("/")[2] not in place.files()
        deleted_before = {
            name
            for name, status in place.catalog.images()
            if status == "deleted"
        }
        with load_executor("thread", max_workers=4) as executor:
            check_claims(place, executor)
            executor.runtime.time = lambda: time.time() + 1000
            report = Scrubber(
                executor, catalog=place.catalog, store=place.store
            ).run_once()
        assert report.ok, report.summary()
        ids = [result.location.id for result in report.results]
        assert sorted(ids) == sorted({row.id for row in rows} - recorded)
        assert place.catalog.backlog(1e9).images == 0
        assert deleted_before.isdisjoint(report.images)
        assert len(deleted_before) + len(report.images) == IMAGES
        assert place.files() == set()
        assert (place.root / "bystander").exists()
        assert place.catalog.counts()["deleted"] == LOCATIONS
        assert set(dict(place.catalog.images()).values()) == {"deleted"}
        return report


def check_claims(place, executor):
    """What the dead one claimed is nobody else's until its lease is over,
    and never restored: it may have deleted anything of it."""
    free = {image.id for image in place.catalog.due(1e9, None, 100, now=0)}
    for image in place.catalog.due(1e9, None, 100):
        if image.id in free:
            continue
        with pytest.raises(RestoreRefused):
            place.catalog.restore(image.id)
    scrubber = Scrubber(executor, catalog=place.catalog, store=place.store)
    report = scrubber.run_once(dry_run=True)
    touched = {result.location.image_id for result in report.results}
    assert touched <= free


POINTS = [
    *(("before-delete", n) for n in (1, 2, 9, 24)),
    *(("after-delete", n) for n in (1, 2, 9, 23, 24)),
    *(("before-sync", n) for n in (1, 2)),
    *(("after-sync", n) for n in (1, 2)),
    *(("before-claim", n) for n in (1, 2)),
    *(("claim-statement", n) for n in (1, 2, 5, 17)),
    *(("after-claim", n) for n in (1, 2)),
    *(("before-settle", n) for n in (1, 2)),
    *(("after-settle", n) for n in (1, 2)),
    *(("settle-statement", n) for n in (1, 2, 3, 6, 7, 10, 20)),
]


@pytest.mark.parametrize(("event", "number"), POINTS)
def test_killed_at_a_point_it_goes_on_from_there(
    place, place_at, event, number
):
    """Nothing is forgotten, and nothing recorded twice."""
    fill(place)
    with scrub(place, "thread", event, number) as child:
        child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    report = check_what_is_left(place, place_at)
    if event == "before-delete" and number == 1:
        assert report.counts[Outcome.GONE] == 0


def test_killed_on_green_threads_it_goes_on_from_there(place, place_at):
    """They make no difference to what is recorded when."""
    pytest.importorskip("eventlet")
    fill(place)
    with scrub(place, "greenthread", "after-sync", 2) as child:
        child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    check_what_is_left(place, place_at)


@pytest.mark.parametrize("events", [1, 17, 36, 55])
def test_killed_from_outside_it_goes_on_from_there(place, place_at, events):
    """At any time at all, not only where we thought of it."""
    fill(place)
    with scrub(place) as child:
        child.stdout.read(events)
        child.kill()
    check_what_is_left(place, place_at)


def test_a_scrubber_that_is_always_killed_comes_to_an_end(place, place_at):
    """Each run records most of what it deleted, however short its life."""
    fill(place)
    for n in range(LOCATIONS // 4):
        with scrub(place, "serial", "after-delete", 8, 1000 * n) as child:
            child.communicate(timeout=60)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
    else:
        pytest.fail("it gets nowhere")
    report = check_what_is_left(place, place_at)
    assert report.results == ()
