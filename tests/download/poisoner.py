"""A peer that has everything, and gives other bytes instead.

It speaks BEP 3 itself: libtorrent verifies what it sends for the first time.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading

UNCHOKE, BITFIELD, REQUEST, PIECE = 1, 5, 6, 7


@contextlib.contextmanager
def poisoning(torrent, host):
    """Yields the port at which it listens; and who came, as a list."""
    visits = []

    class Peer(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.settimeout(10)
            with contextlib.suppress(OSError, EOFError):
                visits.append(self.client_address)
                self.exactly(68)
                self.request.sendall(
                    b"\x13BitTorrent protocol"
                    + bytes(8)
                    + torrent.info_hash
                    + b"-XX0000-poisonpoison"
                )
                count = len(torrent)
                bits = (1 << count) - 1 << -count % 8
                self.say(BITFIELD, bits.to_bytes(-(-count // 8), "big"))
                self.say(UNCHOKE)
                while True:
                    self.answer()

        def answer(self):
            (length,) = struct.unpack(">I", self.exactly(4))
            message = self.exactly(length)
            if message[:1] == bytes([REQUEST]):
                index, begin, size = struct.unpack(">III", message[1:])
                self.say(PIECE, struct.pack(">II", index, begin) + bytes(size))

        def say(self, kind, payload=b""):
            head = struct.pack(">IB", len(payload) + 1, kind)
            self.request.sendall(head + payload)

        def exactly(self, count):
            data = b""
            while len(data) < count:
                part = self.request.recv(count - len(data))
                if not part:
                    raise EOFError
                data += part
            return data

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server((host, 0), Peer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1], visits
        finally:
            server.shutdown()
            thread.join()
