"""Downloads that are killed, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile

import pytest
from tests.download.conftest import SECRET, SIZE, digest_of
from tests.download.origin import serving

POINTS = 50


@pytest.mark.once
def test_a_download_may_be_killed_anywhere(data, tmp_path):
    """Under the final name there is all of it or nothing, and the next
    process goes on where the last one was."""
    chance = random.Random(7)
    child = None
    kill_at = SIZE

    def behave(request):
        # Slow enough to be killed on the way.
        # Not that of the last request on this connection.
        send = functools.partial(type(request).send, request)

        def slowly(body):
            for at in range(0, len(body), 1 << 15):
                with origin.lock:
                    if origin.sent >= kill_at and child:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(child, signal.SIGKILL)
                send(body[at : at + (1 << 15)])

        request.send = slowly
        return False

    with (
        tempfile.TemporaryFile("w+") as errors,
        serving(data, behave=behave) as origin,
        subprocess.Popen(
            [sys.executable, "-m", "tests.download.fetch_and_die"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as zygote,
    ):

        def run(path):
            nonlocal child
            line = f"{origin.url}{SECRET} {path} {SIZE} {digest_of(data)}\n"
            zygote.stdin.write(line)
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            status = int(zygote.stdout.readline())
            child = None
            return status

        for point in range(POINTS):
            path = tmp_path / str(point)
            origin.sent = 0
            kill_at = chance.randrange(SIZE)
            if os.waitstatus_to_exitcode(run(path)):
                assert not path.exists()
            kill_at = 100 * SIZE
            assert run(path) == 0
            assert path.read_bytes() == data
            # Up to a block of each read, and what is on the wire, is lost.
            assert origin.sent <= SIZE + 4 * (1 << 18) + (1 << 20)
        zygote.stdin.close()
        zygote.wait()
        errors.seek(0)
        assert "hunter2" not in errors.read()
    assert len(list(tmp_path.iterdir())) == POINTS
