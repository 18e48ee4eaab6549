"""Which parts of a file have been written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "Blocks"]

BLOCK = 1 << 18
"""Bytes of a block: what is lost of a part when a process is killed."""


class Blocks:
    """A byte for each block of a file: written, or not.

    Several threads may mark blocks of their own at the same time: each
    change is a single operation, atomic in CPython.

    Args:
        size: bytes of the file.
        marks: what is known already, a byte of 0 or 1 for each block.
    """

    def __init__(self, size: int, marks: bytes | None = None) -> None:
        self.size = size
        self.marks = bytearray(-(-size // BLOCK) if marks is None else marks)

    def mark(self, begin: int, end: int) -> range:
        """The bytes from ``begin`` to ``end`` are written.

        Returns:
            The blocks that this fills; those that it fills in part are not
            marked.
        """
        last = len(self.marks) if end >= self.size else end // BLOCK
        full = range(-(-begin // BLOCK), last)
        if full:
            self.marks[full.start : full.stop] = b"\1" * len(full)
        return full

    def has(self, begin: int, end: int) -> bool:
        """Whether all from ``begin`` to ``end`` is written."""
        first, last = begin // BLOCK, -(-end // BLOCK)
        return self.marks.find(0, first, last) < 0

    def written_up_to(self, begin: int) -> int:
        """Up to where all is written from ``begin`` on, as an offset."""
        hole = self.marks.find(0, begin // BLOCK)
        return self.size if hole < 0 else max(hole * BLOCK, begin)

    def done(self) -> int:
        """How many bytes are written, in whole blocks."""
        whole = sum(self.marks) * BLOCK
        if self.marks and self.marks[-1]:
            whole -= len(self.marks) * BLOCK - self.size
        return whole

    def holes(self, extent: int) -> Iterator[tuple[int, int]]:
        """What is missing, as begin and end, cut at multiples of ``extent``.

        An extent has to be a multiple of a block.
        """
        position = 0
        while True:
            first = self.marks.find(0, position)
            if first < 0:
                return
            last = self.marks.find(1, first)
            last = len(self.marks) if last < 0 else last
            begin, stop = first * BLOCK, min(last * BLOCK, self.size)
            while begin < stop:
                end = min(stop, (begin // extent + 1) * extent)
                yield begin, end
                begin = end
            position = last
