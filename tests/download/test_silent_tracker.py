"""A tracker that says nothing: it is gone, or has thousands to answer."""

from __future__ import annotations

import socket
import threading

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving
from tests.download.silent import drops_packets, never_answers
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    FAST,
    agents,
    torrent_of,
)

from parallelops import load_executor
from parallelops.download import (
    HTTPSource,
    Image,
    Register,
    Tracker,
    lease_client,
)
from parallelops.errors import TransferError

IMAGE = bytes(20)
ME = b"p" * 20


@pytest.fixture(params=[never_answers, drops_packets])
def silent(request):
    """The URL of a tracker that says nothing."""
    with request.param() as port:
        yield f"http://127.0.0.1:{port}/announce"


@pytest.mark.once
def test_one_alone_does_not_wait_for_it(data, agents, silent, monkeypatch):  # noqa: F811
    """It goes to the origin, and says why."""
    monkeypatch.setattr("parallelops.download.tracker._SIGN", 0.3)
    monkeypatch.setattr("parallelops.download.plan._SILENT", 0.3)
    (agent,) = agents(1)
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=[silent]),
            sources=[HTTPSource(origin.url)],
        )
        # Libtorrent gives it up after twenty seconds, and a lease takes 30.
        agent.fetch(image, herd=FAST, timeout=10.0)
    assert agent.error is None
    assert origin.sent == SIZE
    assert agent.result.decision == "origin"
    assert "nobody else" in agent.result.reason
    assert "no lease" in agent.result.reason
    assert "TimeoutError" in agent.result.reason


def test_one_that_says_that_it_is_there_is_waited_for(monkeypatch):
    """It has others to answer first."""
    monkeypatch.setattr("parallelops.download.tracker._SIGN", 0.1)
    free = threading.Event()
    with load_executor("thread", max_workers=1) as executor:
        register = Register(executor.runtime)
        with Tracker(executor, register, "127.0.0.1:0") as tracker:
            serving = threading.Thread(target=tracker.serve)
            serving.start()
            executor.submit(free.wait, 20)
            late = threading.Timer(0.4, free.set)
            late.start()
            ask = lease_client(tracker.url, executor.runtime)
            assert ask(IMAGE, ME).place == 0
            assert free.is_set()
        serving.join()
        late.join()


@pytest.mark.once
def test_one_that_is_gone_while_it_is_waited_for_is_an_error(monkeypatch):
    """A sign is no promise."""
    monkeypatch.setattr("parallelops.download.tracker._SIGN", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        load_executor("serial") as executor,
    ):
        url = f"http://127.0.0.1:{server.getsockname()[1]}/announce"

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TransferError):
            lease_client(url, executor.runtime)(IMAGE, ME)
        thread.join()
