"""What a swarm cannot use is refused, and nothing of it is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.download.conftest import digest_of
from tests.download.origin import serving
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    Agent,
    agents,
    image_of,
    torrent_of,
)

from parallelops.download import Image
from parallelops.errors import SwarmError

pytest.importorskip("libtorrent")

WRONG = [
    ("localhost", 6881),
    ("127.0.0.1", 99999),
    ("127.0.0.1", -1),
    ("127.0.0.1", "6881"),
    (2130706433, 6881),
    "127.0.0.1:6881",
    None,
]


@pytest.mark.parametrize("peer", [*WRONG, ("127.0.0.1", 0)], ids=repr)
def test_a_peer_that_is_none_is_refused(data, peer):
    """Before anything begins."""
    with pytest.raises(ValueError, match="port from 1 to 65535"):
        Image(digest=digest_of(data), torrent=torrent_of(data), peers=[peer])


def test_a_peer_may_have_any_address(data):
    """Of either kind."""
    peers = [("127.0.0.1", 1), ("::1", 65535)]
    image = Image(
        digest=digest_of(data), torrent=torrent_of(data), peers=peers
    )
    assert image.peers == peers


@pytest.mark.parametrize("peer", WRONG, ids=repr)
def test_a_join_that_fails_leaves_nothing(
    data,
    agents,  # noqa: F811
    peer,
):
    """The image can be joined after it."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    with pytest.raises(SwarmError, match="no peer"):
        agent.swarm.join(torrent, agent.path, peers=[peer])
    agent.swarm.join(torrent, agent.path).leave()


def test_a_path_that_is_no_utf8_is_for_the_origin(
    data,
    agents,  # noqa: F811
    tmp_path,
):
    """libtorrent takes no other."""
    (agent,) = agents(1)
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
    folder.mkdir()
    agent.path = folder / "image"
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert result.decision == "origin"
    assert "UTF-8" in result.reason
    assert agent.path.read_bytes() == data
