"""Connections to hosts, and how a host refuses."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import math
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

from parallelops.errors import TransferError
from parallelops.origin.window import Window
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

    from parallelops.runtime import Runtime

__all__ = ["Connection", "Connections", "Refusal"]


class _Reader(io.RawIOBase):
    """Reads from a socket until it is late, however little comes at a time.

    The time-out of a socket is for each read, and http.client reads as long
    as a host begins its answer anew, or a line of it does not end.
    """

    # An interrupt may come before there is one.
    _raw: io.RawIOBase | None = None

    def __init__(self, sock: socket.socket, late: Callable[[], bool]) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._late = late

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._late():
            raise TimeoutError("it takes too long")
        return None if self._raw is None else self._raw.readinto(buffer)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    # One whose making was interrupted would make a noise when it goes: it
    # wants a file, and one that is open.
    fp: Any = None

    def __init__(
        self, sock: socket.socket, *, late: Callable[[], bool], **options: Any
    ) -> None:
        super().__init__(sock, **options)
        theirs, self.fp = self.fp, io.BufferedReader(_Reader(sock, late))
        theirs.close()


class Connection(http.client.HTTPConnection):
    """One connection; it has a window once it has a socket.

    Attributes:
        window: how much may be on its way.
        end: until when what is read next has to be there, by the runtime's
            clock.
    """

    window: Window
    end: float = math.inf

    def __init__(self, host: str, port: int, runtime: Runtime) -> None:
        super().__init__(host, port)
        self.response_class = cast(
            "type[http.client.HTTPResponse]",
            functools.partial(
                _Response, late=lambda: runtime.monotonic() > self.end
            ),
        )


class _Secure(Connection):
    default_port = http.client.HTTPS_PORT


class Refusal(TransferError):
    """A host did not give what it was asked for.

    Attributes:
        kind: "busy" for what may be better later, "expired" for what a new
            URL may mend, "broken" for a connection, and "useless" for what
            will not be better.
        pause: seconds that the host wants to be left alone.
    """

    def __init__(self, kind: str, reason: str, pause: float = 0.0) -> None:
        super().__init__(redact_text(reason))
        self.kind = kind
        self.pause = pause


class Connections:
    """Connections to hosts, kept open for the next request.

    Several threads use them, each connection by one at a time.

    Args:
        runtime: where the lock and the clock come from.
        timeout: seconds that a host may be silent.
        slowest: bytes a second; who is slower for ``timeout`` seconds is
            taken for one that has stopped.
        ssl_context: which hosts are trusted over https; by default those
            that the system trusts.
        sign: the same until a host has shown that it is there: by its first
            byte, over https by its certificate.
    """

    def __init__(
        self,
        runtime: Runtime,
        timeout: float,
        slowest: float,
        ssl_context: ssl.SSLContext | None,
        sign: float | None = None,
    ) -> None:
        self.runtime = runtime
        self.timeout = timeout
        self._first = timeout if sign is None else min(sign, timeout)
        self.slowest = slowest
        self._ssl_context = ssl_context
        self._lock = runtime.lock()
        self._closed = False
        self._idle: dict[tuple[str, str, int | None], list[Connection]] = {}
        self._all: dict[Connection, socket.socket | None] = {}

    def take(self, url: SplitResult) -> tuple[Connection, bool]:
        """A connection to a host, and whether it has been used before; if
        not, :meth:`connect` is next.

        Raises:
            Refusal: all were closed.
        """
        host = url.hostname or ""
        with self._lock:
            self._check_open()
            idle = self._idle.get((url.scheme, host, url.port))
            if idle:
                return idle.pop(), True
            secure = url.scheme == "https"
            kind = _Secure if secure else Connection
            # Without a port it would look for one in the host.
            port = url.port or kind.default_port
            connection = kind(host, port, self.runtime)
            self._all[connection] = None
        return connection, False

    def connect(self, connection: Connection) -> None:
        """Have its socket connected.

        http.client would have nobody else know of the socket meanwhile, so
        that an interrupt leaves it open, and closing has to wait for it.

        Raises:
            Refusal: all were closed.
            OSError: nobody is there.
        """
        try:
            addresses = socket.getaddrinfo(
                connection.host, connection.port, type=socket.SOCK_STREAM
            )
        except UnicodeError as error:
            raise Refusal("useless", "its host has no such name") from error
        for family, kind, protocol, _, address in addresses:
            try:
                connection.sock = socket.socket(family, kind, protocol)
                self._own(connection)
                connection.window = Window(connection.sock)
                connection.sock.settimeout(self._first)
                connection.sock.connect(address)
                connection.window.connected()
            except OSError as error:
                failure = error
                connection.close()
            else:
                break
        else:
            raise failure
        self._own(connection)  # what ends it may have come too early
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(connection, _Secure):
            context = self._ssl_context or ssl.create_default_context()
            connection.sock = context.wrap_socket(
                connection.sock,
                server_hostname=connection.host,
                do_handshake_on_connect=False,
            )
            connection.window.sock = connection.sock
            self._own(connection)
            connection.sock.do_handshake()

    def asked(self, connection: Connection) -> None:
        """It was asked something: see that somebody is there.

        Raises:
            OSError: nobody is.
        """
        if self._first < self.timeout:
            # Over https the handshake has shown it.
            if not isinstance(connection, _Secure):
                connection.sock.recv(1, socket.MSG_PEEK)
            connection.sock.settimeout(self.timeout)
        connection.window.asked(self.runtime.monotonic())

    def watch(self, connection: Connection) -> None:
        """What is read next has to be there in ``timeout`` seconds."""
        connection.end = self.runtime.monotonic() + self.timeout

    def _own(self, connection: Connection) -> None:
        """Its socket is the one to end, though it hands it on."""
        with self._lock:
            self._check_open()
            self._all[connection] = connection.sock

    def keep(self, url: SplitResult, connection: Connection) -> None:
        """Keep it for the next who asks."""
        key = (url.scheme, url.hostname or "", url.port)
        with self._lock:
            if not self._closed:
                self._idle.setdefault(key, []).append(connection)
                return
        self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close it."""
        with self._lock:
            self._all.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.close()

    def close(self) -> None:
        """End every request that is under way, and allow no more."""
        with self._lock:
            self._closed = True
            sockets = list(self._all.values())
        for sock in sockets:
            if sock is not None:
                # Wakes who reads from it, which closing does not.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            idle = [one for kept in self._idle.values() for one in kept]
            self._idle.clear()
        for connection in idle:
            self.drop(connection)

    def _check_open(self) -> None:
        if self._closed:
            raise Refusal("useless", "the download was ended")
