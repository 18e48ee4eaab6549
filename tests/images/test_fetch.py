"""Fetching: which location and which handler, and what the result says."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import load_executor
from parallelops.errors import (
    DestinationError,
    NoLocationWorked,
    PluginError,
    TransferError,
)
from parallelops.images import (
    Chain,
    Destination,
    Fetcher,
    Handled,
    Location,
    LocationEntry,
    LocationMetrics,
    LocationStatus,
    NotForMe,
    SelectionContext,
    StaticMetrics,
    Wanted,
    load_handlers,
    load_strategy,
)
from parallelops.images.source import source_of
from parallelops.landing import Landing

A, B = (LocationEntry(url=f"http://host{n}/image") for n in "ab")


def gives(data):
    """A handler that brings this."""

    def handler(location, destination, context):
        os.write(destination.create(), data)
        context.advance(len(data))
        return Handled("made up")

    return handler


def declines(location, destination, context):
    """A handler for something else."""
    return NotForMe("http://user:hunter2@host is not for me")


def fails(location, destination, context):
    """A handler that writes something, and fails."""
    os.write(destination.create(), b"half of it")
    raise TransferError("no more came from http://user:hunter2@host")


def buggy(location, destination, context):
    """A handler that has a bug."""
    return {}["hunter2=1"]


def only_from(location, handler):
    """A handler that works for one location."""

    def chosen(each, destination, context):
        wanted = each is location
        return (handler if wanted else fails)(each, destination, context)

    return chosen


def fetcher_of(*handlers, **options):
    """A fetcher with these handlers."""
    named = tuple((handler.__name__, handler) for handler in handlers)
    return Fetcher(handlers=named, **options)


def test_the_next_handler_is_tried_and_then_the_next_location(tmp_path):
    """The result keeps the reasons, without secrets."""
    fetcher = fetcher_of(declines, buggy, only_from(B, gives(b"data")))
    result = fetcher.fetch([A, B], tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == b"data"
    assert (result.location, result.handler) == (B, "chosen")
    assert (result.method, result.size) == ("made up", 4)
    assert [
        (each.location, each.handler, each.declined)
        for each in result.attempts
    ] == [
        (A.url, "declines", True),
        (A.url, "buggy", False),
        (A.url, "chosen", False),
        (B.url, "declines", True),
        (B.url, "buggy", False),
    ]
    assert result.attempts[1].reason.startswith("KeyError")
    assert "no more came from http://user:***@host" in str(result.attempts[2])
    assert "hunter2@" not in str(result)
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


FATES = {
    "declines": declines,
    "fails": fails,
    "has a bug": buggy,
    "brings too much": gives(b"too much"),
    "brings it": gives(b"data"),
}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.sampled_from(list(FATES)), min_size=3, max_size=3),
        max_size=4,
    )
)
def test_it_is_the_first_that_works_and_all_before_are_told(fates):
    """Handler after handler, location after location; or nothing is there,
    and the error has all reasons."""
    locations = [
        LocationEntry(url=f"http://host/{n}") for n in range(len(fates))
    ]

    def handler_of(number):
        def handler(location, destination, context):
            fate = fates[locations.index(location)][number]
            return FATES[fate](location, destination, context)

        return handler

    fetcher = Fetcher(handlers=[(str(n), handler_of(n)) for n in range(3)])
    plan = [
        (location.url, str(number), fate)
        for location, row in zip(locations, fates, strict=True)
        for number, fate in enumerate(row)
    ]
    works = next((n for n, p in enumerate(plan) if p[2] == "brings it"), None)
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "image"
        if works is None:
            with pytest.raises(NoLocationWorked) as caught:
                fetcher.fetch(locations, to, Wanted(size=4))
            tried = [p for p in plan if p[2] != "declines"] or plan
            assert len(caught.value.reasons) == len(tried)
            assert not os.listdir(folder)  # noqa: PTH208
            return
        result = fetcher.fetch(locations, to, Wanted(size=4))
        assert to.read_bytes() == b"data"
        assert os.listdir(folder) == ["image"]  # noqa: PTH208
    assert (result.location.url, result.handler) == plan[works][:2]
    assert [
        (each.location, each.handler, each.declined)
        for each in result.attempts
    ] == [(url, name, f == "declines") for url, name, f in plan[:works]]


def test_the_data_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """And the name is on the disk before the fetch returns."""
    calls = []

    def record(name):
        real = getattr(os, name)

        def call(*args, **options):
            kind = "directory" if name == "fsync" else ""
            if kind and not stat.S_ISDIR(os.fstat(args[0]).st_mode):
                kind = "file"
            calls.append(f"{name} {kind}".strip())
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    record("fsync")
    record("replace")
    fetcher_of(gives(b"data")).fetch([A], tmp_path / "image")
    assert calls == ["fsync file", "replace", "fsync directory"]


def test_the_strategy_says_which_is_first(tmp_path):
    """The heavier one, here."""
    heavy = LocationEntry(url="http://x", metrics=StaticMetrics(weight=1))
    fetcher = fetcher_of(gives(b"data"), strategy=load_strategy(["weight"]))
    assert fetcher.fetch([A, heavy], tmp_path / "image").location is heavy


def test_when_nothing_works_the_error_has_all_reasons(tmp_path):
    """Those of failures; of who declined only if nobody tried."""
    with pytest.raises(NoLocationWorked) as caught:
        fetcher_of(declines, fails).fetch([A, B], tmp_path / "image")
    assert len(caught.value.reasons) == 2
    assert "hunter2" not in str(caught.value)
    with pytest.raises(NoLocationWorked, match="is not for me"):
        fetcher_of(declines).fetch([A], tmp_path / "image")
    with pytest.raises(NoLocationWorked, match="there is none"):
        fetcher_of(declines).fetch([], tmp_path / "image")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", LocationStatus)
def test_only_active_locations_are_read(tmp_path, status):
    """What waits to be deleted, or is not there yet, is not."""
    location = Location(id=1, image_id="i", url="file:///a", status=status)
    fetcher = fetcher_of(gives(b"data"))
    if status is LocationStatus.ACTIVE:
        fetcher.fetch([location], tmp_path / "image")
        return
    with pytest.raises(NoLocationWorked, match=f"it is {status}"):
        fetcher.fetch([location], tmp_path / "image")


def test_a_fetch_is_measured(tmp_path):
    """Successes and failures, and not who declined."""
    metrics = LocationMetrics()
    fetcher = fetcher_of(
        declines,
        only_from(B, gives(b"data")),
        context=SelectionContext(metrics=metrics),
    )
    fetcher.fetch([A, B], tmp_path / "image")
    found = metrics.statistics()
    assert found[source_of(A)].error_rate == 1
    assert found[source_of(A)].weight == pytest.approx(1, rel=0.01)
    assert found[source_of(B)].error_rate == 0
    assert found[source_of(B)].throughput > 0


def test_wrong_data_counts_as_a_failure(tmp_path):
    """And the next location is tried."""
    metrics = LocationMetrics()

    def handler(location, destination, context):
        right = b"data" if location is B else b"atad"
        return gives(right)(location, destination, context)

    digest = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    fetcher = fetcher_of(handler, context=SelectionContext(metrics=metrics))
    result = fetcher.fetch(
        [A, B], tmp_path / "image", Wanted(digest=f"SHA256:{digest}".lower())
    )
    assert result.location is B
    assert "digest" in result.attempts[0].reason
    assert metrics.statistics()[source_of(A)].error_rate == 1


def test_a_full_disk_is_not_the_fault_of_a_location(tmp_path):
    """No other is tried, and nothing is measured."""
    metrics = LocationMetrics()

    def full(location, destination, context):
        raise OSError(errno.ENOSPC, "No space left on device")

    fetcher = fetcher_of(full, context=SelectionContext(metrics=metrics))
    with pytest.raises(DestinationError, match="No space left") as caught:
        fetcher.fetch([A, B], tmp_path / "image")
    assert caught.value.path == str(tmp_path / "image")
    assert not metrics.statistics()


@pytest.mark.parametrize("answer", [None, True, "done"])
def test_a_handler_that_breaks_the_contract_is_named(tmp_path, answer):
    """And one that says it is done without having written anything."""
    with pytest.raises(NoLocationWorked, match=r"'<lambda>'.*must return"):
        fetcher_of(lambda *_: answer).fetch([A], tmp_path / "image")
    with pytest.raises(DestinationError, match="nothing was written"):
        fetcher_of(lambda *_: Handled("x")).fetch([A], tmp_path / "image")


def test_a_broken_strategy_is_named(tmp_path):
    """It is not taken for a location that fails."""
    broken = Chain((("acme", lambda locations, context: []),))
    with pytest.raises(PluginError, match="'acme'"):
        fetcher_of(gives(b"x"), strategy=broken).fetch([A], tmp_path / "i")


def test_who_looks_on_breaks_nothing(tmp_path, caplog):
    """What a progress callback raises is logged."""
    told = []

    def progress(size):
        told.append(size)
        raise KeyError("a bug")

    fetcher_of(gives(b"data")).fetch(
        [A], tmp_path / "image", progress=progress
    )
    assert told == [4]
    assert "progress of a fetch" in caplog.text


@pytest.mark.parametrize(
    "bad",
    [
        {"digest": "md5:" + "0" * 32},
        {"digest": "sha256:0"},
        {"digest": "0" * 64},
        {"digest": "sha256:" + "x" * 64},
        {"size": -1},
        {"max_size": -1},
        {"container": "zip"},
    ],
)
def test_what_is_wanted_is_checked(bad):
    """Before anything is fetched."""
    with pytest.raises(ValueError):
        Wanted(**bad)


def test_a_wrong_name_of_a_handler_is_guessed():
    """Those built in are found without entry points."""
    assert [name for name, _ in load_handlers()] == ["ova", "file", "http"]
    with pytest.raises(PluginError, match="did you mean 'http'"):
        load_handlers(["htp"])


KILLED = """
import os, signal, sys
from parallelops.images import *
def half(location, destination, context):
    file = destination.create()
    os.write(file, b"half of it")
    {where}
    return Handled("half")
