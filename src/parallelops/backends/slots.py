"""How many more tasks an executor may accept, without a lock."""

from __future__ import annotations

import collections
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Lock

__all__ = ["Slots"]


class Slots:
    """A number of slots that are taken and given back.

    Taking and giving are single atomic operations of a bytearray (a byte is
    a free slot; its contents mean nothing), so that they are safe in a
    signal handler or a finalizer that interrupts another one, and so that
    the bound is exact whatever happens at the same time.

    Attributes:
        take: take a slot, or raise IndexError.
        give: give one back; its argument is ignored.
        left: as many bytes as there are free slots; false when none is.
        owed: how many of those taken will not be free when they come back.
    """

    def __init__(self, number: int | None, lock: Lock) -> None:
        self.number = number
        self._lock = lock
        self.left = bytearray(number or 0)
        self.owed = 0
        if number is None:
            self.take: Callable[[], object] = itertools.repeat(0).__next__
            self.give: Callable[[int], object] = collections.deque[int](
                maxlen=0
            ).append
        else:
            self.take = self.left.pop
            self.give = self.left.append

    def taken(self) -> int:
        """How many are not free."""
        return (self.number or 0) + self.owed - len(self.left)

    def resize(self, number: int) -> None:
        """Change their number. What is taken stays taken: after a decrease,
        slots that come back are kept until the number is right."""
        if self.number is None:
            return
        with self._lock:
            change = number - self.number
            self.number = number
            forgiven = min(max(change, 0), self.owed)
            self.owed -= forgiven
            for _ in range(change - forgiven):
                self.left.append(0)
            for _ in range(-change):
                try:
                    self.left.pop()
                except IndexError:
                    self.owed += 1
            self.give = self._repay if self.owed else self.left.append

    def _repay(self, _: int) -> None:
        with self._lock:
            if self.owed:
                self.owed -= 1
                if not self.owed:
                    self.give = self.left.append
            else:
                self.left.append(0)
