"""The way for tickets into a pool: its ready queue, without a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.backends.worker import Worker
from parallelops.errors import ExecutorShutdown
from parallelops.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops.backends.base import PoolExecutor
    from parallelops.backends.pool import Pool
    from parallelops.futures import Future
    from parallelops.intake import Book, Call

__all__ = ["PoolIntake", "Ticket"]


class Ticket:
    """Stands in the ready queue, among the futures, for a book.

    It has what a pool asks of those, takes no slot, and is in no count:
    ``run`` answers None, as that of a cancelled future does.

    Args:
        book: what to serve.
        pool: whose worker takes it.
    """

    __slots__ = ("_book", "_pool")

    # Nobody observes it; the book's own futures are observed.
    observed = None
    takes_slot = False

    def __init__(self, book: Book, pool: Pool) -> None:
        self._book = book
        self._pool = pool

    def run(self) -> None:
        """A worker has taken it."""
        if self._book.serve():
            self._pool.runtime.interrupted()

    def drop(self) -> bool:
        """The pool cancels what waits; nothing is to be counted."""
        self._book.lost(ExecutorShutdown("cancelled by a shutdown"))
        return False

    def revoke(self) -> bool:
        """The pool has broken down; nothing more is to be done for it."""
        self._book.lost(self._pool.refuse())
        return False

    def abandon(self, error: BaseException) -> None:
        """In a forked child the book sees to its futures itself."""

    def label(self) -> str:
        """For logs."""
        return self._book.label()


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
        self._ticket: Any = Ticket(book, pool)

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
                try:
                    pool.wake()
                except IndexError:
                    pool.hire()
            elif pool.seats.left:
                pool.hire()
            # Look only now: workers empty the queue after they see this. One
            # of them that is to go on looks at it once more.
            if pool.closed and self._worker() not in pool.workers:
                return self._take_back(ticket, pool.refuse())
        except BaseException as error:
            return self._take_back(ticket, error)
        return None

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
        return self._worker() is not None

    def _worker(self) -> Worker | None:
        party = waiting.party_of(self._pool.runtime)
        if isinstance(party, Worker) and party.pool is self._pool:
            return party
        return None

    def idle(self) -> bool:
        return bool(self._pool.idle)

    def starters(self) -> Collection[waiting.Party] | None:
        return self._pool.starters()
