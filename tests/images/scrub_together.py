"""One of several scrubbers over one catalogue, in a process of its own.

Arguments: the catalogue, the root of the store, a file that each delete
is written to, the seconds that a delete takes, and the lease. It begins when
a line comes on standard input, and prints what became of what.
"""

from __future__ import annotations

import json
import os
import sys
import time

from parallelops import load_executor
from parallelops.images import FileStore, Scrubber, SQLiteCatalog


class Store(FileStore):
    """Writes down what it is asked to delete, and takes its time."""

    def delete(self, url):
        os.write(log, f"{url}\n".encode())
        time.sleep(float(seconds))
        super().delete(url)


if __name__ == "__main__":
    path, root, log_path, seconds, lease = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with (
        SQLiteCatalog(path) as catalog,
        load_executor("thread", max_workers=4) as executor,
    ):
        os.write(1, b"ready\n")
        sys.stdin.readline()
        report = Scrubber(
            executor,
            catalog=catalog,
            store=Store(root),
            lease=float(lease),
            batch_seconds=0.05,
        ).run_once()
    counts = {k.value: n for k, n in report.counts.items() if n}
    os.write(1, json.dumps({"counts": counts, "ok": report.ok}).encode())
