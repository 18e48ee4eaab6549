"""The way for tickets into a pool: its ready queue, without a slot."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.backends.worker import worker_here
from parallelops.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops.backends.base import PoolExecutor
    from parallelops.backends.pool import Pool
    from parallelops.futures import Future
    from parallelops.intake import Book, Call

__all__ = ["PoolIntake"]


class PoolIntake(Intake):
    """See :class:`~parallelops.intake.Intake`. Who brings tickets has a
    bound of its own, so they take no slots."""

    queues = True
    knows_its_threads = True

    def __init__(
        self,
        executor: PoolExecutor,
        pool: Pool,
        book: Book,
        bind: Callable[..., Call] | None = None,
    ) -> None:
        super().__init__(executor, book)
        self.bind = bind
        self._pool = pool
        self._ticket = book.ticket()
        # A queue that we may put things in the midst of.
        self._queue = (
            pool.ready if isinstance(pool.ready, collections.deque) else None
        )

    def watch(self, future: Future[Any]) -> None:
        if self._pool.observers:
            self._pool.observers.watch(future)

    def admit(self) -> BaseException | None:
        return self.push(self._ticket)

    def push(self, ticket: Any) -> BaseException | None:
        """Put what a worker is to take in the queue; as :meth:`admit`.

        Args:
            ticket: a ticket, or a future of the book that answers as one.
        """
        pool = self._pool
        try:
            pool.ready.append(ticket)
            if pool.idle:
                pool.wake_or_hire()
            elif pool.seats.left:
                pool.hire()
            # Look only now: workers empty the queue after they see this. One
            # of them that is to go on looks at it once more.
            if pool.closed and worker_here(pool) not in pool.workers:
                return self._take_back(ticket, pool.refuse())
        except BaseException as error:
            return self._take_back(ticket, error)
        return None

    # Both wake nobody: this worker looks at the queue next. Should it leave
    # instead, it looks all the same, and so do those who stay: nobody sleeps
    # while there are too many.

    def insert(self, future: Any) -> bool:
        ready = self._queue
        if ready is None:
            return False
        try:
            if not ready:
                ready.append(future)
                return ready[0] is future
            book, arrival = self._book, future.arrival
            last = ready[-1]
            if last._owner is book and last.arrival < arrival:
                ready.append(future)
                return ready[-2] is last
            first = ready[0]
            if first._owner is book and arrival < first.arrival:
                ready.appendleft(future)
                return ready[1] is first
        except IndexError:
            pass  # others take at the same time
        return False

    def leave_ticket(self) -> None:
        self._pool.ready.append(self._ticket)

    def _take_back(
        self, ticket: Any, error: BaseException
    ) -> BaseException | None:
        try:
            self._pool.ready.remove(ticket)
        except ValueError:
            # A worker has taken it, or who closed the pool, who says so.
            return None if isinstance(error, Exception) else error
        return error

    def refusal(self) -> BaseException:
        return self._pool.refuse()

    def inside(self) -> bool:
        return worker_here(self._pool) is not None

    def idle(self) -> bool:
        return bool(self._pool.idle)

    def starters(self) -> Collection[waiting.Party] | None:
        return self._pool.starters()
