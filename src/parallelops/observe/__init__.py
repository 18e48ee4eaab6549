"""Seeing what executors do: a timeline of it, and metrics.

Each of these is an observer. Hand it to the executors that it is to see:
``load_executor("thread", observers=[observer])``.
"""

from __future__ import annotations

from parallelops.observe.chrometrace import ChromeTrace
from parallelops.observe.metrics import opentelemetry, prometheus

__all__ = ["ChromeTrace", "opentelemetry", "prometheus"]
