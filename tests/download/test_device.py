"""A swarm to a block device: whole and verified, or without a beginning."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import pytest
from tests.cli.test_cli import command
from tests.cli.test_swarm import running, tracker  # noqa: F401 - a fixture
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving, slow_line
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    image_of,
    torrent_of,
)
from tests.loops import loop_device
from tests.polling import until

from parallelops.download import (
    HerdOptions,
    HTTPSource,
    Image,
    Never,
    Swarm,
    downloader,
)
from parallelops.download.device import DeviceMember
from parallelops.download.member import Member
from parallelops.errors import DataMismatch, FetchCancelled
from parallelops.landing.device import DeviceLanding

pytestmark = pytest.mark.once

HEAD = 1 << 20
ROOM = SIZE // 512 * 512 + 512


@pytest.fixture
def loops(tmp_path):
    """Makes loop devices; they are gone afterwards."""
    numbers = itertools.count()
    with contextlib.ExitStack() as made:

        def loop():
            backing = tmp_path / f"backing{next(numbers)}"
            backing.write_bytes(b"old" * (ROOM // 3 + 1))
            os.truncate(backing, ROOM)
            return Path(made.enter_context(loop_device(backing)))

        yield loop


@pytest.fixture
def for_devices():
    """Skips where no swarm can be for devices."""
    libtorrent = pytest.importorskip("libtorrent")
    if not hasattr(libtorrent.session_params, "disk_io_constructor"):
        pytest.skip("libtorrent before 2.1 does not write to devices")


@pytest.fixture
def device(request, tmp_path, monkeypatch, for_devices):
    """Makes devices, or files that are taken for some where none can be."""
    if not os.geteuid() and Path("/dev/loop-control").exists():
        return request.getfixturevalue("loops")
    made = []
    landing = downloader._landing

    def choose(to, size, key):
        kind = DeviceLanding(to, size) if to in made else None
        return kind or landing(to, size, key)

    monkeypatch.setattr(downloader, "_landing", choose)
    monkeypatch.setattr(DeviceLanding, "_check", lambda landing: None)

    def file():
        made.append(tmp_path / f"device{len(made)}")
        made[-1].write_bytes(bytes(ROOM))
        return made[-1]

    return file


def on(path, count=SIZE):
    """What is at the beginning of a device."""
    with path.open("rb") as file:
        return file.read(count)


@pytest.fixture
def before_it_counts(monkeypatch):
    """What is on a device when all of it has just been verified."""
    seen = []
    complete = DeviceMember.complete

    def spy(member):
        seen.append(on(member._landing.path))
        complete(member)

    monkeypatch.setattr(DeviceMember, "complete", spy)
    return seen


def begins_last(before_it_counts, data):
    """All but the beginning was there when the rest was verified."""
    (before,) = before_it_counts
    assert not any(before[:HEAD])
    assert before[HEAD:] == data[HEAD:]


def test_others_bring_all_of_it(
    data,
    agents,  # noqa: F811
    device,
    before_it_counts,
    monkeypatch,
):
    """Its beginning is there once the rest is verified; then it is given."""
    done = []
    sync, add_piece = DeviceLanding.sync, Member.add_piece
    monkeypatch.setattr(
        DeviceLanding, "sync", lambda self: done.append("sync") or sync(self)
    )
    monkeypatch.setattr(
        Member,
        "add_piece",
        lambda *it: done.append("write") or add_piece(*it),
    )
    (seed,) = agents(1)
    agent, last = agents(2, first=1, devices=True)
    agent.path = device()
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    done.clear()
    result = agent.fetch(image_of(data, others=[seed]), herd=TOGETHER)
    assert agent.error is None
    assert on(agent.path) == data
    # Nor is there a beginning without the rest after a power cut.
    assert done == ["sync", *["write"] * (HEAD >> 14), "sync", "sync"]
    assert result.decision == "swarm"
    assert result.received["swarm"] >= SIZE
    begins_last(before_it_counts, data)
    seed.swarm.close()
    last.fetch(image_of(data, others=[agent]), herd=TOGETHER)
    assert last.path.read_bytes() == data


def test_a_beginning_is_shared_with_the_same_others():
    """With nobody outside of the networks, however they are said."""
    allowed = iter(["127.0.0.10/32"])
    with (
        Swarm("127.0.0.1:0", networks=allowed, devices=True) as swarm,
        swarm.twin() as twin,
    ):
        for each in (swarm, twin):
            refused = each._session.get_ip_filter().access
            assert not refused("127.0.0.10")
            assert refused("127.0.0.11")


def test_a_herd_of_devices_reads_the_origin_about_once(
    data,
    agents,  # noqa: F811
    device,
    tracker,  # noqa: F811
):
    """All begin at once, and nobody has the image as a file."""
    all_begin_at_once(agents(3, devices=True), data, tracker, device)


def all_begin_at_once(herd, data, tracker, device):  # noqa: F811
    """Each to a device of its own; the origin is read about once."""
    with serving(data, behave=slow_line(SIZE)) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=[tracker]),
            sources=[HTTPSource(origin.url)],
        )
        for agent in herd:
            agent.path = device()
            agent.start(image, herd=TOGETHER)
        for agent in herd:
            agent.thread.join()
    for agent in herd:
        assert agent.error is None
        assert on(agent.path) == data
    assert origin.sent <= 1.5 * SIZE


def test_an_image_that_is_not_it_has_no_beginning(
    data,
    agents,  # noqa: F811
    device,
    before_it_counts,
):
    """Each piece was right; the torrent was of another image."""
    other = data[::-1]
    (seed,) = agents(1)
    (agent,) = agents(1, first=1, devices=True)
    agent.path = device()
    with serving(other) as origin:
        seed.fetch(image_of(other, origin.url))
    image = Image(
        digest=digest_of(data),
        torrent=torrent_of(other),
        peers=[seed.address],
    )
    agent.fetch(image, herd=TOGETHER)
    assert isinstance(agent.error, DataMismatch)
    assert not any(on(agent.path, HEAD))
    assert not before_it_counts
    assert not agent.swarm._members


def test_what_came_from_others_is_kept_for_the_origin(
    data,
    agents,  # noqa: F811
    device,
    tmp_path,
):
    """When the swarm brings no more; the beginning is part of it."""
    (seed,) = agents(1)
    (agent,) = agents(1, first=1, devices=True)
    agent.path = device()
    half = tmp_path / "half"
    half.write_bytes(data[: SIZE // 2] + bytes(SIZE - SIZE // 2))
    member = seed.swarm.join(torrent_of(data), half)
    until(lambda: any(member.view().have))
    with serving(data) as origin:
        result = agent.fetch(
            image_of(data, origin.url, others=[seed]),
            gate=Never(),
            herd=HerdOptions(grace=0.1, stall=60.0, patience=1.0),
        )
    assert agent.error is None
    assert on(agent.path) == data
    assert result.decision == "origin"
    assert 0 < origin.sent < 0.7 * SIZE


def test_a_swarm_that_is_closed_is_not_waited_for(data, agents, device):  # noqa: F811
    """The origin has all of it."""
    (agent,) = agents(1, devices=True)
    agent.path = device()
    closed = []

    def behave(request):
        if request.server.origin.sent > SIZE / 2 and not closed:
            closed.append(agent.swarm.close())
        return False

    with serving(data, behave=behave) as origin:
        origin.server.origin = origin
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert on(agent.path) == data
    assert result.decision == "origin"


def test_what_is_called_off_has_no_beginning(data, agents, device):  # noqa: F811
    """And the swarm is left."""
    (agent,) = agents(1, devices=True)
    agent.path = device()
    with serving(data, behave=slow_line(SIZE)) as origin:
        image = image_of(data, origin.url)
        agent.fetch(image, cancelled=lambda: origin.sent > SIZE / 2)
    assert isinstance(agent.error, FetchCancelled)
    assert not any(on(agent.path, HEAD))
    assert not agent.swarm._members


def test_a_swarm_that_is_not_for_devices_says_so(data, agents, loops):  # noqa: F811
    """Trap 12: it would fail, or cut a file off."""
    (agent,) = agents(1)
    agent.path = loops()
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert "not for devices" in result.reason
    assert on(agent.path) == data


def test_an_old_libtorrent_leaves_it_to_the_origin(
    data,
    agents,  # noqa: F811
    device,
    monkeypatch,
):
    """It would not say that it knows no other way to write."""
    params = pytest.importorskip("libtorrent").session_params
    monkeypatch.delattr(params, "disk_io_constructor")
    (agent,) = agents(1, devices=True)
    agent.path = device()
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert "not of libtorrent 2.1" in result.reason
    assert on(agent.path) == data


def test_a_process_that_is_killed_leaves_no_beginning(
    data,
    loops,
    tracker,  # noqa: F811
    tmp_path,
):
    """And the next one brings it all."""
    torrent, out = tmp_path / "torrent", loops()
    torrent.write_bytes(torrent_of(data, trackers=[tracker]).dump())
    with serving(data, behave=slow_line(3 * SIZE)) as origin:
        get = [
            *("image", "get", "--torrent", str(torrent), "--out", str(out)),
            *("--url", origin.url, "--digest", digest_of(data)),
            *("--listen", "127.0.0.71:0"),
        ]
        with running(*get) as process:
            until(lambda: origin.sent > SIZE / 2)
            process.kill()
            process.wait()
        assert not any(on(out, HEAD))
        assert command(*get).returncode == 0
    assert on(out) == data
