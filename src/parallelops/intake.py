"""How a composer has an executor run work whose order is its own business.

A composer such as :class:`~parallelops.keyed.KeyedExecutor` makes futures
itself and decides which of them is next. All it wants of the executor is a
worker: it hands in a :class:`Ticket`, and whoever takes the ticket asks the
composer's :class:`Book` what to do. Tickets are exchangeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from parallelops.errors import ExecutorShutdown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future as AnyFuture

    from parallelops.executor import Executor
    from parallelops.futures import Future
    from parallelops.runtime import Runtime
    from parallelops.waiting import Party

__all__ = ["Book", "Intake", "Ticket"]

Call = tuple["Callable[..., Any]", tuple[Any, ...], dict[str, Any]]


class Book(Protocol):
    """What tickets stand for: work that waits for a worker."""

    runtime: Runtime

    def serve(self) -> bool:
        """A worker has come: do what is next. It never raises.

        Returns:
            True if KeyboardInterrupt ended it.
        """

    def lost(self, error: BaseException) -> None:
        """A ticket will never be taken; ``error`` says why."""

    def label(self) -> str:
        """What the calling worker is doing, for logs."""


class Ticket:
    """Brings one worker to a book; or says that none will come.

    It is in a pool's ready queue among the futures, and has what the pool
    needs of those. It takes no slot and is in no count: ``run`` answers
    None, as that of a cancelled future does.
    """

    __slots__ = ("_book", "_unclaimed")

    # Nobody observes it; the book's own futures are.
    observed = None

    def __init__(self, book: Book) -> None:
        self._book = book
        self._unclaimed = [None]

    @property
    def is_out(self) -> bool:
        """Whether nobody has taken it yet."""
        return bool(self._unclaimed)

    def revoke(self) -> bool:
        """Take it out of use; False if a worker has taken it."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def run(self) -> None:
        """A worker has taken it: serve the book."""
        if self.revoke() and self._book.serve():
            self._book.runtime.interrupted()

    def call(self) -> None:
        """The same as the function of a task.

        Raises:
            KeyboardInterrupt: it ended what was done.
        """
        if self.revoke() and self._book.serve():
            raise KeyboardInterrupt

    def drop(self) -> bool:
        """Its executor cancels what waits; it was in no count."""
        if self.revoke():
            self._book.lost(ExecutorShutdown("cancelled by a shutdown"))
        return False

    def set_exception(self, error: BaseException) -> None:
        """After :meth:`revoke`: its executor cannot run it."""
        self._book.lost(error)

    def abandon(self, error: BaseException) -> None:
        """In a forked child the book sees to its futures itself."""

    def label(self) -> str:
        """For logs."""
        return self._book.label()

    def settle(self, future: AnyFuture[Any]) -> None:
        """The task that was to take it is done: did it?"""
        if not self.revoke():
            return
        if future.cancelled():
            self._book.lost(ExecutorShutdown("its executor cancelled it"))
            return
        error = future.exception()
        self._book.lost(error or ExecutorShutdown("its executor lost it"))


class Intake:
    """The way in for tickets, by way of ``executor.submit``.

    Attributes:
        queues: whether a ticket is put in a queue at once, whoever brings
            it. If not, a worker keeps what comes next in its hands, as its
            submit might run it on the spot, or wait.
        knows_its_threads: whether :meth:`inside` and :meth:`starters` tell.
    """

    queues = False
    knows_its_threads = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def bind(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Call:
        """What a task of this executor would call, for such a submit.

        Raises:
            what submit would.
        """
        return fn, args, kwargs

    def watch(self, future: Future[Any]) -> None:
        """Have the executor's observers told of a future of the book."""

    def admit(self, ticket: Ticket) -> BaseException | None:
        """Bring a ticket.

        Returns:
            Why it was refused, and is out of use; None if it was not.

        Raises:
            KeyboardInterrupt: it ended what was done on the spot.
        """
        try:
            future = self._executor.submit(ticket.call)
        except BaseException as error:
            if ticket.revoke():
                return error
            if not isinstance(error, Exception):
                raise
            return None  # somebody has taken it, and that is all we want
        if ticket.is_out:
            future.add_done_callback(ticket.settle)
        return None

    def inside(self) -> bool:
        """Is the calling thread in one of the executor's tasks?"""
        return False

    def idle(self) -> bool:
        """Is a worker free, who would come for a ticket by himself?"""
        return False

    def starters(self) -> Collection[Party] | None:
        """See :class:`~parallelops.waiting.Owner`."""
        return None
