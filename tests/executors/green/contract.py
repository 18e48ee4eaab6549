"""The contract of executors, for the greenthread backend.

Not collected with the rest: it runs in a process of its own, patched.
"""

from __future__ import annotations

from parallelops import load_executor
from parallelops.testing import ExecutorContract


class TestGreenThread(ExecutorContract):
    """The greenthread backend."""

    def make(self, **options):
        """One of them."""
        options.setdefault("max_workers", 10)
        return load_executor("greenthread", **options)
