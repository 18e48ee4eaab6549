"""Whether the write-ahead log of a journal ends where its writer ended it.

SQLite takes the first frame that is not as its checksum says for the end of
the log. So it has to: after a power cut, what was not synced may be there in
part. But what was synced may be damaged too, and then everything behind it
would be gone without a word. The two differ in what comes behind. Each
transaction is synced before the next one is written, so a power cut tears
the last one only. Frames of the same log behind the end of a transaction that
is not whole were written when it was.

The format is that of https://sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

__all__ = ["damage_of_log"]

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682  # its last bit says in which order bytes are summed
_WORD = 0xFFFFFFFF

_Sum = tuple[int, int]


def damage_of_log(path: str | os.PathLike[str]) -> str | None:
    """What is wrong with a log, in words; None if nothing is to be seen.

    Somebody may be writing to it. The last transaction may be damaged
    without being seen to be, and so may be a log that was cut short.

    Args:
        path: of the log; it need not be there.

    Raises:
        OSError: it can't be read.
    """
    found = _look(path)
    if found is None:
        return None
    # What is being written while it is read may look like anything, but not
    # twice like the same.
    again = _look(path)
    return found.words if found == again else None


@dataclasses.dataclass(frozen=True, slots=True)
class _Damage:
    words: str
    header: bytes
    frame: bytes


def _look(path: str | os.PathLike[str]) -> _Damage | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - what it is given
            data = file.read()
    except FileNotFoundError:
        return None
    if len(data) < _HEADER.size + _FRAME.size:
        return None
    return _Log(data).damage()


class _Log:
    """A log as it was read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        magic, _, page, _, *self._salts, one, two = _HEADER.unpack_from(data)
        self._order = ">" if magic & 1 else "<"
        self._begin = one, two
        self._summed = self._sum(data[:24], (0, 0))
        self._is_whole = magic & ~1 == _MAGIC and self._summed == self._begin
        if not self._is_whole and page not in _PAGES:
            page = 4096
        self._size = _FRAME.size + page
        self._frames = (len(data) - _HEADER.size) // self._size

    def damage(self) -> _Damage | None:
        """The first frame that is wrong, if others tell so."""
        if not self._is_whole:
            # Frames are written when the header has been synced. It is its
            # sum that was damaged, or the rest.
            if self._frames and any(
                self._follows(0, begin)
                for begin in (self._begin, self._summed)
            ):
                return self._at(0, "its header is damaged")
            return None
        number, before = 0, self._begin
        while number < self._frames and self._follows(number, before):
            before = self._sum_of(number)
            number += 1
        ended = False
        for later in range(number, self._frames):
            if not self._is_of_this_log(later):
                continue
            if ended:
                return self._at(
                    number,
                    f"frame {number + 1} of {self._frames} is damaged, and "
                    "later transactions are behind it",
                )
            ended = self._fields(later)[1] > 0
        return None

    def _at(self, number: int, words: str) -> _Damage:
        start = _HEADER.size + number * self._size
        return _Damage(
            words,
            self._data[: _HEADER.size],
            self._data[start : start + self._size],
        )

    def _fields(self, number: int) -> tuple[int, ...]:
        return _FRAME.unpack_from(
            self._data, _HEADER.size + number * self._size
        )

    def _sum_of(self, number: int) -> _Sum:
        *_, one, two = self._fields(number)
        return one, two

    def _is_of_this_log(self, number: int) -> bool:
        """Not of one before it, which may be left behind its end."""
        return [*self._fields(number)[2:4]] == self._salts

    def _follows(self, number: int, before: _Sum) -> bool:
        """Whether it is whole, and comes after what has that sum."""
        start = _HEADER.size + number * self._size
        page = start + _FRAME.size
        data = self._data
        if self._is_whole and not self._is_of_this_log(number):
            return False
        found = self._sum(data[start : start + 8], before)
        found = self._sum(data[page : start + self._size], found)
        return found == self._sum_of(number)

    def _sum(self, data: bytes, before: _Sum) -> _Sum:
        one, two = before
        words = struct.iter_unpack(f"{self._order}II", data)
        for first, second in words:
            one = (one + first + two) & _WORD
            two = (two + second + one) & _WORD
        return one, two


_PAGES = {1 << power for power in range(9, 17)}
