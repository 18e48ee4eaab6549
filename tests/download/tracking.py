"""A tracker of ours."""

from __future__ import annotations

import contextlib
import threading

from parallelops import load_executor
from parallelops.download import Register, Tracker

WORKERS = 4


@contextlib.contextmanager
def tracking(listen="127.0.0.1:0"):
    """One that serves in a thread."""
    with load_executor("thread", max_workers=WORKERS) as executor:
        register = Register(executor.runtime, interval=2.0)
        with Tracker(executor, register, listen) as tracker:
            thread = threading.Thread(target=tracker.serve)
            thread.start()
            yield tracker
        thread.join()
