"""A small orchestration engine: each of its containers is a process here.

It is what ``parallelops demo containers`` operates on. It keeps nothing of
its own: a container's process is found by a mark in its environment, and
the rest is in a folder. So it outlives whoever operates on it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.containers import Call, Handler, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.runtime import Runtime

__all__ = ["LocalEngine"]

_MARK = "PARALLELOPS_DEMO_CONTAINER"
_PROCESSES = Path("/proc")
_HALF = 0.005  # seconds, of what executing something takes


class LocalEngine:
    """Creates, starts, stops, logs and deletes processes.

    Args:
        folder: has a folder for each container.
        runtime: whose time it is.

    Attributes:
        handlers: its actions, each with what to do after a crash.
    """

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._folder = folder
        self._runtime = runtime
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.handlers = {
            "create": Handler(self._create, recovery="idempotent"),
            "start": Handler(
                self._start, recovery="reconcile", reconcile=self._has_started
            ),
            "exec": Handler(self._exec),
            "stop": Handler(self._stop, recovery="idempotent"),
            "delete": Handler(self._delete, recovery="idempotent"),
            "logs": Handler(self._logs, blocking=True),
        }

    def executed(self, container: str) -> list[str]:
        """The operations of a container that were executed in it."""
        log = self._folder / container / "log"
        return log.read_text().split() if log.exists() else []

    def processes(self, container: str) -> Iterator[int]:
        """Those of a container that are alive."""
        mark = f"{_MARK}={self._folder / container}".encode()
        for process in _PROCESSES.iterdir():
            if not process.name.isdigit():
                continue
            try:
                environment = (process / "environ").read_bytes()
            except OSError:
                continue  # it has ended, or is not ours
            if mark in environment.split(b"\0"):
                yield int(process.name)

    def _create(self, call: Call) -> None:
        (self._folder / call.container).mkdir(exist_ok=True)

    def _start(self, call: Call) -> int:
        folder = self._folder / call.container
        child = subprocess.Popen(
            ["sleep", "60"],
            env={"PATH": os.defpath, _MARK: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._children[call.container] = child
        return child.pid

    def _has_started(self, call: Call) -> State:
        found = any(self.processes(call.container))
        return State.SUCCEEDED if found else State.ACCEPTED

    def _exec(self, call: Call) -> None:
        # A crash may come before its effect as well as after it.
        self._runtime.sleep(_HALF)
        with (self._folder / call.container / "log").open("a") as log:
            log.write(f"{call.operation}\n")
        self._runtime.sleep(_HALF)

    def _stop(self, call: Call) -> None:
        child = self._children.pop(call.container, None)
        if child is not None:
            child.kill()
            child.wait()
            return
        for process in self.processes(call.container):
            os.kill(process, signal.SIGKILL)
        while any(self.processes(call.container)):
            self._runtime.sleep(0.001)

    def _delete(self, call: Call) -> None:
        self._stop(call)
        kept = self.executed(call.container)
        shutil.rmtree(self._folder / call.container, ignore_errors=True)
        if kept:
            with (self._folder / f"{call.container}.log").open("w") as log:
                log.write("\n".join(kept))

    def _logs(self, call: Call) -> list[str]:
        return self.executed(call.container)