with Destination(sys.argv[1]) as destination:
    Fetcher(handlers=[("half", half)]).stage(
        [LocationEntry(url="http://host")], destination
    )
    real = os.replace
    def replace(*args, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    os.replace = replace
    destination.commit()
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("where", [KILL, "pass"])
def test_a_killed_fetch_leaves_nothing_under_the_name(tmp_path, where):
    """Killed while it writes it leaves nothing at all; before the rename,
    a private file and what was there before."""
    target = tmp_path / "image"
    target.write_text("from before")
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(where=where), str(target)],
        check=False,
    )
    assert done.returncode == -9
    assert target.read_text() == "from before"
    others = {path.name for path in tmp_path.iterdir()} - {"image"}
    if where == KILL:
        assert not others
    assert all(name.startswith(".parallelops-") for name in others)


def test_a_destination_is_used_up(tmp_path):
    """A second attempt begins anew, and only a commit keeps anything."""
    with Destination(tmp_path / "image") as destination:
        os.write(destination.create(), b"first")
        os.write(destination.create(), b"2")
        destination.commit()
        os.write(destination.create(), b"lost")
    assert (tmp_path / "image").read_bytes() == b"2"
    with pytest.raises(DestinationError):
        Destination("/")
    with (
        Destination(tmp_path / "image") as destination,
        pytest.raises(DestinationError, match="nothing was written"),
    ):
        destination.commit()


