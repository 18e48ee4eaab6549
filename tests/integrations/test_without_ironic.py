"""What of the integration with Ironic's agent needs no agent."""

from __future__ import annotations

import sys

import pytest

from parallelops import load_executor
from parallelops.download import Downloader
from parallelops.errors import (
    MissingDependency,
    SizeUnknown,
    TransferError,
)
from parallelops.integrations.ironic import AgentDownloads
from parallelops.integrations.ironic.source import ResponseSource
from parallelops.runtime import ThreadRuntime

URL = "http://127.0.0.1/image?temp_url_sig=hunter2"
PARTS = [b"abc", b"def", b"g"]


class Response:
    """One of requests, as far as it is used."""

    def __init__(self, parts=PARTS, error=None, **headers):
        self.headers = headers
        self.closed = False
        self._parts = parts
        self._error = error

    def iter_content(self, size):
        yield from self._parts
        if self._error is not None:
            raise self._error

    def close(self):
        self.closed = True


@pytest.fixture
def opened():
    """Opens an origin that answers with these responses."""

    def opened(*responses, size=None):
        left = list(responses)
        source = ResponseSource(URL, lambda: left.pop(0))
        assert "hunter2" not in repr(source)
        assert source.copies() == [source]
        return source.open(ThreadRuntime(), size)

    return opened


def test_what_is_missing_is_named(monkeypatch):
    """With the extra that has it."""
    for name in list(sys.modules):
        if name.startswith("ironic_python_agent"):
            monkeypatch.delitem(sys.modules, name)
    name = "parallelops.integrations.ironic.agent"
    monkeypatch.delitem(sys.modules, name, raising=False)
    package = sys.modules["parallelops.integrations.ironic"]
    monkeypatch.delattr(package, "agent", raising=False)
    monkeypatch.setitem(sys.modules, "ironic_python_agent", None)
    with (
        load_executor("serial") as executor,
        pytest.raises(MissingDependency, match=r"parallelops\[ironic\]"),
    ):
        AgentDownloads(Downloader(executor))


def test_the_first_response_is_not_thrown_away(opened):
    """It says how large the image is, and is read then."""
    response = Response(**{"Content-Length": "7"})
    origin = opened(response)
    assert origin.size() == 7
    assert list(origin.stream(2, 7)) == [(2, b"c"), (3, b"def"), (6, b"g")]
    assert response.closed
    assert origin.received == 7
    assert not origin.ranged


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(), "ends at byte 7"),
        (Response(parts=[b"ab"]), "ends at byte 2"),
        (Response(parts=[b"abcdefgh"]), "too much"),
        (Response(error=OSError(f"reset by {URL}")), "reset by"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(opened, response, expected):
    """And what is open is closed."""
    origin = opened(response, size=7)
    try:
        said = f"{sum(len(data) for _, data in origin.stream(0, 8))}"
    except TransferError as error:
        said = str(error)
    assert expected in said
    assert "hunter2" not in said
    assert response.closed


def test_a_size_that_nobody_says_is_an_error(opened):
    """One that can be told from others."""
    response = Response()
    with pytest.raises(SizeUnknown):
        opened(response).size()
    assert response.closed


def test_an_origin_that_was_closed_goes_no_further(opened):
    """Even in the midst of it."""
    origin = opened(Response(), size=7)
    parts = origin.stream(0, 7)
    next(parts)
    origin.close()
    with pytest.raises(TransferError, match="ended"):
        next(parts)


def test_who_does_not_answer_is_an_error():
    """Whatever is raised."""
    source = ResponseSource(URL, lambda: [].pop())
    with pytest.raises(TransferError, match="pop from empty"):
        source.open(ThreadRuntime(), None).size()
