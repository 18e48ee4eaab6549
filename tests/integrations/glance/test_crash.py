"""Scrubbers of a real Glance that are killed, stopped, and many at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

IMAGES = 40
SLOW = """
import sys, time
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


def wait_for(condition, child):
    """Until it is so, or the child has ended."""
    while not condition() and child.poll() is None:
        time.sleep(0.005)


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
    for kill in range(1, 7):
        with start(glance, calls) as child:
            # Once it works, wherever it is then.
            wait_for(lambda k=kill: len(lines(calls)) >= 10 * k, child)
            child.send_signal(signal.SIGKILL)
    with start(glance, calls) as child:
        assert child.wait(timeout=60) == 0, child.stderr.read()
    assert all_deleted(glance, ids)


def test_sigterm_drains(glance, tmp_path):
    """What was begun is recorded."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = tmp_path / "calls"
    with start(glance, calls) as child:
        wait_for(lambda: len(lines(calls)) >= 10, child)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 128 + signal.SIGTERM
    done = len(lines(calls))
    rows = glance.rows("image_locations", status="deleted")
    assert len(rows) == done < 75
    with start(glance, calls) as child:
        assert child.wait(timeout=60) == 0
    assert len(lines(calls)) == len(set(lines(calls))) == 75
    assert all_deleted(glance, ids)


def test_four_scrubbers_delete_each_location_once(glance, tmp_path):
    """Four of Glance's make four times the deletes."""
    glance.write_config(scrub_pool_size=4)
    ids = glance.many_deleted(IMAGES)
    calls = [tmp_path / f"calls{n}" for n in range(4)]
    children = [start(glance, each) for each in calls]
    for child in children:
        with child:
            assert child.wait(timeout=60) == 0, child.stderr.read()
    deleted = [url for each in calls for url in lines(each)]
    assert len(deleted) == len(set(deleted)) == 75
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
        wait_for(lambda: lines(calls), child)
        child.send_signal(signal.SIGSTOP)
        glance.scrub()
        left = [i for i in ids if glance.status(i)[0] != "deleted"]
        assert len(left) < len(ids)
        child.send_signal(signal.SIGCONT)
        child.wait(timeout=60)
    assert glance.scrub().ok
    assert all_deleted(glance, ids)
