"""A tracker that says nothing: it is gone, or has thousands to answer."""

from __future__ import annotations

import contextlib
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
    Grant,
    HTTPSource,
    Image,
    Register,
    Tracker,
    lease_client,
    scrape,
)
from parallelops.errors import TransferError
from parallelops.testing import FakeClock

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
    monkeypatch.setattr("parallelops.download.asking._SIGN", 0.3)
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
    monkeypatch.setattr("parallelops.download.asking._SIGN", 0.1)
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
    monkeypatch.setattr("parallelops.download.asking._SIGN", 0.1)
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


@contextlib.contextmanager
def answers(body, later=b"", before=lambda: None):
    """A tracker with one answer, or with the beginning of one; after that it
    waits for the client to go. Yields the URL."""

    def answer():
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(1 << 12)
            before()
            size = len(body) + len(later)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"
            connection.sendall(head.encode() + body)
            with contextlib.suppress(OSError):
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/announce"
        thread.join()


@pytest.mark.parametrize(
    "ask",
    [
        lambda url, clock: lease_client(url, clock)(IMAGE, ME),
        lambda url, clock: scrape(url, IMAGE, clock),
    ],
    ids=["lease", "scrape"],
)
def test_an_answer_that_comes_in_drips_is_given_up(ask):
    """The time is for all of it, not for each of its bytes."""
    clock = FakeClock()
    late = {"later": b" " * 100, "before": lambda: clock.advance(31)}
    with (
        answers(b" ", **late) as url,
        pytest.raises(TransferError, match="takes too long"),
    ):
        ask(url, clock)


FINE = {
    "place": "null",
    "places": "8",
    "seconds": "30",
    "holders": "[]",
    "begins": "true",
}
ODD = {
    "place": ["1e400", "-1", "8", "[]", "{}", "NaN", "9" * 5000],
    "places": ["1e400", "-1", "0", "null", "1" + "0" * 400, '"x"'],
    "seconds": ["1e400", "NaN", "-1", "0", "null", "1" + "0" * 400],
    "holders": ["[1]", "[null]", '["x"]', '["00"]', "{}", '""', "7", "null"],
}


def lease_of(**fields):
    parts = ",".join(f'"{k}":{v}' for k, v in {**FINE, **fields}.items())
    return "{" + parts + "}"


@pytest.mark.parametrize(
    "body",
    [
        *("[" * 60_000, "[]", "null", "", "\ud800", "{}"),
        *(lease_of(**{k: v}) for k, values in ODD.items() for v in values),
    ],
    ids=lambda body: body[:60],
)
def test_an_odd_answer_is_no_lease(body):
    """Whatever it is: others decide then."""
    sent = body.encode(errors="surrogatepass")
    with (
        answers(sent) as url,
        pytest.raises(TransferError, match="no lease"),
    ):
        lease_client(url, FakeClock())(IMAGE, ME)


def test_a_lease_may_have_no_place():
    """So the odd ones are odd for what they say."""
    with answers(lease_of().encode()) as url:
        grant = lease_client(url, FakeClock())(IMAGE, ME)
    assert grant == Grant(place=None, places=8, seconds=30.0, begins=True)


@pytest.mark.parametrize("count", ["le", "i-1e", "de", "1:x"])
def test_an_odd_answer_is_no_scrape(count):
    """There are no such numbers."""
    counts = f"d8:complete{count}10:incompletei0ee"
    sent = b"d5:filesd20:%b%bee" % (IMAGE, counts.encode())
    with (
        answers(sent) as url,
        pytest.raises(TransferError, match="no scrape"),
    ):
        scrape(url, IMAGE, FakeClock())
