"""Whether a store that says "not there" is there itself."""

from __future__ import annotations

import collections

__all__ = ["Breaker"]

_IN_A_ROW = 10
_WINDOW = 20


class Breaker:
    """Counts what a store says, and tells when that is hard to believe.

    It is when ten answers in a row are "not there", or more than half of
    the last twenty are.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._last = collections.deque[bool](maxlen=_WINDOW)

    def heard(self, gone: bool) -> bool:
        """Take an answer; True if the store is to show that it is there."""
        self._in_a_row = self._in_a_row + 1 if gone else 0
        self._last.append(gone)
        most = len(self._last) == _WINDOW and sum(self._last) > _WINDOW // 2
        return gone and (self._in_a_row >= _IN_A_ROW or most)

    def shown(self) -> None:
        """The store has shown that it is there: begin anew."""
        self._in_a_row = 0
        self._last.clear()
