"""A reader leaves no more on its way than comes in a moment."""

import socket
import struct
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops.origin import window
from parallelops.origin.window import Window

LEAST, LARGEST = 16 << 10, 1 << 20

linux = pytest.mark.skipif(
    not hasattr(socket, "TCP_WINDOW_CLAMP"),
    reason="only Linux has windows that can be set",
)


class Line(socket.socket):
    """Says how long its round trip is, and notes what is set."""

    def __init__(self, round_trip):
        super().__init__()
        self.round_trip = round_trip
        self.sizes = []

    def getsockopt(self, level, option, length=0):
        if level == socket.SOL_SOCKET:
            raise OSError("there is no such option")
        return struct.pack("=148xI", int(self.round_trip * 1e6))[:length]

    def setsockopt(self, level, option, value):
        self.sizes.append(value)


@linux
@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0.001, 1), st.integers(0, 1 << 24))),
)
def test_it_is_what_comes_in_the_round_trip_and_a_moment(round_trip, reads):
    """In the last tenth of a second, or the last MiB, between two bounds;
    above the upper one it is left to the system for good."""
    with Line(round_trip) as line:
        one = Window(line)
        one.connected()
        now = since = 100.0
        came, wanted = 0, [LEAST]
        one.asked(now)
        for pause, size in reads:
            now += pause
            one.came(size, now)
            came += size
            is_time = now - since >= 0.1 or came > LARGEST
            if is_time and wanted[-1] is not None:
                rate = came / (now - since)
                trip = int(round_trip * 1e6) / 1e6
                most = max(int(rate * (trip + 0.05)), LEAST)
                wanted.append(most if most <= LARGEST else None)
                since, came = now, 0
        assert one.size == wanted[-1]
        assert [size if size <= LARGEST else None for size in line.sizes] == (
            wanted
        )


@pytest.fixture
def connection():
    """Both ends of a real one; the reader's has a window from the start."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket() as reader,
    ):
        one = Window(reader)
        reader.connect(server.getsockname())
        one.connected()
        sender, _ = server.accept()
        with sender:
            yield one, reader, sender


@linux
def test_the_sender_is_told(connection):
    """How much it may send, from its first byte on."""
    _, reader, sender = connection
    sender.sendall(b"data")
    assert reader.recv(4)
    info = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
    (told,) = struct.unpack("=228xI", info)  # tcpi_snd_wnd
    assert 0 < told <= LEAST


@linux
def test_it_may_become_as_large_as_any(connection):
    """What it can be at the most is agreed on when a connection is made."""
    _, reader, _ = connection
    with socket.create_connection(reader.getpeername()) as plain:
        assert scale(reader) == scale(plain) > 0


def scale(sock):
    """By how many bits a receiver's windows are larger than is written."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
    return info[6] >> 4 if sys.byteorder == "little" else info[6] & 15


@linux
def test_a_fast_line_is_left_to_the_system(connection):
    """Soon, and nothing is lost."""
    one, reader, sender = connection
    ending = threading.Event()

    def send():
        while not ending.is_set():
            sender.sendall(bytes(1 << 16))
        sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    now = 0.0
    one.asked(now)
    try:
        while one.size is not None:
            # As fast as a line of 1 GB/s would be.
            data = reader.recv(1 << 18)
            now += len(data) / 1e9
            one.came(len(data), now)
    finally:
        ending.set()
        while reader.recv(1 << 18):
            pass
        thread.join()


@pytest.mark.parametrize("missing", ["_CLAMP", "_INFO"])
def test_where_there_is_no_such_option_it_does_nothing(monkeypatch, missing):
    """Other systems have none."""
    monkeypatch.setattr(window, missing, None)
    with Line(0.001) as line:
        one = Window(line)
        one.connected()
        one.asked(0.0)
        one.came(1 << 20, 1.0)
        assert one.size is None
        assert line.sizes == []


def test_a_line_that_does_not_say_keeps_its_window(connection):
    """Such as one that is closed meanwhile."""
    one, reader, _ = connection
    before = one.size
    one.asked(0.0)
    reader.close()
    one.came(1 << 20, 1.0)
    assert one.size == before
