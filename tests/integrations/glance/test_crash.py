"""Scrubbers of a real Glance that are killed, stopped, and many at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from tests.polling import until

IMAGES, LOCATIONS = 60, 113
LIMIT = 180  # seconds, on a machine that has other work
SLOW = """
import sys, time
from tests.polling import until
from parallelops.images import FileStore
delete = FileStore.delete
def slow(self, url):
    time.sleep(0.01)
    with open(sys.argv[1], "a") as file:
        file.write(url + "\\n")
    delete(self, url)
FileStore.delete = slow
from parallelops.cli import main
sys.exit(main(sys.argv[2:]))
"""


def start(glance, calls):
    """A scrub with slow deletes; each writes a line to ``calls``."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", SLOW, calls, "scrub"),
            *("--glance-config", glance.config),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request, make_url):
    """These two differ in how they lock."""
    return make_url(request.param)


def wait_for_deletes(calls, child, more=5):
    """Until there are some more, or the child has ended."""
    enough = len(lines(calls)) + more
    until(
        lambda: len(lines(calls)) >= enough or child.poll() is not None, LIMIT
    )


def lines(calls):
    """What was deleted."""
    return calls.read_text().splitlines() if calls.exists() else []


def all_deleted(glance, ids):
    """Nothing is stuck, and no file is left."""
    return glance.files() == set() and all(
        set(glance.status(image_id)[1]) == {"deleted"}
        and glance.status(image_id)[0] == "deleted"
        for image_id in ids
    )


def test_six_kills_leave_nothing_stuck(glance, tmp_path):
    """Glance's scrubber leaves five images for ever."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = tmp_path / "calls"
    for _ in range(6):
        with start(glance, calls) as child:
            wait_for_deletes(calls, child)
            child.send_signal(signal.SIGKILL)
    with start(glance, calls) as child:
        assert child.wait(timeout=LIMIT) == 0, child.stderr.read()
    assert all_deleted(glance, ids)


def test_six_times_sigterm_leaves_nothing_stuck(glance, tmp_path):
    """Of Glance's scrubber six images stay for ever. What was begun is
    recorded, and so nothing is deleted twice."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = tmp_path / "calls"
    for _ in range(6):
        with start(glance, calls) as child:
            wait_for_deletes(calls, child)
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=LIMIT) == 128 + signal.SIGTERM
        recorded = glance.rows("image_locations", status="deleted")
        assert len(recorded) == len(lines(calls)) < LOCATIONS
    with start(glance, calls) as child:
        assert child.wait(timeout=LIMIT) == 0, child.stderr.read()
    assert len(lines(calls)) == len(set(lines(calls))) == LOCATIONS
    assert all_deleted(glance, ids)


def test_six_sigterms_in_a_row_leave_nothing_stuck(glance, tmp_path):
    """The second one breaks off, and the others change nothing about it."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = tmp_path / "calls"
    with start(glance, calls) as child:
        wait_for_deletes(calls, child)
        for _ in range(6):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.001)  # one that is there already is not sent again
        assert child.wait(timeout=LIMIT) != 0
    with start(glance, calls) as child:
        assert child.wait(timeout=LIMIT) == 0, child.stderr.read()
    assert all_deleted(glance, ids)


def test_four_scrubbers_delete_each_location_once(glance, tmp_path):
    """Four of Glance's make four times the deletes."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = [tmp_path / f"calls{n}" for n in range(4)]
    children = [start(glance, each) for each in calls]
    for child in children:
        with child:
            assert child.wait(timeout=LIMIT) == 0, child.stderr.read()
    deleted = [url for each in calls for url in lines(each)]
    assert len(deleted) == len(set(deleted)) == LOCATIONS
    assert all_deleted(glance, ids)


def test_sixteen_workers_lock_nobody_out(glance):
    """Glance's scrubber finds "database is locked" in SQLite."""
    ids = glance.many_deleted(200)
    report = glance.scrub(workers=16)
    assert report.ok, report.summary()
    assert all_deleted(glance, ids)


def test_one_that_is_stopped_harms_nobody(glance, tmp_path):
    """The others do the rest; it finds its own gone when it goes on."""
    ids = glance.many_deleted(60)
    calls = tmp_path / "calls"
    with start(glance, calls) as child:
        wait_for_deletes(calls, child, 1)
        child.send_signal(signal.SIGSTOP)
        glance.scrub()
        left = [i for i in ids if glance.status(i)[0] != "deleted"]
        assert len(left) < len(ids)
        child.send_signal(signal.SIGCONT)
        child.wait(timeout=LIMIT)
    assert glance.scrub().ok
    assert all_deleted(glance, ids)
