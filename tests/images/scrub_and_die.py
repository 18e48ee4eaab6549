"""A scrub in a process of its own, which kills itself where it is told to.

Arguments: the catalogue, the root of the store, the kind of executor, the
point to die at, as "event number", and the seconds that its clock is ahead,
so that the claims of one that was killed before are over. Each event is told
on standard output as well, so that somebody else can kill it there.

Where there are workers, the second half of the deletes waits for the first to
be recorded: with a sync that is slower than all deletes there would be one
batch, and no second of anything.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import sys
import threading
import time

from parallelops import load_executor, prepare_process
from parallelops.images import FileStore, Scrubber, SQLiteCatalog

HALF = 12  # of the deletes


class Death:
    """Counts events, and dies at the one that was chosen."""

    def __init__(self, event, number):
        self.point = event, int(number)
        self.seen = collections.Counter()
        self.lock = threading.Lock()

    def comes(self, event):
        """Here is an event; nobody has another one meanwhile.

        Returns its number, from 1, among those of its name.
        """
        with self.lock:
            os.write(1, b".")
            self.seen[event] += 1
            if (event, self.seen[event]) == self.point:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.seen[event]


class Store(FileStore):
    """Tells of what is done to it."""

    def delete(self, url):
        number = death.comes("before-delete")
        if number > HALF:
            recorded.wait()
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
            settled = super().settle(images, **others)
        recorded.set()
        return settled

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
        recorded = executor.runtime.event()
        if not executor.traits.parallel:
            recorded.set()
        executor.runtime.time = lambda: time.time() + float(ahead)
        report = Scrubber(
            executor, catalog=catalog, store=Store(root), batch_size=4
        ).run_once()
    sys.exit(not report.ok)