def test_what_an_attempt_left_is_gone_on_with(tmp_path):
    """If it is to be the same, and only before the end of the fetch."""
    path = tmp_path / "image"
    with Destination(path) as destination:
        landing = destination.resume(4, "key")
        landing.write(0, b"da")
        destination.set_aside()
        assert destination.resume(4, "key") is landing
        assert destination.resume(4, "another") is not landing
    assert not list(tmp_path.iterdir())
    with Destination(path) as destination:
        destination.resume(4, "key").write(0, b"data")
        assert os.pread(destination.file, 9, 0) == b"data"
        destination.commit()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"data"


def test_what_a_killed_process_left_is_removed(tmp_path):
    """By the next fetch, whichever way it goes."""
    path = tmp_path / "image"
    with Landing(path, 4, "key") as landing:
        landing.write(0, b"da")
    assert landing.folder.exists()
    fetcher_of(gives(b"data")).fetch([A], path)
    assert list(tmp_path.iterdir()) == [path]
    with Landing(path, 4, "key") as landing:
        fetcher_of(gives(b"date")).fetch([A], path)
        assert landing.folder.exists()  # it is in use


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_not_replaced(tmp_path, make):
    """Nothing is fetched for a name that can't be had."""
    make(tmp_path / "image")
    with pytest.raises(DestinationError, match="remove it first"):
        fetcher_of(gives(b"data")).fetch([A], tmp_path / "image")


def test_many_fetches_to_one_name(tmp_path):
    """Each is whole, whoever wins."""
    wanted = [bytes([number]) * 100_000 for number in range(8)]
    with load_executor("thread", max_workers=8) as executor:
        list(
            executor.map(
                lambda data: fetcher_of(gives(data)).fetch(
                    [A], tmp_path / "image"
                ),
                wanted,
            )
        )
    assert (tmp_path / "image").read_bytes() in wanted
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
