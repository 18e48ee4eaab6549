"""The handler of http URLs: parts side by side, and going on."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading

import pytest
from tests.images.hosts import DATA, WANTED, answer, serve

from parallelops import load_executor
from parallelops.errors import DestinationBusy
from parallelops.images import (
    Destination,
    Fetcher,
    GroupMember,
    ImageGroup,
    LocationEntry,
    LocationMetrics,
    SelectionContext,
    Wanted,
)
from parallelops.landing import Landing
from parallelops.landing.blocks import BLOCK
from parallelops.origin import HTTPSource


def test_parts_come_side_by_side(host, runtime, tmp_path, monkeypatch):
    """If there is an executor, and a digest to tell that they fit."""
    monkeypatch.setattr("parallelops.images.handlers.http._EXTENT", BLOCK)
    meeting = threading.Barrier(2)

    def together(request):
        meeting.wait(30)
        serve(request)

    host.data = data = random.Random(1).randbytes(4 * BLOCK)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    for plan, wanted, count in (
        ([serve, together, together], Wanted(digest=digest), 5),
        ([], Wanted(size=len(data)), 1),
    ):
        host.plan, host.seen = plan, []
        with load_executor("thread", max_workers=2) as executor:
            Fetcher(executor=executor).fetch(
                [LocationEntry(url=f"{host.url}/image")],
                tmp_path / "image",
                wanted,
            )
        assert (tmp_path / "image").read_bytes() == data
        assert len(host.seen) == count


@pytest.mark.parametrize("policy", ["block", "caller_runs", "reject"])
def test_a_group_and_its_parts_share_an_executor(
    host, tmp_path, monkeypatch, policy
):
    """Even one that has no more room than for one task."""
    monkeypatch.setattr("parallelops.images.handlers.http._EXTENT", BLOCK)
    host.data = data = random.Random(3).randbytes(3 * BLOCK)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    location = LocationEntry(url=f"{host.url}/image")
    group = ImageGroup(
        {"disk": GroupMember((location,), Wanted(digest=digest))}
    )
    with load_executor(
        "thread", max_workers=1, max_queue=0, on_saturation=policy
    ) as executor:
        group.fetch(executor, Fetcher(executor=executor), tmp_path / "group")
    assert (tmp_path / "group" / "disk").read_bytes() == data


@pytest.mark.parametrize("wrong", [False, True])
def test_the_next_location_goes_on(host, runtime, tmp_path, wrong):
    """From where the one before stopped; if that was wrong, anew."""
    first = DATA[::-1] if wrong else DATA
    host.plan = [
        answer(data=first, cut=BLOCK + 7, tag='"a"'),
        answer(status=404),
    ]
    metrics = LocationMetrics(runtime=runtime)
    result = Fetcher(
        context=SelectionContext(runtime=runtime, metrics=metrics)
    ).fetch(
        [LocationEntry(url=f"{host.url}/{name}") for name in "ab"],
        tmp_path / "image",
        WANTED,
    )
    assert (tmp_path / "image").read_bytes() == DATA
    assert result.location.url.endswith("b")
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    begins = [headers["Range"] for path, headers in host.seen if path == "/b"]
    last = len(DATA) - 1
    again = [f"bytes=0-{last}"] if wrong else []
    assert begins == [f"bytes={BLOCK}-{last}", *again]


def test_somebody_else_makes_the_same_file(host, tmp_path):
    """Or shares what was made: each has it whole, and the last one wins."""
    path = tmp_path / "image"
    location = LocationEntry(url=f"{host.url}/image")
    with Landing(path, len(DATA), str(WANTED.expected)) as landing:
        with Destination(path) as other, pytest.raises(DestinationBusy):
            other.resume(len(DATA), str(WANTED.expected))
        Fetcher().fetch([location], path, WANTED)
        assert path.read_bytes() == DATA
        landing.write(0, DATA)
        landing.commit()
    assert path.read_bytes() == DATA


def test_what_is_not_verified_comes_from_one_place():
    """Two hosts may have two things."""
    with pytest.raises(ValueError, match="several URLs"):
        HTTPSource(["http://a", "http://b"], verified=False)


@pytest.mark.once
def test_a_killed_fetch_is_gone_on_with(host, tmp_path):
    """What was written is not asked for again."""
    data, cut = random.Random(2).randbytes(8 * BLOCK), 5 * BLOCK + 3
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    release = threading.Event()

    def half(request):
        serve(request, cut=cut)
        request.wfile.flush()
        release.wait(30)

    host.data, host.plan = data, [half]
    code = f"""
from parallelops.images import Fetcher, LocationEntry, Wanted
import os, signal
def progress(size):
    if size >= {5 * BLOCK}:
        os.kill(os.getpid(), signal.SIGKILL)
Fetcher().fetch(
    [LocationEntry(url={host.url!r} + "/image")],
    {str(tmp_path / "image")!r},
    Wanted(digest={digest!r}, size={len(data)}),
    progress=progress,
)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    release.set()
    assert done.returncode == -9
    assert not (tmp_path / "image").exists()
    Fetcher().fetch(
        [LocationEntry(url=f"{host.url}/image")],
        tmp_path / "image",
        Wanted(digest=digest, size=len(data)),
    )
    assert (tmp_path / "image").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    assert host.seen[1][1]["Range"] == f"bytes={5 * BLOCK}-{len(data) - 1}"
