"""How a composer has an executor run work whose order is its own business.

A composer such as :class:`~parallelops.keyed.KeyedExecutor` makes futures
itself and decides which of them is next. All it wants of the executor are
workers: it brings a ticket for each that it can use, and the worker who takes
one asks the composer's :class:`Book` what to do. Tickets are exchangeable,
and one too many does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from parallelops.errors import ExecutorShutdown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future as AnyFuture

    from parallelops.executor import Executor
    from parallelops.futures import Future
    from parallelops.waiting import Party

__all__ = ["Book", "Call", "Intake"]

Call = tuple["Callable[..., Any]", tuple[Any, ...], dict[str, Any]]


class Book(Protocol):
    """What tickets stand for: work that waits for a worker."""

    def serve(self) -> bool:
        """A worker has come: do what is next. It never raises.

        Returns:
            True if KeyboardInterrupt ended it.
        """

    def lost(self, error: BaseException) -> None:
        """A ticket will never be taken; ``error`` says why."""

    def ticket(self) -> Future[Any]:
        """Make what stands in a pool's queue for any of the work.

        The pool uses it as one of its futures, any number of times: ``run``
        does what is next, and ``drop`` and ``revoke`` are as :meth:`lost`.
        ``takes_slot`` is False. To the order that :meth:`Intake.insert`
        keeps it has no place, which ``arrival`` tells by not being a number.
        """


class Intake:
    """The way in for tickets, by way of ``executor.submit``.

    Attributes:
        queues: whether a ticket is put in a queue at once, whoever brings
            it. If not, a worker keeps what comes next in its hands, as its
            submit might run it on the spot, or wait.
        bind: what a submit with such arguments would have a worker call; it
            raises what submit would. None if that is what it was given.
        knows_its_threads: whether :meth:`inside` and :meth:`starters` tell.
    """

    queues = False
    bind: Callable[..., Call] | None = None
    knows_its_threads = False

    def __init__(self, executor: Executor, book: Book) -> None:
        self._executor = executor
        self._book = book

    def watch(self, future: Future[Any]) -> None:
        """Have the executor's observers told of a future of the book."""

    def admit(self) -> BaseException | None:
        """Bring a ticket.

        Returns:
            Why it was refused; None if it was not.

        Raises:
            KeyboardInterrupt: it ended what was done on the spot.
        """
        ticket = _Ticket(self._book)
        try:
            future = self._executor.submit(ticket)
        except BaseException as error:
            if ticket.claim():
                return error
            if not isinstance(error, Exception):
                raise
            return None  # somebody has taken it, and that is all we want
        if not ticket.taken():
            future.add_done_callback(ticket.settle)
        return None

    def insert(self, future: Any) -> bool:
        """A worker that looks for the next at once brings a future of the
        book, which has an ``arrival``, and keeps the order of these.

        Returns:
            False if it takes a ticket, since it is not in the queue, or not
            for sure in its place.
        """
        return False

    def leave_ticket(self) -> None:
        """A worker that looks for the next at once brings a ticket."""
        raise NotImplementedError

    def refusal(self) -> BaseException:
        """Why tickets are lost, if they are."""
        return ExecutorShutdown("its executor cancelled it")

    def inside(self) -> bool:
        """Is the calling thread in one of the executor's tasks?"""
        return False

    def idle(self) -> bool:
        """Is a worker free, who would come for a ticket by himself?"""
        return False

    def starters(self) -> Collection[Party] | None:
        """See :class:`~parallelops.waiting.Owner`."""
        return None


class _Ticket:
    """A task that serves a book, or tells it that it never will."""

    __slots__ = ("_book", "_unclaimed")

    def __init__(self, book: Book) -> None:
        self._book = book
        self._unclaimed = [None]

    def taken(self) -> bool:
        return not self._unclaimed

    def claim(self) -> bool:
        """True for the first who asks."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def __call__(self) -> None:
        if self.claim() and self._book.serve():
            raise KeyboardInterrupt

    def settle(self, future: AnyFuture[Any]) -> None:
        """The task is done: did it ever begin?"""
        if self.claim():
            error = None if future.cancelled() else future.exception()
            self._book.lost(
                error or ExecutorShutdown("its executor cancelled it")
            )
