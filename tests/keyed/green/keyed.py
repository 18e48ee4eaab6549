"""Keyed executors on green threads.

Not collected with the rest: it runs in a process of its own, patched.
"""

from __future__ import annotations

from tests.keyed.contract import KeyedContract

from parallelops import load_executor


class TestGreenThread(KeyedContract):
    """On green threads."""

    takes_signals = False

    def make(self, **options):
        """A pool of them."""
        return load_executor("greenthread", **options)
