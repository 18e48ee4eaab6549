"""Servers of others, as processes of this machine that end with the tests."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import time

libc = ctypes.CDLL(None)
SECONDS = 60  # to begin, on a machine that has much else to do


class Server:
    """A program that serves at a port.

    Its output goes to the file ``log``, the end of which is shown if it
    does not begin to serve.
    """

    def __init__(self, command, port, log, **options):
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
                **options,
            )
        self.port = port

    def wait(self):
        """Return once it takes connections."""
        end = time.monotonic() + SECONDS
        while not is_open(self.port):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > end:
                self.stop()
                lines = self.log.read_text(errors="replace").splitlines()
                raise RuntimeError(
                    f"{self.process.args[0]} does not serve: "
                    + "\n".join(lines[-20:])
                )
            time.sleep(0.02)

    def stop(self):
        """End it, and what it has started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def _end_with_parent():
    """Have the kernel end this process, should the tests be killed."""
    set_parent_death_signal = 1
    libc.prctl(set_parent_death_signal, signal.SIGTERM)


def free_ports(count):
    """Ports of the loopback device that nobody has just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_open(port):
    """Does somebody take connections there?"""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
