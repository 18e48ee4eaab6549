"""An origin for demonstrations: one file, so many bytes a second in all.

Run as a process: the arguments are the file, the address and the bytes a
second. The first line it prints is its URL; at the end of its standard input
it prints how many bytes it has sent, and ends.
"""

from __future__ import annotations

import http.server
import re
import sys
from pathlib import Path
from typing import Any

from parallelops.runtime import ThreadRuntime

__all__ = ["main"]

_PIECE = 1 << 14
_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], file: Path, rate: float):
        self.data = file.read_bytes()
        self.sent = 0
        self._rate = rate
        self._runtime = ThreadRuntime()
        self._lock = self._runtime.lock()
        self._free = self._runtime.monotonic()
        super().__init__(address, _Handler)

    def wait_to_send(self, count: int) -> None:
        """All share one line, so to say."""
        with self._lock:
            self.sent += count
            now = self._runtime.monotonic()
            self._free = max(self._free, now) + count / self._rate
            pause = self._free - now
        self._runtime.sleep(pause)

    def handle_error(self, *_: Any) -> None:
        """Those who ask may go away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: object) -> None:
        """Nothing: it is a demonstration."""

    def do_GET(self) -> None:
        """Send the range that is asked for."""
        data = self.server.data
        begin, end = 0, len(data)
        match = _RANGE.fullmatch(self.headers["Range"] or "")
        if match is None:
            self.send_response(200)
        else:
            begin, end = int(match[1]), min(int(match[2]) + 1, end)
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {begin}-{end - 1}/{len(data)}"
            )
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        for at in range(begin, end, _PIECE):
            piece = data[at : min(at + _PIECE, end)]
            self.server.wait_to_send(len(piece))
            self.wfile.write(piece)


def main(arguments: list[str]) -> None:
    """Serve until nobody is there any more."""
    file, address, rate = arguments
    host, _, port = address.rpartition(":")
    server = _Server((host, int(port)), Path(file), float(rate))
    ThreadRuntime().spawn(server.serve_forever, name="origin")
    print(f"http://{host}:{server.server_address[1]}/image", flush=True)
    sys.stdin.read()
    print(server.sent, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
