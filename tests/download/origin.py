"""An origin on this machine, which does what it is told to, or worse."""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import socket
import struct
import threading
import time
from urllib.parse import urlsplit


class Origin:
    """A server of one image at any path.

    ``behave`` is called with each request before it is answered: it may
    answer itself, and then returns True. ``log`` has the range and the path
    of each request, ``sent`` the bytes of bodies.
    """

    def __init__(self, data, *, ranged=True, tag='"one"', behave=None):
        self.data = data
        self.ranged = ranged
        self.tag = tag
        self.behave = behave or (lambda request: False)
        self.log = []
        self.sent = 0
        self.lock = threading.Lock()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_GET(self):
                with origin.lock:
                    origin.log.append((self.headers["Range"], self.path))
                    self.number = len(origin.log)
                if not origin.behave(self):
                    self.answer()

            def answer(self, data=None, *, size=None, cut=None, tag=None):
                """Answer as one should, but for what is asked for."""
                data = origin.data if data is None else data
                total = len(data) if size is None else size
                tag = tag or origin.tag
                wanted = self.headers["If-Match"]
                if wanted is not None and wanted != tag:
                    return self.refuse(412)
                begin, end = 0, len(data)
                if origin.ranged and self.headers["Range"]:
                    match = re.fullmatch(
                        r"bytes=(\d+)-(\d+)", self.headers["Range"]
                    )
                    begin, end = int(match[1]), min(int(match[2]) + 1, end)
                    self.send_response(206)
                    self.send_header(
                        "Content-Range", f"bytes {begin}-{end - 1}/{total}"
                    )
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(end - begin))
                self.send_header("ETag", tag)
                self.end_headers()
                body = data[begin:end]
                if cut is not None:
                    body = body[:cut]
                    self.close_connection = True
                self.send(body)
                return True

            def send(self, body):
                with origin.lock:
                    origin.sent += len(body)
                self.wfile.write(body)

            def refuse(self, status, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return True

            def reset(self):
                self.connection.setsockopt(
                    socket.SOL_SOCKET,
                    socket.SO_LINGER,
                    struct.pack("ii", 1, 0),
                )
                self.close_connection = True
                return True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.02,), daemon=True
        )
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/image"

    def paths(self):
        return [urlsplit(path).path for _, path in self.log]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def slow_line(rate):
    """Behave as behind a line of so many bytes a second, for all."""
    line = threading.Lock()

    def behave(request):
        # Not that of the last request on this connection.
        send = functools.partial(type(request).send, request)

        def slowly(body):
            for at in range(0, len(body), 1 << 14):
                piece = body[at : at + (1 << 14)]
                with line:
                    time.sleep(len(piece) / rate)
                send(piece)

        request.send = slowly
        return False

    return behave


@contextlib.contextmanager
def serving(data, **options):
    origin = Origin(data, **options)
    try:
        yield origin
    finally:
        origin.close()
