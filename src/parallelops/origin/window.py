"""How much of an answer may be on its way at a time."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from typing import Any

__all__ = ["Window"]

# Seconds that data may wait in front of a slow line.
_QUEUE = 0.05
_LOOK = 0.1  # seconds
# Bytes. So little is enough on a slow line, and above a MiB the system knows
# better.
_LEAST, _LARGEST = 16 << 10, 1 << 20
_UNLIMITED = (1 << 31) - 1

_TCP = socket.IPPROTO_TCP
_CLAMP: Any = getattr(socket, "TCP_WINDOW_CLAMP", None)
_INFO: Any = getattr(socket, "TCP_INFO", None)
# Linux's SO_BUF_LOCK, of 5.14: whether the buffers' sizes are for good.
_LOCK = 72
# In Linux's struct tcp_info: the shortest round trip, in microseconds.
_MIN_RTT = struct.Struct("=148xI")


class Window:
    """The receive window of one connection, kept as small as does no harm.

    Many who read at the same slow line fill the queue in front of it. The
    first ones keep it full, and whoever comes then loses his packets, and
    waits for seconds. So a reader lets no more be on its way than comes in
    the round trip and a twentieth of a second. It begins with little, as all
    do, and where there is no queue it is soon more than the path holds.

    It is the idea of LEDBAT (RFC 6817), at the other end. Where the system has
    no such option, which is anywhere but on Linux, this does nothing.

    Args:
        sock: the connection, before it is made.

    Attributes:
        sock: the same; whoever wraps it puts the wrapper here.
        size: bytes; None once it is left to the system.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.size: int | None = None
        self._since = math.inf
        self._came = 0
        self._works = _CLAMP is not None and _INFO is not None
        if self._works:
            # With so little room the first window is as small. It is not
            # clamped yet: what the largest can ever be is agreed on when the
            # connection is made.
            with contextlib.suppress(OSError):
                sock.getsockopt(socket.SOL_SOCKET, _LOCK)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST)
                sock.setsockopt(socket.SOL_SOCKET, _LOCK, 0)

    def connected(self) -> None:
        """The connection is made."""
        if self._works:
            self._set(_LEAST)

    def asked(self, now: float) -> None:
        """What comes next is the answer to a request.

        Args:
            now: by the monotonic clock.
        """
        self._since, self._came = now, 0

    def came(self, size: int, now: float) -> None:
        """So many bytes have come."""
        if self.size is None:
            return
        self._came += size
        passed = now - self._since
        if passed >= _LOOK or (self._came > _LARGEST and passed > 0):
            with contextlib.suppress(OSError, struct.error):
                info = self.sock.getsockopt(_TCP, _INFO, _MIN_RTT.size)
                (microseconds,) = _MIN_RTT.unpack(info)
                on_its_way = microseconds / 1e6 + _QUEUE
                self._set(max(int(self._came / passed * on_its_way), _LEAST))
            self.asked(now)

    def _set(self, size: int) -> None:
        self.size = size if size <= _LARGEST else None
        self.sock.setsockopt(_TCP, _CLAMP, self.size or _UNLIMITED)
