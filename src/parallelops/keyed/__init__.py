"""Order within a key, and parallel across keys."""

from __future__ import annotations

from parallelops.keyed.executor import KeyedExecutor
from parallelops.keyed.stats import KeyedStats

__all__ = ["KeyedExecutor", "KeyedStats"]
