"""What the columns of a location say: its URL, and the store it is in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from parallelops.errors import MissingDependency

__all__ = [
    "UNDECRYPTABLE",
    "UNPLACED",
    "ReadURL",
    "reader",
]

ReadURL = Callable[[str, str | None], tuple[str, str | None]]
"""Takes the columns ``value`` and ``meta_data``; gives the URL, and the name
of the store or None."""

UNDECRYPTABLE = "undecryptable"
"""The store of a location whose URL nobody can read."""
UNPLACED = "unplaced"
"""The store of a location that could be in none, or in several."""


def reader(
    key: str | None, store_of: Callable[[str, Mapping[str, Any]], str]
) -> ReadURL:
    """Something that reads the columns of a location.

    Args:
        key: Glance's ``metadata_encryption_key``; None or empty if URLs are
            not encrypted.
        store_of: finds the store of a URL and its metadata.

    Raises:
        MissingDependency: there is a key, and Glance is not installed.
    """
    if not key:
        return lambda value, metadata: (
            value,
            store_of(value, _metadata(metadata)),
        )
    try:
        from glance.common import crypt
    except ImportError as error:
        raise MissingDependency(
            "an encrypted location", "glance", "glance"
        ) from error

    def read(value: str, metadata: str | None) -> tuple[str, str | None]:
        try:
            url = crypt.urlsafe_decrypt(key, value)
        except Exception:  # noqa: BLE001 - whatever is wrong with it
            url = ""
        # A wrong key may give any bytes, which happen to be text.
        if "://" not in url:
            return f"{UNDECRYPTABLE}:", UNDECRYPTABLE
        return url, store_of(url, _metadata(metadata))

    return read


def _metadata(text: str | None) -> Mapping[str, Any]:
    if not text or text == "{}":
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
