"""What a server says in the header Retry-After."""

from __future__ import annotations

import re

__all__ = ["retry_after"]


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks to wait.

    RFC 9110, section 10.2.3: a number of seconds or an HTTP date. Some
    servers send a fraction of a second, which is read too.

    Args:
        value: the text of the header; None if there was none.
        now: seconds since the epoch, for a date: ``runtime.time()``.

    Returns:
        The seconds, at least 0; None if it says nothing that can be
        understood, so that the caller decides by itself.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,10}(\.\d{1,10})?", text, re.ASCII):
        return float(text)
    # Loads a good part of the standard library; dates are rare.
    from email.utils import mktime_tz, parsedate_tz

    try:
        date = parsedate_tz(text)
        return None if date is None else max(mktime_tz(date) - now, 0.0)
    except (ValueError, OverflowError):
        return None
