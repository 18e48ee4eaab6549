"""Several scrubbers over one catalogue, in real processes."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.polling import until

from parallelops import load_executor
from parallelops.errors import RestoreRefused
from parallelops.images import Outcome, Scrubber

pytestmark = pytest.mark.once

CHILD = Path(__file__).with_name("scrub_together.py")
LIMIT = 60


class Together:
    """Scrubbers that begin at the same time."""

    def __init__(self, place, stack):
        self.place = place
        self.stack = stack
        self.log = place.root.parent / "log"

    def start(self, number, seconds, lease=60.0):
        """Start so many, and return when all of them have begun."""
        children = []
        for _ in range(number):
            child = subprocess.Popen(
                [
                    *(sys.executable, "-W", "error", CHILD),
                    *(self.place.path, self.place.root, self.log),
                    *(str(seconds), str(lease)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.stack.enter_context(child)
            self.stack.callback(child.kill)
            children.append(child)
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
        return children

    def deletes(self):
        """How often each location's delete was called."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return collections.Counter(line.rpartition("/")[2] for line in lines)

    def wait_for_a_delete(self):
        """Return when one is under way."""
        until(self.deletes)


@pytest.fixture
def together(place):
    """Starts scrubbers, and ends them all at the end."""
    with contextlib.ExitStack() as stack:
        yield Together(place, stack)


def report(child):
    """What a scrubber printed when it was done."""
    output, _ = child.communicate(timeout=LIMIT)
    assert child.returncode == 0
    return json.loads(output)


def test_four_share_the_work(place, together):
    """Each location is deleted once, by one of them, and all have a share."""
    for n in range(160):
        place.add(f"i{n:03}", 1 + n % 2)
    reports = [report(child) for child in together.start(4, 0.02)]
    deletes = together.deletes()
    assert len(deletes) == 240
    assert set(deletes.values()) == {1}
    assert all(one["ok"] for one in reports)
    shares = [one["counts"].get("deleted", 0) for one in reports]
    assert sum(shares) == 240
    assert min(shares) > 0
    assert place.files() == set()
    assert set(dict(place.catalog.images()).values()) == {"deleted"}


def test_one_is_stopped_past_its_lease(place, together):
    """Another takes over. When the first goes on, its writes are refused and
    told, and harm nobody; meanwhile nothing it had can be restored."""
    for n in range(8):
        place.add(f"i{n}")
    (child,) = together.start(1, 0.3, lease=0.5)
    together.wait_for_a_delete()
    os.kill(child.pid, signal.SIGSTOP)
    begun = set(together.deletes())
    for name in begun:
        with pytest.raises(RestoreRefused):
            place.catalog.restore(name.partition(".")[0])
    with load_executor("thread", max_workers=4) as executor:
        executor.runtime.time = lambda: time.time() + 1000
        mine = Scrubber(
            executor, catalog=place.catalog, store=place.store
        ).run_once()
    assert mine.counts[Outcome.DELETED] == 8
    os.kill(child.pid, signal.SIGCONT)
    late = report(child)
    assert late["ok"]
    assert set(late["counts"]) == {"taken"}
    assert late["counts"]["taken"] >= len(begun)
    assert place.catalog.counts()["deleted"] == 8
    assert set(dict(place.catalog.images()).values()) == {"deleted"}


def test_what_a_killed_one_had_is_free_after_its_lease(place, together):
    """And not before."""
    for n in range(8):
        place.add(f"i{n}")
    (child,) = together.start(1, 5.0, lease=500.0)
    together.wait_for_a_delete()
    child.kill()
    child.wait(LIMIT)
    now = time.time()
    assert place.catalog.backlog(1e9, now=now).images == 0
    assert place.catalog.backlog(1e9, now=now + 500).images == 8
