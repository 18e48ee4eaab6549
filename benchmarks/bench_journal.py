"""Appends to a journal: sixteen threads that share commits, against one.

And whole operations, each of which is three commits one after the other.
The disk is that of the working directory.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from pathlib import Path

import harness

from parallelops import load_executor
from parallelops.containers import ContainerOperations, Entry, SQLiteJournal

APPENDS = 1600
OPERATIONS = 800
THREADS = 16

_ids = itertools.count()


def together(threads: int, work: int, do: object) -> float:
    """Seconds for each of ``work`` calls, evenly over so many threads."""
    barrier = threading.Barrier(threads + 1)

    def run() -> None:
        barrier.wait()
        for _ in range(work // threads):
            do()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in running:
        thread.join()
    return (time.perf_counter() - began) / work


def appends(threads: int, journal: SQLiteJournal) -> float:
    """Microseconds for each append."""
    lease = journal.take("", "bench", 0.0, None)

    def append() -> None:
        number = next(_ids)
        journal.accept(
            lease,
            Entry(
                id=f"{number:032}",
                container=f"container-{number % 100}",
                action="start",
                parameters='{"timeout":5}',
                mode="exclusive",
                recovery="never",
                scope="",
                accepted_at=0.0,
            ),
        )

    return together(threads, APPENDS, append) * 1e6


def operations(threads: int, folder: str) -> float:
    """Microseconds for each operation, from many requests to the last."""
    with (
        SQLiteJournal(Path(folder, f"operations-{next(_ids)}")) as journal,
        load_executor("thread", max_workers=threads) as executor,
        ContainerOperations(
            executor, handlers={"start": lambda call: None}, journal=journal
        ) as running,
    ):
        running.recover()
        began = time.perf_counter()
        together(
            threads,
            OPERATIONS,
            lambda: running.submit(f"c{next(_ids) % 100}", "start"),
        )
        running.shutdown()
        return (time.perf_counter() - began) / OPERATIONS * 1e6


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=7)
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        SQLiteJournal(Path(folder, "journal")) as journal,
    ):
        harness.report(
            [
                harness.Comparison(
                    f"append, {THREADS} threads",
                    "us",
                    "one thread; the goal is 5 x",
                    lambda: appends(1, journal),
                    lambda: appends(THREADS, journal),
                ),
                harness.Comparison(
                    f"operation, {THREADS} workers",
                    "us",
                    "one request and one worker",
                    lambda: operations(1, folder),
                    lambda: operations(THREADS, folder),
                ),
            ],
            rounds,
        )


if __name__ == "__main__":
    main()
