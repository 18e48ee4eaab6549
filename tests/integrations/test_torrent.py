"""The torrent handler: real swarms of two sessions on this machine."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest
from tests.download.origin import serving
from tests.polling import until

from parallelops import load_executor
from parallelops.download import (
    HerdOptions,
    Register,
    Swarm,
    TorrentWriter,
    Tracker,
)
from parallelops.errors import GroupFailed, NoLocationWorked
from parallelops.images import (
    Fetcher,
    FetchOptions,
    GroupMember,
    ImageGroup,
    LocationEntry,
    Wanted,
    load_handlers,
)
from parallelops.integrations.torrent import TorrentHandler

pytest.importorskip("libtorrent")

DATA = random.Random(5).randbytes(2_000_001)
WANTED = Wanted(
    size=len(DATA), digest=f"sha256:{hashlib.sha256(DATA).hexdigest()}"
)
ALONE = HerdOptions(grace=0.1)
# It goes on as soon as they have found each other.
TOGETHER = HerdOptions(grace=15.0, patience=60.0)
NOWHERE = "http://127.0.0.1:9/image"


def torrent_of(data, *trackers):
    writer = TorrentWriter(len(data), piece_size=1 << 15)
    writer.update(data)
    return writer.finish(trackers)


@pytest.fixture
def executor():
    """Threads that read, and that answer for the tracker."""
    with load_executor("thread", max_workers=6) as executor:
        yield executor


@pytest.fixture
def torrent(executor):
    """The torrent of the image; its tracker runs."""
    register = Register(executor.runtime, interval=2.0)
    with Tracker(executor, register, "127.0.0.1:0") as tracker:
        serving = executor.submit(tracker.serve)
        yield torrent_of(DATA, tracker.url)
    serving.result()


@pytest.fixture
def seeder(torrent, tmp_path):
    """Somebody who has the image, and gives it to others."""
    folder = tmp_path / "seeder"
    folder.mkdir()
    (folder / "data").write_bytes(DATA)
    with Swarm("127.0.0.2:0") as swarm:
        member = swarm.join(torrent, folder / "data")
        until(lambda: all(member.view().have))
        member.seed()
        yield member


def entry(torrent, url=NOWHERE, **metadata):
    """A location that brings its torrent along."""
    text = base64.b64encode(torrent.dump()).decode()
    return LocationEntry(url=url, metadata={"image_torrent": text, **metadata})


def test_an_image_comes_from_a_swarm(seeder, torrent, executor, tmp_path):
    """By the handler's name, without a byte from the origin."""
    folder = tmp_path / "images"
    folder.mkdir()
    told = []
    result = Fetcher(
        handlers=load_handlers(["file", "torrent", "http"]),
        executor=executor,
    ).fetch([entry(torrent)], folder / "image", WANTED, progress=told.append)
    assert (result.handler, result.method) == ("torrent", "torrent")
    assert [each.handler for each in result.attempts] == ["file"]
    assert (folder / "image").read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == ["image"]
    assert told[-1] == len(DATA)
    assert seeder.view().sent >= len(DATA)


@pytest.mark.once
def test_who_has_a_swarm_gives_to_others(torrent, executor, tmp_path):
    """The first reads the location, the second has it from the first."""
    with (
        serving(DATA) as origin,
        Swarm("127.0.0.3:0") as mine,
        Swarm("127.0.0.4:0") as other,
    ):
        sent = []
        for name, swarm, herd in (
            ("a", mine, ALONE),
            ("b", other, TOGETHER),
        ):
            fetcher = Fetcher(
                handlers=[("torrent", TorrentHandler(swarm, herd=herd))],
                executor=executor,
            )
            location = entry(torrent, origin.url)
            fetcher.fetch([location], tmp_path / name, WANTED)
            assert (tmp_path / name).read_bytes() == DATA
            sent.append(origin.sent)
        assert sent[0] < 1.5 * len(DATA)
        assert sent[1] - sent[0] < len(DATA) / 2
    # What was shared goes with the swarm.
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a", "b"}


@pytest.mark.once
def test_a_group_is_shared_from_a_spool(seeder, torrent, executor, tmp_path):
    """Its folder moves, and what is written to it spoils nothing."""
    (tmp_path / "spool").mkdir()
    member = GroupMember((entry(torrent),), WANTED)
    with Swarm("127.0.0.3:0") as swarm:
        handler = TorrentHandler(swarm, spool=tmp_path / "spool")
        fetcher = Fetcher(
            handlers=[("torrent", handler), *load_handlers(["http"])],
            executor=executor,
        )
        group = ImageGroup({"disk": member})
        group.fetch(executor, fetcher, tmp_path / "group")
        (folder,) = (tmp_path / "spool").iterdir()
        (tmp_path / "group" / "disk").write_bytes(b"something else")
        assert (folder / "data").read_bytes() == DATA
        # While it is shared, others have to bring it.
        with pytest.raises(GroupFailed, match="shared already"):
            group.fetch(executor, fetcher, tmp_path / "again")
        assert folder.exists()
    assert [path.name for path in (tmp_path / "group").iterdir()] == ["disk"]
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize("fault", ["refused", "nobody", "bad url"])
def test_the_next_handler_gets_it(executor, tmp_path, fault):
    """With the reason in the result."""
    torrent = torrent_of(DATA)
    reasons = {
        "refused": "sha256",
        "nobody": "nothing came for 0.5 seconds",
        "bad url": "no http",
    }
    metadata = {
        "refused": {"image_torrent_sha256": "0" * 64},
        "nobody": {},
        "bad url": {"image_torrent_url": "file:///x"},
    }[fault]
    with serving(DATA) as origin:
        location = entry(torrent, origin.url, **metadata)
        if fault == "bad url":
            location = LocationEntry(
                url=origin.url,
                metadata={**metadata, "image_torrent_sha256": "0" * 64},
            )
        if fault == "nobody":
            (tmp_path / "image.raw").write_bytes(DATA)
            location = entry(torrent, (tmp_path / "image.raw").as_uri())
        result = Fetcher(
            handlers=load_handlers(["torrent", "file", "http"]),
            executor=executor,
            options=FetchOptions(folders=(tmp_path,), timeout=0.5),
        ).fetch([location], tmp_path / "image", WANTED)
    assert result.handler in ("file", "http")
    assert (tmp_path / "image").read_bytes() == DATA
    first = result.attempts[0]
    assert first.handler == "torrent"
    assert not first.declined
    assert reasons[fault] in first.reason
    assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]


def test_it_declines_what_is_not_for_it(executor, tmp_path):
    """And says why."""
    torrent = torrent_of(DATA)
    for location, wanted, executor_, reason in (
        (LocationEntry(url=NOWHERE), WANTED, executor, "names no torrent"),
        (entry(torrent), Wanted(), executor, "without a digest"),
        (entry(torrent), WANTED, None, "no executor"),
        (
            entry(torrent),
            Wanted(container="ova", digest=WANTED.digest),
            executor,
            "packages",
        ),
    ):
        fetcher = Fetcher(
            handlers=load_handlers(["torrent"]), executor=executor_
        )
        with pytest.raises(NoLocationWorked, match=reason):
            fetcher.fetch([location], tmp_path / "image", wanted)
    assert not list(tmp_path.iterdir())
