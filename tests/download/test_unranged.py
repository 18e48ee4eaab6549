"""A herd, and an origin that takes no ranges: it is read from begin to end."""

from __future__ import annotations

import collections
import contextlib
import socket

import pytest
from tests.download.conftest import SECRET, SIZE
from tests.download.origin import serving, slow_line
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    image_of,
)

from parallelops.errors import FetchCancelled

pytestmark = pytest.mark.once


@contextlib.contextmanager
def unranged(data):
    """An origin behind a line that all share; it counts by path."""
    slow = slow_line(SIZE)
    sent = collections.Counter()

    def behave(request):
        slow(request)
        send = request.send

        def counted(body):
            for at in range(0, len(body), 1 << 14):
                piece = body[at : at + (1 << 14)]
                send(piece)
                sent[request.path] += len(piece)

        request.send = counted

    with serving(data, ranged=False, behave=behave) as origin:
        # Else all of it is under way before anybody has read some.
        origin.server.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14
        )
        origin.sent_to = sent
        yield origin


def run(data, origin, herd, leaves=lambda number: False):
    """All begin at once; each asks for a path of its own."""
    host = origin.url.removesuffix("/image")
    for number, agent in enumerate(herd):
        agent.start(
            image_of(data, f"{host}/{number}", others=herd),
            herd=TOGETHER,
            cancelled=lambda number=number: leaves(number),
        )
    for agent in herd:
        agent.thread.join()


def test_one_of_a_herd_reads_it(data, agents):  # noqa: F811
    """The others begin, and see that somebody brings it."""
    herd = agents(5)
    with unranged(data) as origin:
        run(data, origin, herd)
    for agent in herd:
        assert agent.error is None
        assert agent.path.read_bytes() == data
        assert agent.result.received["origin"] <= SIZE
    assert len(origin.log) <= len(herd)
    # Two who have not found each other yet may both go on.
    assert origin.sent <= 3 * SIZE


def test_another_goes_on_when_who_reads_it_goes(data, agents):  # noqa: F811
    """Where it was, and with what it had; so none reads it twice."""
    herd = agents(4)
    gone = set()

    def leaves(number):
        if not gone and origin.sent_to[f"/{number}{SECRET}"] > 0.6 * SIZE:
            gone.add(number)
        return number in gone

    with unranged(data) as origin:
        run(data, origin, herd, leaves)
    (first,) = gone
    assert isinstance(herd.pop(first).error, FetchCancelled)
    for agent in herd:
        assert agent.error is None
        assert agent.path.read_bytes() == data
        assert agent.result.received["origin"] <= SIZE
    assert len(origin.log) <= 4
    assert all(count <= SIZE for count in origin.sent_to.values())
