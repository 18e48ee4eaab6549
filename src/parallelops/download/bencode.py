"""Bencoding (BEP 3), in its canonical form only, and with limits.

What does not come out again byte for byte as it went in is refused. So
nobody can hide something in a form that two readers understand differently.
"""

from __future__ import annotations

import re
from typing import Any

from parallelops.errors import TorrentRefused

__all__ = ["decode", "encode"]

_DEEPEST = 8
_MOST_ITEMS = 10_000
_INTEGER = re.compile(rb"i(0|-?[1-9]\d{0,18})e", re.ASCII)
_LENGTH = re.compile(rb"(0|[1-9]\d{0,9}):", re.ASCII)


def encode(value: Any) -> bytes:
    """Integers, bytes, lists, and dicts with bytes for keys."""
    match value:
        case bool():
            raise TypeError("a truth value cannot be bencoded")
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%b" % (len(value), value)
        case list():
            return b"l%be" % b"".join(map(encode, value))
        case dict():
            items = sorted(value.items())
            return b"d%be" % b"".join(
                encode(key) + encode(item) for key, item in items
            )
    raise TypeError(f"{type(value).__name__} cannot be bencoded")


def decode(data: bytes) -> Any:
    """What :func:`encode` would make ``data`` of.

    Raises:
        TorrentRefused: it would make it of nothing.
    """
    value, end, _ = _value(data, 0, 0, _MOST_ITEMS)
    if end != len(data):
        raise _refused(end, "something follows the end")
    return value


def _value(
    data: bytes, at: int, depth: int, left: int
) -> tuple[Any, int, int]:
    """A value, where it ends, and how many more there may be."""
    if depth > _DEEPEST:
        raise _refused(at, "it is nested too deep")
    if not left:
        raise _refused(at, "it has too many parts")
    left -= 1
    kind = data[at : at + 1]
    if kind == b"i":
        match = _INTEGER.match(data, at)
        if match is None:
            raise _refused(at, "a number is damaged")
        return int(match[1]), match.end(), left
    if kind == b"l":
        items: list[Any] = []
        at += 1
        while data[at : at + 1] != b"e":
            item, at, left = _value(data, at, depth + 1, left)
            items.append(item)
        return items, at + 1, left
    if kind == b"d":
        found: dict[bytes, Any] = {}
        at += 1
        last = b""
        while data[at : at + 1] != b"e":
            begin = at
            key, at = _string(data, at)
            if found and key <= last:
                raise _refused(begin, "keys are not in order")
            found[key], at, left = _value(data, at, depth + 1, left)
            last = key
        return found, at + 1, left
    text, at = _string(data, at)
    return text, at, left


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    match = _LENGTH.match(data, at)
    if match is None:
        raise _refused(at, "no value is there")
    end = match.end() + int(match[1])
    if end > len(data):
        raise _refused(at, "a text is cut off")
    return data[match.end() : end], end


def _refused(at: int, reason: str) -> TorrentRefused:
    return TorrentRefused(f"byte {at}", reason)
