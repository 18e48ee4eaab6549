"""One answer to a ranged GET: its connection, redirects and checks."""

from __future__ import annotations

import contextlib
import http.client
import re
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from parallelops.origin.connections import Refusal
from parallelops.ratelimit import retry_after
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.origin.connections import Connection, Connections

__all__ = ["Answer", "check_url", "is_http"]

_SCHEMES = ("http", "https")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
_NOTHING = re.compile(r"bytes \*/0")
_PIECE = 1 << 18

_BUSY = frozenset({429, 498, 500, 502, 503, 504})
_EXPIRED = frozenset({401, 403})


def is_http(url: str) -> bool:
    """Whether it is the URL of something that http brings."""
    return url.partition("://")[0].lower() in _SCHEMES


def check_url(url: str) -> SplitResult:
    """The parts of a URL that can be read.

    Raises:
        Refusal: it is none.
    """
    shown = redact_url(url)
    # urlsplit drops some of these, and others end up in the request.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Refusal("useless", f"{shown} has characters to be quoted")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise Refusal("useless", f"{shown} is no URL") from error
    if split.scheme not in _SCHEMES or not split.hostname or port == 0:
        raise Refusal("useless", f"{shown} is no http or https URL")
    if split.username is not None or split.password is not None:
        raise Refusal("useless", f"{shown} has a user's name in it")
    return split


class Answer:
    """What a host answers to a ranged GET; for a ``with`` block.

    Over https hosts are verified. A redirect never leads from there to
    http, and none to anything else. Proxies and cookies are not used.

    Args:
        connections: gives the connection.
        url: what to read.
        begin, end: the range in bytes.
        tag: the ETag that the data has to have, if that is known.

    Attributes:
        begin: where the data begins that comes: at ``begin``, or at 0 if
            the host takes no ranges.
        end: where it ends; None if the host does not say.
        size: bytes in all; None if the host does not say.
        ranged: whether it is the range that was asked for.
        framed: whether the host says where its answer ends.
        tag: the ETag, if it is one that tells each byte.

    Raises:
        Refusal: it gives something else, or nothing.
    """

    def __init__(
        self,
        connections: Connections,
        url: str,
        begin: int,
        end: int,
        tag: str | None = None,
    ) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._range = begin, end
        split = self._url = check_url(url)
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                response = self._response = self._ask(split, tag)
                if response.status not in _REDIRECTS:
                    break
                target = response.getheader("Location")
                self._release()
                split = self._url = _redirected(split, target)
            else:
                raise Refusal(
                    "useless",
                    f"it redirects more than {_MOST_REDIRECTS} times",
                )
            self._accept(response)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._release()

    def pieces(self) -> Iterator[bytes]:
        """The data as it comes.

        Raises:
            Refusal: the connection breaks, or brings too little.
        """
        runtime = self._connections.runtime
        waited, came = 0.0, 0
        left = None if self.end is None else self.end - self.begin
        response = self._response
        while response is not None and (left is None or left > 0):
            asked = runtime.monotonic()
            if self._connection is not None:
                self._connections.watch(self._connection)
            try:
                data = response.read1(
                    _PIECE if left is None else min(_PIECE, left)
                )
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _broken(error) from error
            if not data:
                if left is None:
                    return
                raise Refusal("broken", f"it stops {left} bytes too early")
            if left is not None:
                left -= len(data)
            came += len(data)
            now = runtime.monotonic()
            if self._connection is not None:
                self._connection.window.came(len(data), now)
            # Whoever reads may take his time in between.
            waited += now - asked
            if waited > self._connections.timeout:
                if came < waited * self._connections.slowest:
                    raise Refusal(
                        "broken", f"{came} bytes in {waited:.0f} seconds"
                    )
                waited, came = 0.0, 0
            yield data

    def _ask(
        self, url: SplitResult, tag: str | None
    ) -> http.client.HTTPResponse:
        begin, end = self._range
        headers = {
            "Accept-Encoding": "identity",
            "Range": f"bytes={begin}-{end - 1}",
            "User-Agent": "parallelops",
        }
        if tag is not None:
            headers["If-Match"] = tag
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        while True:
            self._connection, used = self._connections.take(url)
            try:
                if not used:
                    self._connections.connect(self._connection)
                self._connection.request("GET", target, headers=headers)
                self._connections.watch(self._connection)
                self._connections.asked(self._connection)
                return self._connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._release()
                # A host may close at any time what nobody uses.
                if not used or isinstance(error, TimeoutError):
                    raise _broken(error) from error

    def _accept(self, response: http.client.HTTPResponse) -> None:
        status = response.status
        self.framed = response.length is not None or response.chunked
        if status == http.client.PARTIAL_CONTENT:
            self._accept_range(response)
        elif status == http.client.OK:
            self.ranged = False
            self.begin, self.end = 0, response.length
            self.size = response.length
        elif (
            status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE
            and _NOTHING.fullmatch(response.getheader("Content-Range", ""))
        ):
            # Of nothing no byte can be asked for.
            self.ranged = True
            self.begin = self.end = self.size = 0
        else:
            reason = f"it answers {status} {response.reason[:100]}"
            kind = "useless"
            if status in _EXPIRED:
                kind = "expired"
            elif status in _BUSY:
                kind = "busy"
            pause = retry_after(
                response.getheader("Retry-After"),
                self._connections.runtime.time(),
            )
            raise Refusal(kind, reason, pause or 0.0)
        if response.getheader("Content-Encoding", "identity") != "identity":
            raise Refusal("useless", "it sends something else than the data")
        tag = response.getheader("ETag")
        self.tag = None if tag is None or tag.startswith("W/") else tag

    def _accept_range(self, response: http.client.HTTPResponse) -> None:
        said = response.getheader("Content-Range", "")
        match = _RANGE.fullmatch(said)
        if match is None:
            raise Refusal("useless", "it does not say which range it sends")
        first, last, size = map(int, match.groups())
        begin, end = self._range
        if (first, last + 1) != (begin, min(end, size)):
            raise Refusal("useless", "it sends another range")
        if response.length not in (None, last + 1 - first):
            raise Refusal("useless", "it sends another size than it says")
        self.ranged = True
        self.begin, self.end, self.size = first, last + 1, size

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        response, self._response = self._response, None
        whole = (
            response is not None
            and response.length == 0
            and not response.will_close
        )
        if response is not None:
            with contextlib.suppress(OSError):
                response.close()
        if connection is None:
            return
        if whole:
            self._connections.keep(self._url, connection)
        else:
            self._connections.drop(connection)


def _broken(error: Exception) -> Refusal:
    return Refusal("broken", f"{type(error).__name__}: {error}")


def _redirected(url: SplitResult, target: str | None) -> SplitResult:
    if target is None:
        raise Refusal("useless", "it redirects to nowhere")
    try:
        joined = urljoin(url.geturl(), target)
    except ValueError as error:
        raise Refusal("useless", "it redirects to no URL") from error
    split = check_url(joined)
    if url.scheme == "https" and split.scheme != "https":
        raise Refusal("useless", "it redirects from https to http")
    return split
