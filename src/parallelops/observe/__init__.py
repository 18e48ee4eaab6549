"""Seeing what executors and scrubbers do: timelines, metrics, an audit log.

Each of these is an observer. Hand it to the executors that it is to see:
``load_executor("thread", observers=[observer])``.
"""

from __future__ import annotations

from parallelops.observe.audit import AuditLog
from parallelops.observe.chrometrace import ChromeTrace
from parallelops.observe.metrics import opentelemetry, prometheus

__all__ = ["AuditLog", "ChromeTrace", "opentelemetry", "prometheus"]
