"""Tables for people to read, or the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["print_fields", "print_table", "table"]


def print_table(
    said: object,
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    as_json: bool,
) -> None:
    """Print ``said`` as JSON, or else a table of ``rows``."""
    print(
        *([json.dumps(said, indent=2)] if as_json else table(head, rows)),
        sep="\n",
        flush=True,
    )


def print_fields(said: Mapping[str, object], *, as_json: bool) -> None:
    """Print it as JSON, or else a line for each name and value."""
    lines = (f"{name}: {value}" for name, value in said.items())
    print(
        *([json.dumps(said, indent=2)] if as_json else lines),
        sep="\n",
        flush=True,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines with the columns in line: numbers to the right, text to the
    left."""
    rows = list(rows)
    text = [[_text(cell) for cell in row] for row in (head, *rows)]
    numbers = [
        all(isinstance(cell, (int, float)) for cell in column)
        for column in zip(*rows, strict=True)
    ] or [False] * len(head)
    widths = [
        max(len(cell) for cell in column) for column in zip(*text, strict=True)
    ]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in text
    ]


def _text(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)
