"""What an error of a store means for a delete.

It is told by what the error is like, so that nothing needs to be imported:
errors of this library by their class, those of glance_store and of
swiftclient by the names of their classes, and those of HTTP clients by the
status and the headers that they have.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

from parallelops.errors import (
    ImageDataNotFound,
    LocationBlocked,
    LocationRefused,
    StoreBusy,
)

__all__ = ["Classify", "Kind", "Verdict", "classify"]


class Kind(enum.StrEnum):
    """What became of a delete."""

    DONE = "done"
    """The data is deleted."""
    GONE = "gone"
    """It was not there any more."""
    BUSY = "busy"
    """The store wants to be called less often; it did nothing."""
    RETRY = "retry"
    """It failed, and may work in a moment."""
    BLOCKED = "blocked"
    """It may not be deleted now: somebody uses it, or forbids it."""
    UNSUPPORTED = "unsupported"
    """This store can never delete it."""
    UNKNOWN = "unknown"
    """It may have been deleted, or still be; nobody knows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means.

    Attributes:
        kind: what became of the delete.
        retry_after: the seconds that the store asks to wait, or its header
            Retry-After as it is; None if it does not say.
    """

    kind: Kind
    retry_after: float | str | None = None


Classify = Callable[[BaseException], Verdict]

_OURS = {
    ImageDataNotFound: Kind.GONE,
    LocationBlocked: Kind.BLOCKED,
    LocationRefused: Kind.UNSUPPORTED,
}

# By the names of classes, their bases included: glance_store.exceptions,
# and what its drivers let through. None looks at the status instead.
_THEIRS = {
    "NotFound": Kind.GONE,
    "ImageDataNotFound": Kind.GONE,
    "Forbidden": Kind.BLOCKED,
    "HasSnapshot": Kind.BLOCKED,
    "InUseByStore": Kind.BLOCKED,
    "ImageBusy": Kind.BLOCKED,
    "BadStoreUri": Kind.UNSUPPORTED,
    "StoreDeleteNotSupported": Kind.UNSUPPORTED,
    "UnknownScheme": Kind.UNSUPPORTED,
    "UnsupportedBackend": Kind.UNSUPPORTED,
    "Timeout": Kind.UNKNOWN,
    "TimeoutError": Kind.UNKNOWN,
    "ReadTimeout": Kind.UNKNOWN,
    "StoreTimeout": Kind.UNKNOWN,
}

# RFC 9110, and 498, which is Swift's for a limit of its middleware.
_STATUSES = {
    401: Kind.RETRY,  # the token has expired
    403: Kind.BLOCKED,
    404: Kind.GONE,
    405: Kind.UNSUPPORTED,
    408: Kind.RETRY,
    409: Kind.BLOCKED,
    410: Kind.GONE,
    423: Kind.BLOCKED,
    429: Kind.BUSY,
    498: Kind.BUSY,
    501: Kind.UNSUPPORTED,
    503: Kind.BUSY,
    504: Kind.UNKNOWN,
}
# How many errors are looked at that led to one.
_DEEPEST = 5
_STATUS_NAMES = ("http_status", "status_code", "status", "code")
_HEADER_NAMES = ("http_response_headers", "headers")


def classify(error: BaseException) -> Verdict:
    """What ``error`` means, as far as it can be told.

    What nothing is known of is worth another try.
    """
    if isinstance(error, StoreBusy):
        return Verdict(Kind.BUSY, error.retry_after)
    for ours, kind in _OURS.items():
        if isinstance(error, ours):
            return Verdict(kind)
    response = getattr(error, "response", None)
    status = _status(error) or _status(response)
    if status is not None:
        found = _STATUSES.get(status, Kind.RETRY)
        wait = _wait(error)
        if wait is None:
            wait = _wait(response)
        return Verdict(found, wait)
    for base in type(error).__mro__:
        if base.__name__ in _THEIRS:
            return Verdict(_THEIRS[base.__name__])
    # Who could not sign in gets an error without a status, because of one
    # that has it. It is not the store's, so it tells nothing of the data.
    behind: BaseException | None = error
    for _ in range(_DEEPEST):
        behind = behind and (behind.__cause__ or behind.__context__)
        if _STATUSES.get(_status(behind) or 0) == Kind.BUSY:
            return Verdict(Kind.BUSY, _wait(behind))
    return Verdict(Kind.RETRY)


def _status(thing: object) -> int | None:
    """The HTTP status that an error, or an answer, has."""
    for name in _STATUS_NAMES:
        status = getattr(thing, name, None)
        if type(status) is int and 400 <= status < 600:
            return status
    return None


def _wait(thing: object) -> float | str | None:
    """What it says of when to ask again."""
    direct = getattr(thing, "retry_after", None)
    if isinstance(direct, (int, float)) and not isinstance(direct, bool):
        return max(float(direct), 0.0)
    for name in _HEADER_NAMES:
        headers: Any = getattr(thing, name, None)
        if isinstance(headers, Mapping):
            for key, value in headers.items():
                if str(key).lower() == "retry-after":
                    return str(value)
    return None
