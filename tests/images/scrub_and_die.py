"""A scrub in a process of its own, which kills itself where it is told to.

Arguments: the catalogue, the root of the store, the kind of executor, the
point to die at, as "event number", and the seconds that its clock is ahead,
so that the claims of one that was killed before are over. Each event is told
on standard output as well, so that somebody else can kill it there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

from parallelops import load_executor, prepare_process
from parallelops.images import FileStore, Scrubber, SQLiteCatalog


class Death:
    """Counts events, and dies at the one that was chosen."""

    def __init__(self, event, number):
        self.event = event
        self.left = int(number)
        self.lock = threading.Lock()

    def comes(self, event):
        """Here is an event; nobody has another one meanwhile."""
        with self.lock:
            os.write(1, b".")
            if event == self.event:
                self.left -= 1
                if not self.left:
                    os.kill(os.getpid(), signal.SIGKILL)


class Store(FileStore):
    """Tells of what is done to it."""

    def delete(self, url):
        death.comes("before-delete")
        super().delete(url)
        death.comes("after-delete")

    def sync(self):
        death.comes("before-sync")
        super().sync()
        death.comes("after-sync")


class Catalog(SQLiteCatalog):
    """Tells of what is written to it, and of each statement."""

    def claim(self, images, limit, **times):
        with self.told("claim"):
            return super().claim(images, limit, **times)

    def settle(self, images, **others):
        with self.told("settle"):
            return super().settle(images, **others)

    @contextlib.contextmanager
    def told(self, what):
        death.comes(f"before-{what}")
        self._connection.set_trace_callback(
            lambda _: death.comes(f"{what}-statement")
        )
        try:
            yield
        finally:
            self._connection.set_trace_callback(None)
            death.comes(f"after-{what}")


if __name__ == "__main__":
    path, root, kind, event, number, ahead = sys.argv[1:]
    prepare_process(kind)
    death = Death(event, number)
    with (
        Catalog(path) as catalog,
        load_executor(kind, max_workers=4) as executor,
    ):
        executor.runtime.time = lambda: time.time() + float(ahead)
        report = Scrubber(
            executor, catalog=catalog, store=Store(root), batch_size=4
        ).run_once()
    sys.exit(not report.ok)
