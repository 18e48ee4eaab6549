"""What to call things in logs, events and errors."""

from __future__ import annotations

from typing import Any

__all__ = ["describe"]


def describe(fn: Any) -> str:
    """What to call a function in a log, an event or an error."""
    # Its class is asked: a mock has any attribute, and that one as well.
    while hasattr(type(fn), "func"):  # functools.partial
        fn = fn.func
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    module = getattr(fn, "__module__", None)
    return f"{module}.{name}" if module else str(name)
