"""How much waits to be sent, by where a swarm listens."""

from __future__ import annotations

import socket

import pytest

from parallelops.download import Swarm
from parallelops.download.session import socket_buffer

pytest.importorskip("libtorrent")

LITTLE, A_PACKET = 32 << 10, 64 << 10


@pytest.fixture
def own():
    """An address of this machine that is not the loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no network")
        return probe.getsockname()[0]


@pytest.mark.parametrize(
    ("host", "size"),
    [
        ("192.0.2.1", LITTLE),
        ("[2001:db8::1]", LITTLE),
        # Where others may come by the loopback.
        ("127.0.0.1", A_PACKET),
        ("[::1]", A_PACKET),
        ("0.0.0.0", A_PACKET),
        ("[::]", A_PACKET),
        ("lo", A_PACKET),
    ],
)
def test_little_waits_but_a_packet_of_the_loopback(host, size):
    """With less than that, each waits until another is acknowledged."""
    assert socket_buffer(f"{host}:6881") == size


def test_a_swarm_does_as_its_address_says(own):
    """Its own, or the one that others are to know."""
    for listen, ip, size in (
        (f"{own}:0", None, LITTLE),
        ("0.0.0.0:0", own, LITTLE),
        ("127.0.0.1:0", None, A_PACKET),
    ):
        with Swarm(listen, ip=ip) as swarm:
            settings = swarm._session.get_settings()
        assert settings["send_socket_buffer_size"] == size
