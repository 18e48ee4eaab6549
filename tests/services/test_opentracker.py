"""Debian's opentracker in the place of our tracker.

Its package is built to serve none but the torrents of a list.
"""

from __future__ import annotations

import shutil
import signal
import urllib.request
from urllib.parse import quote

import pytest
from tests.download.conftest import data, digest_of  # noqa: F401 - a fixture
from tests.download.origin import serving
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    torrent_of,
)
from tests.polling import until
from tests.services.processes import Server, free_ports

from parallelops import load_executor
from parallelops.download import HTTPSource, Image, Lease, lease_client
from parallelops.download.bencode import decode


class OpenTracker:
    """One that serves what is in the file ``list``, by info-hash."""

    def __init__(self, folder):
        if shutil.which("opentracker") is None:
            pytest.skip("opentracker is not installed: apt install it")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/announce"
        self.list = folder / "list"
        self.list.touch()
        # Root's opentracker becomes somebody else, who has to read it.
        folder.chmod(0o755)
        self.list.chmod(0o644)
        self.server = Server(
            [
                *("opentracker", "-i", "127.0.0.1", "-p", port),
                *("-d", folder, "-w", "list"),
            ],
            port,
            folder / "log",
            cwd=folder,
        )
        self.server.wait()

    def allow(self, torrent):
        """Serve a torrent, too."""
        with self.list.open("a") as file:
            file.write(f"{torrent.info_hash.hex()}\n")
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: b"failure reason" not in self.announce(torrent))
        self.announce(torrent, event="stopped")

    def announce(self, torrent, event="started"):
        """The answer to somebody whom nobody can reach."""
        query = (
            f"info_hash={quote(torrent.info_hash)}&peer_id={'x' * 20}"
            f"&port=7&left=1&event={event}&compact=1"
        )
        with urllib.request.urlopen(f"{self.url}?{query}") as answer:
            return decode(answer.read())


@pytest.fixture
def tracker(tmp_path):
    """It has a folder of its own."""
    folder = tmp_path / "opentracker"
    folder.mkdir()
    tracker = OpenTracker(folder)
    yield tracker
    tracker.server.stop()


def test_what_is_not_on_the_list_is_not_served(tracker, data):  # noqa: F811
    """Until it is on it, and the tracker was told so."""
    torrent = torrent_of(data, trackers=[tracker.url])
    assert b"not authorized" in tracker.announce(torrent)[b"failure reason"]
    tracker.allow(torrent)


def test_agents_find_each_other_by_it(tracker, agents, data):  # noqa: F811
    """It has no leases to give, so that the gate draws lots instead."""
    torrent = torrent_of(data, trackers=[tracker.url])
    tracker.allow(torrent)
    herd = agents(2)
    with serving(data) as origin, load_executor("serial") as executor:
        image = Image(
            digest=digest_of(data),
            torrent=torrent,
            sources=[HTTPSource(origin.url)],
        )
        for agent in herd:
            client = lease_client(tracker.url, executor.runtime)
            agent.start(image, gate=Lease(client), herd=TOGETHER)
        for agent in herd:
            agent.thread.join()
    for agent in herd:
        assert agent.error is None
        assert agent.path.read_bytes() == data
    assert max(agent.result.peers for agent in herd) == 1
    assert origin.sent < 2 * len(data)
