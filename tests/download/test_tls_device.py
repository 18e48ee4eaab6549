"""Images from peers by TLS that go to block devices.

The beginning of one has a swarm of its own: that, too, is for those of the
same CA, and for nobody else.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_cli import command
from tests.cli.test_swarm import running, tracker  # noqa: F401 - a fixture
from tests.download.authority import Authority
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving
from tests.download.test_device import (  # noqa: F401 - fixtures
    HEAD,
    all_begin_at_once,
    before_it_counts,
    begins_last,
    device,
    for_devices,
    loops,
    on,
)
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    image_of,
    torrent_of,
)
from tests.download.test_tls import ALERT, flags, heard
from tests.polling import until

from parallelops.download import Swarm

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The CA of those who share: one that another one has signed."""
    folder = tmp_path_factory.mktemp("ours")
    return Authority(folder / "ca", by=Authority(folder / "root"))


def test_others_bring_all_of_it(
    data,
    agents,  # noqa: F811
    device,  # noqa: F811
    before_it_counts,  # noqa: F811
    authority,
):
    """Its beginning last; then it is given to others, by TLS as well."""
    (seed,) = agents(1, tls=authority.issue())
    (agent,) = agents(1, first=1, devices=True, tls=authority.issue())
    (last,) = agents(1, first=2, tls=authority.issue())
    agent.path = device()
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    result = agent.fetch(image_of(data, others=[seed]), herd=TOGETHER)
    assert agent.error is None
    assert on(agent.path) == data
    assert result.decision == "swarm"
    assert result.received["swarm"] >= SIZE
    begins_last(before_it_counts, data)
    seed.swarm.close()
    last.fetch(image_of(data, others=[agent]), herd=TOGETHER)
    assert last.error is None
    assert last.path.read_bytes() == data


def test_a_herd_of_devices_reads_the_origin_about_once(
    data,
    agents,  # noqa: F811
    device,  # noqa: F811
    tracker,  # noqa: F811
    authority,
):
    """They find each other's beginnings by a tracker, and by TLS."""
    herd = [
        *agents(1, devices=True, tls=authority.issue()),
        *agents(1, first=1, devices=True, tls=authority.issue()),
        *agents(1, first=2, devices=True, tls=authority.issue()),
    ]
    all_begin_at_once(herd, data, tracker, device)


@pytest.mark.parametrize("by", ["TLS", "TCP"])
def test_a_beginning_is_kept_from_strangers(data, authority, tmp_path, by):
    """Not even that it is there is said."""
    path = tmp_path / "head"
    path.write_bytes(data)
    with (
        Swarm("127.0.0.10:0", devices=True, tls=authority.issue()) as swarm,
        swarm.twin() as twin,
    ):
        member = twin.join(torrent_of(data), path)
        until(lambda: all(member.view().have))
        address = ("127.0.0.10", twin.port)
        answer = heard(address, member.torrent.info_hash, by)
    assert b"BitTorrent" not in answer
    assert answer[:1] in (b"", ALERT)


def test_files_that_went_bad_leave_the_origin(
    data,
    agents,  # noqa: F811
    device,  # noqa: F811
    authority,
):
    """Before either of the two swarms has begun."""
    tls = authority.issue()
    (agent,) = agents(1, devices=True, tls=tls)
    agent.path = device()
    Path(tls.key).write_text(Path(authority.issue().key).read_text())
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert on(agent.path) == data
    assert result.decision == "origin"
    assert "not the key of" in result.reason
    assert not agent.swarm._members


def test_a_process_writes_a_device(
    data,
    for_devices,  # noqa: F811
    loops,  # noqa: F811
    tracker,  # noqa: F811
    authority,
    tmp_path,
):
    """With nobody but one that gives it by TLS."""
    original, torrent, out = tmp_path / "original", tmp_path / "t", loops()
    original.write_bytes(data)
    torrent.write_bytes(torrent_of(data, trackers=[tracker]).dump())
    seed = [
        *("image", "seed", str(original), "--torrent", str(torrent)),
        *("--listen", "127.0.0.65:0", *flags(authority.issue())),
    ]
    with running(*seed) as process:
        assert "is given to others" in process.stdout.readline()
        got = command(
            *("image", "get", "--torrent", str(torrent), "--out", str(out)),
            *("--digest", digest_of(data), "--listen", "127.0.0.66:0"),
            *flags(authority.issue()),
        )
    assert got.returncode == 0, got.stderr
    assert on(out) == data
