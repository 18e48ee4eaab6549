"""Waiting for what tells nobody that it has happened."""

from __future__ import annotations

import time

LONG = 60.0  # seconds, after which a test gives up


def until(condition, seconds=LONG):
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not, in that time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in {seconds:.0f} s"
        time.sleep(0.005)
