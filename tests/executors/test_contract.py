"""The contract of executors, for the backends that need no preparation."""

from __future__ import annotations

import unittest

from parallelops import load_executor
from parallelops.testing import ExecutorContract


class TestThread(ExecutorContract):
    """The thread backend."""

    def make(self, **options):
        """One of them."""
        return load_executor("thread", **options)


class TestSerial(ExecutorContract):
    """The serial backend."""

    def make(self, **options):
        """One of them."""
        return load_executor("serial", **options)


class ThreadUnderUnittest(ExecutorContract, unittest.TestCase):
    """The same, as unittest runs it."""

    def make(self, **options):
        """One of them."""
        return load_executor("thread", **options)
