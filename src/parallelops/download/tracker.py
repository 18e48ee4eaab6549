"""A small tracker (BEP 3, 23, 48), which hands out leases as well.

It answers one request a connection: ``/announce``, ``/scrape`` and
``/lease``. The standard library's server is enough for that. Before all else
it says ``100 Continue``, so that whoever has to wait for his turn knows that
somebody is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import io
import ipaddress
import json
import logging
import socketserver
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from parallelops.download.bencode import encode
from parallelops.download.register import Announcement, Register
from parallelops.errors import ExecutorSaturated, SwarmError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from parallelops.executor import Executor
    from parallelops.runtime import Runtime

__all__ = ["Tracker"]

_log = logging.getLogger(__name__)

_TIMEOUT = 5.0
_TICK = 0.2
_LONGEST_HEAD = 1 << 14
_HASH = 20


class Tracker:
    """Tells those who want an image of each other.

    Args:
        executor: answers the requests; it is not shut down. With one that
            blocks when it is full, requests wait to be accepted.
        register: who takes part.
        listen: address and port; port 0 is any.

    Attributes:
        url: what torrents have to say, with the address it listens at.

    Raises:
        OSError: it can't listen there.
        ValueError: that is no address.
    """

    def __init__(
        self,
        executor: Executor,
        register: Register,
        listen: str = "0.0.0.0:6969",
    ) -> None:
        host, _, port = listen.rpartition(":")
        self._server = _Server(
            (str(ipaddress.ip_address(host.strip("[]"))), int(port)),
            executor,
            register,
        )
        self._stopping = executor.runtime.event()
        self._idle = executor.runtime.event()
        self._idle.set()
        self._server.timeout = _TICK
        address, bound = self._server.server_address[:2]
        shown = f"[{address!s}]" if ":" in str(address) else f"{address!s}"
        self.url = f"http://{shown}:{bound}/announce"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def serve(self) -> None:
        """Accept requests until somebody calls :meth:`close`."""
        self._idle.clear()
        try:
            while not self._stopping.is_set():
                self._server.handle_request()
        finally:
            self._idle.set()

    def close(self) -> None:
        """Accept no more. It takes a fraction of a second."""
        self._stopping.set()
        self._idle.wait(_TIMEOUT)
        self._server.server_close()


class _Server(socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 4096

    def __init__(
        self, address: tuple[str, int], executor: Executor, register: Register
    ) -> None:
        if ":" in address[0]:
            import socket

            self.address_family = socket.AF_INET6
        self.executor = executor
        self.register = register
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError):
            request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        until = self.executor.runtime.monotonic() + _TIMEOUT
        try:
            self.executor.submit(self._answer, request, client_address, until)
        except ExecutorSaturated:
            self.shutdown_request(request)

    def _answer(self, request: Any, client_address: Any, until: float) -> None:
        try:
            head: Any = _head(request, self.executor.runtime, until)
            answer = _Handler(head, client_address, self).wfile.getvalue()
            request.settimeout(_TIMEOUT)  # for all of it
            request.sendall(answer)
        except OSError as error:
            _log.debug("%s went away: %s", client_address, error)
        finally:
            self.shutdown_request(request)


def _head(connection: socket.socket, runtime: Runtime, until: float) -> bytes:
    """What a client asks, as far as the empty line.

    However it comes, the time holds for all of it. Who had to wait for his
    turn until then is read as far as it is there.

    Raises:
        OSError: it does not come, or is too long.
    """
    head = bytearray()
    while len(head) < _LONGEST_HEAD:
        connection.settimeout(max(until - runtime.monotonic(), 0.0))
        some = connection.recv(_LONGEST_HEAD - len(head))
        head += some
        end = head[-len(some) - 3 :]
        if not some or b"\r\n\r\n" in end or b"\n\n" in end:
            return bytes(head)
    raise ConnectionError("the request is too long")


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers what was read, into its ``wfile``."""

    request: bytes
    rfile: io.BytesIO
    wfile: io.BytesIO
    server: _Server

    def setup(self) -> None:
        """Nothing is read from the connection, or sent."""
        self.rfile, self.wfile = io.BytesIO(self.request), io.BytesIO()

    def finish(self) -> None:
        """The server sends it."""

    def log_message(self, *args: object) -> None:
        """Nothing: peers announce themselves all the time."""

    def do_GET(self) -> None:
        """Answer an announcement, a scrape or a request for a lease."""
        url = urlsplit(self.path)
        answers: Mapping[str, Callable[[dict[str, list[bytes]]], bytes]] = {
            "/announce": self._announce,
            "/scrape": self._scrape,
            "/lease": self._lease,
        }
        answer = answers.get(url.path)
        if answer is None:
            self.send_error(404)
            return
        try:
            fields = {
                name: [value.encode("latin-1") for value in values]
                for name, values in parse_qs(
                    url.query, encoding="latin-1", max_num_fields=200
                ).items()
            }
            body = answer(fields)
        except (SwarmError, ValueError, KeyError) as error:
            reason = f"{error}"
            if isinstance(error, KeyError):
                reason = f"{error.args[0]} is missing"
            body = encode({b"failure reason": reason.encode()[:200]})
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _announce(self, fields: dict[str, list[bytes]]) -> bytes:
        register = self.server.register
        said = Announcement(
            image=_id(fields, "info_hash"),
            peer=_id(fields, "peer_id"),
            # What it says of its own address is not believed.
            host=_host(self.client_address[0]),
            port=_number(fields, "port", 1, 65535),
            left=_number(fields, "left", 0, 1 << 62, 1),
            stopped=fields.get("event") == [b"stopped"],
            wanted=_number(fields, "numwant", -1, 1 << 31, 50),
        )
        found = register.announce(said)
        return encode(
            {
                b"complete": found.complete,
                b"incomplete": found.incomplete,
                b"interval": max(round(register.interval), 1),
                b"min interval": max(round(register.interval / 4), 1),
                b"peers": _compact(found.peers, 4),
                b"peers6": _compact(found.peers, 6),
            }
        )

    def _scrape(self, fields: dict[str, list[bytes]]) -> bytes:
        files: dict[bytes, Any] = {}
        for image in fields.get("info_hash", []):
            with contextlib.suppress(SwarmError):
                complete, incomplete = self.server.register.count(image)
                files[image] = {
                    b"complete": complete,
                    b"downloaded": complete,
                    b"incomplete": incomplete,
                }
        return encode({b"files": files})

    def _lease(self, fields: dict[str, list[bytes]]) -> bytes:
        register = self.server.register
        grant = register.lease(
            _id(fields, "info_hash"), _id(fields, "peer_id")
        )
        said = dataclasses.asdict(grant)
        said["holders"] = [holder.hex() for holder in grant.holders]
        return json.dumps(said).encode()


def _host(address: str) -> str:
    """The address; of one of IPv4 that came to a socket of IPv6, that."""
    ip = ipaddress.ip_address(address)
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def _id(fields: dict[str, list[bytes]], name: str) -> bytes:
    value = fields[name][0]
    if len(value) != _HASH:
        raise ValueError(f"{name} has {len(value)} bytes, not {_HASH}")
    return value


def _number(
    fields: dict[str, list[bytes]],
    name: str,
    least: int,
    most: int,
    default: int | None = None,
) -> int:
    if name not in fields and default is not None:
        return default
    text = fields[name][0]
    if len(text) > 20:
        raise ValueError(f"{name} is no number")
    value = int(text)
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}")
    return value


def _compact(peers: tuple[tuple[str, int], ...], version: int) -> bytes:
    return b"".join(
        address.packed + port.to_bytes(2, "big")
        for address, port in (
            (ipaddress.ip_address(host), port) for host, port in peers
        )
        if address.version == version
    )
