"""A host that does what hosts do, as its plan has it."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading

from parallelops.images import Wanted

DATA = bytes(range(256)) * 2000


WANTED = Wanted(
    size=len(DATA), digest=f"sha256:{hashlib.sha256(DATA).hexdigest()}"
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves what its server has, as its server wants."""

    def log_message(self, *args):
        """Nothing is said."""

    def do_GET(self):
        """One request."""
        server = self.server
        server.seen.append((self.path, dict(self.headers)))
        if server.plan:
            server.plan.pop(0)(self)
        else:
            serve(self)


def serve(request, data=None, *, tag='"1"', cut=None, status=None, **headers):
    """Answer with a range, as a good host does."""
    data = request.server.data if data is None else data
    if request.headers.get("If-Match", tag) != tag:
        data, status, cut = b"", 412, None
    begin, last = map(int, request.headers["Range"][6:].split("-"))
    body = data if status == 200 else data[begin : last + 1]
    end = begin + len(body) - 1
    request.send_response(status or 206)
    fields = {
        "Content-Length": str(len(body)),
        "Content-Range": f"bytes {begin}-{end}/{len(data)}",
        "ETag": tag,
    }
    fields |= {name.replace("_", "-"): headers[name] for name in headers}
    for name, value in fields.items():
        if value is not None:
            request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body[:cut])
    if cut is not None:
        request.close_connection = True


def answer(**options):
    """A step of a plan."""
    return lambda request: serve(request, **options)


def redirect(target, status=302):
    """A step of a plan."""

    def step(request):
        request.send_response(status)
        if target is not None:
            request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return step


@contextlib.contextmanager
def serving():
    """A host on this machine; it serves ``data`` and follows ``plan``."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.data, server.plan, server.seen = DATA, [], []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}
    )
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
