"""A ready queue in which submitters take turns."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from parallelops.futures import Future
    from parallelops.runtime import Lock, Runtime

__all__ = ["FairQueue", "Ready"]


# Of fewer submitters we need not forget any.
_MANY = 1000


class Ready(Protocol):
    """What a pool needs of its ready queue; a deque has it.

    Each method is safe in several threads, and in a signal handler that
    interrupts another one.
    """

    def append(self, future: Future[Any], /) -> None: ...
    def popleft(self) -> Future[Any]: ...
    def remove(self, future: Future[Any], /) -> None: ...
    def clear(self) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Future[Any]]: ...


class FairQueue:
    """First in, first out for each submitter, who take turns.

    Each future gets the number of a round when it comes: one after the last
    of its submitter, but no earlier than the round that is being served.
    Rounds are served in order. (Start-time fair queueing, P. Goyal and
    others, 1996, with tasks of equal weight.)

    Args:
        runtime: says which thread submits.
        submitter: returns who submits; True goes by the thread.
        lock: reentrant, as a signal handler may submit while it is held.

    Attributes:
        lock: the same; another one in a forked child.
    """

    def __init__(
        self,
        runtime: Runtime,
        submitter: bool | Callable[[], Hashable],
        lock: Lock,
    ) -> None:
        self._submitter = submitter if callable(submitter) else runtime.ident
        self.lock = lock
        # The turn, the arrival, what came, and who brought it.
        self._heap: list[tuple[int, int, Future[Any], Hashable]] = []
        self._arrivals = itertools.count()
        self._round = 0
        self._last: dict[Hashable, int] = {}
        self._most = _MANY

    def append(self, future: Future[Any]) -> None:
        """Put it behind the others of its submitter."""
        submitter = self._submitter()
        with self.lock:
            turn = max(self._round, self._last.get(submitter, 0) + 1)
            self._last[submitter] = turn
            if len(self._last) > self._most:
                self._forget_the_served()
            heapq.heappush(
                self._heap, (turn, next(self._arrivals), future, submitter)
            )

    def popleft(self) -> Future[Any]:
        """Take the next; IndexError when there is none."""
        with self.lock:
            self._round, _, future, _ = heapq.heappop(self._heap)
            if not self._heap:
                self._forget()
            return future

    def remove(self, future: Future[Any]) -> None:
        """Take this one; ValueError when it is not here."""
        with self.lock:
            for index, (turn, _, here, submitter) in enumerate(self._heap):
                if here is future:
                    del self._heap[index]
                    self._move_up(submitter, turn)
                    return
        raise ValueError("not in the queue")

    def _move_up(self, submitter: Hashable, after: int) -> None:
        # Its turn is not lost: what is behind it in its own line takes it.
        for index, (turn, arrival, future, who) in enumerate(self._heap):
            if who == submitter and turn > after:
                self._heap[index] = (turn - 1, arrival, future, who)
        if submitter in self._last:
            self._last[submitter] -= 1
        heapq.heapify(self._heap)

    def clear(self) -> None:
        """Take all."""
        with self.lock:
            self._heap.clear()
            self._forget()

    def _forget_the_served(self) -> None:
        # Whose last turn has passed is as good as new.
        self._last = {
            submitter: turn
            for submitter, turn in self._last.items()
            if turn >= self._round
        }
        self._most = 2 * len(self._last) + _MANY

    def _forget(self) -> None:
        # With nobody waiting, nobody is owed a turn.
        self._round = 0
        self._last.clear()

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Future[Any]]:
        """In the order in which they would be taken."""
        with self.lock:
            entries = sorted(self._heap)
        return (future for _, _, future, _ in entries)
