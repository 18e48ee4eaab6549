"""Tables for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["table"]


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
