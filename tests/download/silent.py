"""Servers that say nothing: a listening socket each."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

SYN_SENT = "02"


@contextlib.contextmanager
def never_answers():
    """The system accepts, and nobody reads. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def drops_packets():
    """Its queue is full: who asks for a connection hears nothing at all."""
    with contextlib.ExitStack() as stack:
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        stack.enter_context(server)
        while True:
            other = stack.enter_context(socket.socket())
            other.settimeout(0.2)
            try:
                other.connect(server.getsockname())
            except TimeoutError:
                other.close()
                break
        yield server.getsockname()[1]


def is_asked(port):
    """Whether somebody waits for a connection to a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = (line.split()[2:4] for line in lines)
    return any(to[-4:] == f"{port:04X}" and s == SYN_SENT for to, s in found)
