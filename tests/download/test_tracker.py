"""The tracker, over the network, and agents that find each other by it."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from urllib.parse import quote

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving, slow_line
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    torrent_of,
)
from tests.download.tracking import WORKERS, tracking

from parallelops import load_executor
from parallelops.download import Grant, Lease, lease_client
from parallelops.download.bencode import decode

IMAGE = bytes(range(100, 120))


@pytest.fixture
def tracker():
    """One that serves in a thread."""
    with tracking() as tracker:
        yield tracker


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def ask(tracker, what, **fields):
    query = "&".join(f"{k}={quote(v)}" for k, v in fields.items())
    url = tracker.url.replace("/announce", f"/{what}?{query}")
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def announce(tracker, **fields):
    fields = {
        "info_hash": IMAGE,
        "peer_id": b"p" * 20,
        "port": "7",
        "left": "1",
        **fields,
    }
    return decode(ask(tracker, "announce", **fields))


def test_those_who_announce_are_told_of_each_other(tracker):
    """In the compact form, with the counts."""
    assert announce(tracker)[b"peers"] == b""
    answer = announce(tracker, peer_id=b"q" * 20, left="0")
    assert answer[b"peers"] == b"\x7f\0\0\1\0\7"
    assert (answer[b"complete"], answer[b"incomplete"]) == (1, 1)
    files = decode(ask(tracker, "scrape", info_hash=IMAGE))[b"files"]
    assert files[IMAGE][b"complete"] == 1


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
def test_a_tracker_of_ipv6_can_be_asked():
    """Its URL has brackets, and those who have such an address are named."""
    with tracking("[::1]:0") as tracker:
        assert tracker.url.startswith("http://[::1]:")
        assert announce(tracker)[b"peers6"] == b""
        answer = announce(tracker, peer_id=b"q" * 20)
        assert answer[b"peers6"] == bytes(15) + b"\1\0\7"


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
def test_clients_of_ipv4_have_such_an_address():
    """Though the socket is of IPv6; so racks are what they are."""
    with tracking("[::]:0") as tracker:
        port = tracker._server.server_address[1]
        tracker.url = f"http://127.0.0.1:{port}/announce"
        announce(tracker)
        answer = announce(tracker, peer_id=b"q" * 20)
        assert answer[b"peers"] == b"\x7f\0\0\1\0\7"
        assert answer[b"peers6"] == b""
        (swarm,) = tracker._server.register._swarms.values()
        assert list(swarm.racks) == [b"\x7f\0\0\0"]


@pytest.mark.parametrize(
    "fields",
    [
        {"info_hash": b"x"},
        {"peer_id": b""},
        {"port": "0"},
        {"port": "x"},
        {"left": "-1"},
        {"left": "9" * 100},
    ],
)
def test_a_damaged_announcement_is_refused(tracker, fields):
    """With a reason."""
    assert b"failure reason" in announce(tracker, **fields)


def test_a_client_that_says_nothing_stops_nobody(tracker):
    """Each has a worker of its own, and not for ever."""
    host, port = tracker._server.server_address
    with socket.create_connection((host, port)):
        assert announce(tracker)


def test_clients_that_drip_stop_nobody(tracker, monkeypatch):
    """As many as there are workers; each has so long for all of it."""
    monkeypatch.setattr("parallelops.download.tracker._TIMEOUT", 0.3)
    address = tracker._server.server_address
    done = threading.Event()

    def drip(connections):
        while not done.wait(0.05):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")

    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(address))
            for _ in range(WORKERS)
        ]
        for connection in connections:
            connection.sendall(b"GET /")
        thread = threading.Thread(target=drip, args=(connections,))
        thread.start()
        try:
            assert announce(tracker)
        finally:
            done.set()
            thread.join()


def test_a_request_without_an_end_is_not_read_for_ever(tracker):
    """There is no answer but that somebody is there."""
    line = b"a: " + b"x" * (1 << 10) + b"\r\n"
    with socket.create_connection(tracker._server.server_address) as client:
        client.settimeout(3)
        came = b""
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\n" + 20 * line + b"\r\n")
            while some := client.recv(1 << 10):
                came += some
    assert came in (b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def test_a_lease_is_asked_for(tracker):
    """And shown with how long it holds."""
    with load_executor("serial") as executor:
        ask_lease = lease_client(tracker.url, executor.runtime)
        p, q = b"p" * 20, b"q" * 20
        assert ask_lease(IMAGE, p) == Grant(
            place=0, places=8, seconds=30.0, holders=(p,), begins=True
        )
        assert ask_lease(IMAGE, q).place == 1
        assert ask_lease(IMAGE, p).holders == (p, q)


def test_agents_find_each_other_and_share_leases(data, agents, tracker):  # noqa: F811
    """A herd, with a tracker, leases, and nothing else (D5, D6, D7)."""
    from parallelops.download import HTTPSource, Image

    herd = agents(5)
    with (
        serving(data, behave=slow_line(SIZE / 2)) as origin,
        load_executor("serial") as executor,
    ):
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=[tracker.url]),
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
    assert origin.sent <= 1.5 * SIZE
