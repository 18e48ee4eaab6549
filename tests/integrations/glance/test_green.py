"""Glance's scrubber's job in a process that eventlet has patched."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("eventlet", reason="the extra greenthread is missing")

SCRUB = """
import sys
from parallelops import prepare_process
prepare_process("greenthread")
import json, time
from eventlet import patcher
from parallelops.cli import main
from parallelops.images import FileStore
assert all(map(patcher.is_monkey_patched, ("socket", "thread", "time")))
now = most = 0
delete = FileStore.delete
def slow(self, url):
    global now, most
    now += 1
    most = max(most, now)
    time.sleep(0.01)
    delete(self, url)
    now -= 1
FileStore.delete = slow
status = main(["scrub", "--executor=greenthread", *sys.argv[1:]])
print(json.dumps([status, most]), file=sys.stderr)
"""


def test_green_threads_scrub(glance):
    """All is deleted, as many at once as there are workers, over the same
    database: its driver waits on the hub, or in a call."""
    glance.write_config(scrub_pool_size=8)
    ids = glance.many_deleted(40)
    done = subprocess.run(
        [sys.executable, "-c", SCRUB, "--glance-config", glance.config],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "75 deleted; 40 images deleted" in done.stdout
    status, most = json.loads(done.stderr.splitlines()[-1])
    assert (status, most) == (0, 8)
    for image_id in ids:
        assert glance.status(image_id)[0] == "deleted"
    assert glance.files() == set()
