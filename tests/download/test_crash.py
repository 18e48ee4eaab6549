"""Downloads that are killed, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile

import pytest
from tests.download.conftest import SECRET, SIZE, digest_of
from tests.download.origin import serving

FULL = bool(os.environ.get("FULL"))
POINTS = 50 if FULL else 15
# Kills of one download, and its MiB. A kill costs what four reads have under
# way: up to a block each, and what is on the wire.
KILLS, LARGE = (50, 1024) if FULL else (2, 64)


class Killer:
    """An origin, and a process that downloads from it and is killed when the
    origin has sent so much."""

    def __init__(self, stack, data):
        self.child = None
        self.kill_at = math.inf
        self.digest = digest_of(data)
        self.size = len(data)
        self.origin = stack.enter_context(serving(data, behave=self.behave))
        self.url = self.origin.url + SECRET
        self.errors = stack.enter_context(
            tempfile.TemporaryFile("w+")  # noqa: SIM115 - the stack does
        )
        stack.callback(self.look_for_secrets)
        self.zygote = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.download.fetch_and_die"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
            )
        )
        stack.callback(self.zygote.stdin.close)

    def behave(self, request):
        # What lies in this machine's buffers is lost, too: less than usual.
        request.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16
        )
        # Not that of the last request on this connection.
        send = functools.partial(type(request).send, request)

        def looking(body):
            for at in range(0, len(body), 1 << 15):
                with self.origin.lock:
                    if self.origin.sent >= self.kill_at and self.child:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(self.child, signal.SIGKILL)
                send(body[at : at + (1 << 15)])

        request.send = looking
        return False

    def look_for_secrets(self):
        """In what was logged by those who were killed, or were not."""
        self.errors.seek(0)
        assert "hunter2" not in self.errors.read()

    def run(self, path, kill_at=math.inf):
        """Whether it came to its end."""
        self.kill_at = kill_at
        line = f"{self.url} {path} {self.size} {self.digest}\n"
        self.zygote.stdin.write(line)
        self.zygote.stdin.flush()
        self.child = int(self.zygote.stdout.readline())
        status = int(self.zygote.stdout.readline())
        self.child = None
        return os.waitstatus_to_exitcode(status) == 0


@pytest.fixture
def killer_of():
    """Makes one for an image."""
    with contextlib.ExitStack() as stack:
        yield functools.partial(Killer, stack)


@pytest.mark.once
def test_a_download_may_be_killed_anywhere(data, killer_of, tmp_path):
    """Under the final name there is all of it or nothing, and the next
    process goes on where the last one was."""
    chance = random.Random(7)
    killer = killer_of(data)
    for point in range(POINTS):
        path = tmp_path / str(point)
        killer.origin.sent = 0
        if not killer.run(path, kill_at=chance.randrange(SIZE)):
            assert not path.exists()
        assert killer.run(path)
        assert path.read_bytes() == data
        # Up to a block of each read, and what is on the wire, is lost.
        assert killer.origin.sent <= SIZE + 4 * (1 << 18) + (1 << 20)
    assert len(list(tmp_path.iterdir())) == POINTS


@pytest.mark.once
def test_a_download_may_be_killed_again_and_again(killer_of, tmp_path):
    """All resumptions together cost a tenth of the image at the most; with
    FULL in the environment 50 of them."""
    chance = random.Random(8)
    data = b"".join(chance.randbytes(1 << 20) for _ in range(LARGE))
    killer = killer_of(data)
    for point in sorted(chance.sample(range(len(data)), KILLS)):
        assert not killer.run(tmp_path / "image", kill_at=point)
        assert not (tmp_path / "image").exists()
    assert killer.run(tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == data
    cost = killer.origin.sent / len(data)
    print(f"{KILLS} kills cost {cost:.3f} images")  # noqa: T201 - with -s
    assert cost <= 1.1
