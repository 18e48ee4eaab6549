"""Order within a key, and parallel across keys."""

from __future__ import annotations

from parallelops.keyed.executor import KeyedExecutor, KeyedStats

__all__ = ["KeyedExecutor", "KeyedStats"]
