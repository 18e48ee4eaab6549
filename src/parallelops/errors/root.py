"""The root of all errors."""

from __future__ import annotations

__all__ = ["ParallelopsError"]


class ParallelopsError(Exception):
    """The root of all errors of this library."""
