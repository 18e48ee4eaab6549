"""Traces of green threads.

Not collected with the rest: it runs in a process of its own, patched.
"""

from __future__ import annotations

import time

from eventlet import patcher

from parallelops import load_executor
from parallelops.observe import ChromeTrace

native = patcher.original("threading")
LIMIT = 20


def test_green_threads(tmp_path, read_trace):
    """Each green worker has a lane of its own."""
    path = tmp_path / "trace.json"
    with (
        ChromeTrace(path) as trace,
        load_executor(
            "greenthread", max_workers=5, name="green", observers=[trace]
        ) as executor,
    ):
        futures = [executor.submit(time.sleep, 0) for _ in range(60)]
        futures[-1].cancel()
        executor.wait(futures, LIMIT)
    read = read_trace(path)
    assert read.counts() == {"succeeded": 59, "cancelled": 1}
    lanes = {record["tid"] for record in read.of("B")}
    assert len(lanes) == 5
    assert {f"green_{n}" for n in range(5)} < set(read.names("thread"))


def test_native_threads_take_part(tmp_path, read_trace):
    """Native threads submit to it, at the same time."""
    path = tmp_path / "trace.json"
    with (
        ChromeTrace(path) as trace,
        load_executor("greenthread", observers=[trace]) as executor,
    ):

        def submit() -> None:
            for _ in range(30):
                executor.submit(int).result(LIMIT)

        threads = [native.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0)
    assert read_trace(path).counts() == {"succeeded": 90}
