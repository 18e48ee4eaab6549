"""For those who test executors, or code that uses them."""

from __future__ import annotations

from parallelops.testing.contract import ExecutorContract

__all__ = ["ExecutorContract"]
