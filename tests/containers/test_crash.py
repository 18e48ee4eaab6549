"""Whoever operates on containers is killed, or loses its power."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import pytest
from tests.containers import disk
from tests.containers.lives import check, live_again

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
FULL = bool(os.environ.get("FULL"))
STATES = 2000 if FULL else 100
SECTOR = 512

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        disk.library() is None, reason="SQLite is inside Python's own module"
    ),
]


@pytest.fixture
def fast():
    """A folder whose syncs cost nothing, where there is one."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else None
    ) as name:
        yield pathlib.Path(name)


def lives(*arguments):
    """Have somebody live in another process; what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "tests.containers.lives", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        timeout=3000,
        cwd=ROOT,
    ).stdout


def test_killed_at_any_write_it_goes_on(fast):
    """At each write, sync, link and removal of the journal's files; without
    FULL in the environment, at some of them."""
    (whole,) = map(json.loads, lives("kill", fast, "0").splitlines())
    assert not whole["killed"]
    events = int(whole["events"][0])
    points = range(1, events + 1)
    if not FULL:
        points = [*range(1, 12), *random.Random(5).sample(points[12:], 19)]
    ended = 0
    for line in lives("kill", fast, *map(str, points)).splitlines():
        result = json.loads(line)
        # How many commits there are depends on who meets whom.
        ended += not result["killed"]
        check(result["acknowledged"], result["effect"], result["left"])
    assert ended < len(points) / 4


def test_after_a_power_cut_it_goes_on(fast):
    """In any state that the disk may be in: what was not yet synced is
    there, or not, or in part, in any order."""
    story = json.loads(lives("record", fast))
    events = [
        (kind, name, offset, base64.b64decode(data))
        for kind, name, offset, data in story["events"]
    ]
    base = base64.b64decode(story["base"])
    assert sum(kind == "sync" for kind, *_ in events) > 20
    chance = random.Random(7)
    for number in range(STATES):
        cut = chance.randrange(len(events) + 1)
        files = after_power_cut(base, events[:cut], chance)
        place = fast / str(number)
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
        told = {
            kind: [name for k, name, *_ in events[:cut] if k == kind]
            for kind in ("acknowledged", "effect")
        }
        left = live_again(place / "journal", told["effect"])
        try:
            check(told["acknowledged"], told["effect"], left)
        except AssertionError as error:
            error.add_note(f"state {number}, cut after event {cut}")
            raise
        shutil.rmtree(place)


def after_power_cut(base, events, chance):
    """What the disk may have: all that was synced, and some of the rest."""
    files = {"journal": bytearray(base)}
    loose = {}
    for kind, name, offset, data in events:
        match kind:
            case "sync":
                for change in loose.pop(name, ()):
                    apply(files, name, *change)
            case "remove":
                if chance.random() < 0.5:
                    files.pop(name, None)
                    loose.pop(name, None)
            case "write" | "truncate":
                loose.setdefault(name, []).append((kind, offset, data))
    keep = chance.choice([0.0, 0.5, 1.0])
    for name, changes in loose.items():
        chance.shuffle(changes)
        for kind, offset, data in changes:
            if kind == "truncate":
                if chance.random() < keep:
                    apply(files, name, kind, offset, data)
                continue
            for start in range(0, len(data), SECTOR):
                if chance.random() < keep:
                    part = data[start : start + SECTOR]
                    apply(files, name, "write", offset + start, part)
    return files


def apply(files, name, kind, offset, data):
    """One change reaches the disk."""
    content = files.setdefault(name, bytearray())
    if kind == "truncate":
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
