"""Reads what an ``http://`` or ``https://`` URL gives, from begin to end."""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from parallelops.errors import TransferError
from parallelops.redact import redact_text, redact_url

if TYPE_CHECKING:
    from parallelops.images.handler import FetchContext

__all__ = ["HTTPReader", "is_http"]

_SCHEMES = ("http", "https")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# Connections in a row that brought nothing; each waits twice as long.
_MOST_FAILURES = 5
_FIRST_PAUSE = 0.5
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_NOTHING = re.compile(r"bytes \*/0")

_BROKEN = (OSError, http.client.HTTPException)


class _Answer(TransferError):
    """What a host answered will not be better next time."""


def is_http(url: str) -> bool:
    """Whether it is the URL of something that http brings."""
    return url.partition("://")[0].lower() in _SCHEMES


class HTTPReader:
    """The bytes at a URL, in order, by ranged GETs.

    A connection that breaks is made anew, and the read goes on where it
    was, if the host says that the data is still the same. Each wait ends
    after the options' time-out. Over https hosts are verified; a redirect
    never leads from there to http, and none to anything else. What a host
    says of a size is checked against what is wanted, and against what it
    sends. Proxies and cookies are not used.

    Args:
        url: where to read.
        context: of the attempt.

    Attributes:
        size: bytes in all; None if the host does not say.

    Raises:
        TransferError: the URL can't be used, or the host gives no data.
        DataMismatch: it has more bytes, or fewer, than are wanted.
    """

    def __init__(self, url: str, context: FetchContext) -> None:
        self.size: int | None = None
        self._context = context
        self._url = _checked(url)
        self._position = 0
        self._validator: str | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._failures = 0
        try:
            self._resume_anew()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def read(self, count: int) -> bytes:
        """The next bytes, ``count`` at the most; none at the end.

        Raises:
            TransferError: no more come, although this is not the end.
            DataMismatch: there are more than are wanted.
        """
        while self.size is None or self._position < self.size:
            self._context.check()
            try:
                data = self._received(count)
            except _BROKEN as error:
                self._failed(error)
                self._resume_anew()
                continue
            if data or self.size is None:
                self._failures = 0
                if not self._position:
                    self._validator = _validator(self._response)
                self._position += len(data)
                if self.size is None:
                    self._check_end(ended=not data)
                return data
            self._failed(http.client.IncompleteRead(b""))
            self._resume_anew()
        self._close()
        return b""

    def _received(self, count: int) -> bytes:
        if self._response is None:
            return b""
        if self.size is not None:
            count = min(count, self.size - self._position)
        return self._response.read1(count)

    def _check_end(self, *, ended: bool) -> None:
        """Of data whose size nobody said."""
        wanted = self._context.wanted
        most = wanted.max_size if wanted.size is None else wanted.size
        if ended or self._position > most:
            wanted.check_size(self._position)

    # -- connections

    def _resume_anew(self) -> None:
        """Have a response that goes on at the position."""
        while True:
            self._context.check()
            try:
                self._open()
            except _BROKEN as error:
                self._failed(error)
            else:
                return

    def _failed(self, error: Exception) -> None:
        """Wait a while before the next connection, or give up."""
        self._close()
        self._failures += 1
        # Of a host that gave nothing so far another location is better.
        if self._validator is None or self._failures >= _MOST_FAILURES:
            raise TransferError(
                f"{redact_url(self._url.geturl())} broke off after "
                f"{self._position} bytes: {type(error).__name__}: "
                f"{redact_text(str(error))}"
            ) from error
        pause = _FIRST_PAUSE * 2 ** (self._failures - 1)
        self._context.runtime.sleep(pause)

    def _open(self) -> None:
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._request(url)
            if response.status not in _REDIRECTS:
                self._accept(response)
                return
            url = _redirected(url, response.getheader("Location"))
            self._close()
        raise _Answer(
            f"{redact_url(self._url.geturl())} redirects more than "
            f"{_MOST_REDIRECTS} times"
        )

    def _request(self, url: SplitResult) -> http.client.HTTPResponse:
        options = self._context.options
        host = url.hostname or ""
        if url.scheme == "https":
            context = options.ssl_context or ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                host, url.port, timeout=options.timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(
                host, url.port, timeout=options.timeout
            )
        headers = {
            "Accept-Encoding": "identity",
            "Range": f"bytes={self._position}-",
            "User-Agent": "parallelops",
        }
        if self._position and self._validator is not None:
            headers["If-Range"] = self._validator
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._connection.request("GET", target, headers=headers)
        return self._connection.getresponse()

    def _accept(self, response: http.client.HTTPResponse) -> None:
        begin, size = _extent(response)
        if response.getheader("Content-Encoding", "identity") != "identity":
            raise _Answer("the host sends something else than the data")
        if begin != self._position or (self.size not in (None, size)):
            raise _Answer("the data at the host changed meanwhile")
        if size is not None:
            self._context.wanted.check_size(size)
        elif (
            response.length is None
            and not response.chunked
            and self._context.wanted.digest is None
        ):
            # The end of the connection may be that of the data, or not.
            raise _Answer("the host does not say how much data there is")
        self.size = size
        self._response = response

    def _close(self) -> None:
        for each in (self._response, self._connection):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()
        self._response = self._connection = None


def _checked(url: str) -> SplitResult:
    shown = redact_url(url)
    # urlsplit drops some of these, and others end up in the request.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _Answer(f"{shown} has characters that must be quoted")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise _Answer(f"{shown} is no URL") from error
    if split.scheme not in _SCHEMES or not split.hostname or port == 0:
        raise _Answer(f"{shown} is no http or https URL")
    if split.username is not None or split.password is not None:
        raise _Answer(
            f"{shown} has a user's name in it, and names are not sent"
        )
    return split


def _redirected(url: SplitResult, target: str | None) -> SplitResult:
    if target is None:
        raise _Answer("the host redirects to nowhere")
    split = _checked(urljoin(url.geturl(), target))
    if url.scheme == "https" and split.scheme != "https":
        raise _Answer("the host redirects from https to http")
    return split


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where what comes begins, and how much there is in all."""
    said = response.getheader("Content-Range", "")
    if response.status == http.client.PARTIAL_CONTENT:
        match = _RANGE.fullmatch(said)
        if match is None or match[3] == "*":
            raise _Answer("the host sends a range that it does not explain")
        begin, end, size = map(int, match.groups())
        if not begin <= end < size or end + 1 != size:
            raise _Answer("the host sends another range than was asked for")
        if response.length not in (None, end + 1 - begin):
            raise _Answer("the host sends another size than it says")
        return begin, size
    if response.status == http.client.OK:
        return 0, response.length
    if (
        response.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE
        and _NOTHING.fullmatch(said)
    ):
        return 0, 0
    reason = redact_text(response.reason)[:100]
    raise _Answer(f"the host answers {response.status} {reason}")


def _validator(response: http.client.HTTPResponse | None) -> str | None:
    """What tells this data from later one; a weak tag does not."""
    if response is None:
        return None
    tag = response.getheader("ETag")
    if tag is not None and tag.startswith('"'):
        return tag
    return response.getheader("Last-Modified")
