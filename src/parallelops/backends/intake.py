"""The way for tickets into a pool: its ready queue, without a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from parallelops import waiting
from parallelops.backends.worker import Worker
from parallelops.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops.backends.base import PoolExecutor
    from parallelops.backends.pool import Pool
    from parallelops.futures import Future
    from parallelops.intake import Call, Ticket

__all__ = ["PoolIntake"]


class PoolIntake(Intake):
    """See :class:`~parallelops.intake.Intake`; who makes the tickets has
    a bound of its own, so that they take no slots."""

    queues = True
    knows_its_threads = True

    def __init__(
        self,
        executor: PoolExecutor,
        pool: Pool,
        bind: Callable[
            [Callable[..., Any], tuple[Any, ...], dict[str, Any]], Call
        ],
    ) -> None:
        super().__init__(executor)
        self._pool = pool
        self.bind = bind  # type: ignore[assignment, method-assign]

    def watch(self, future: Future[Any]) -> None:
        if self._pool.observers:
            self._pool.observers.watch(future)

    def admit(self, ticket: Ticket) -> BaseException | None:
        pool = self._pool
        try:
            pool.ready.append(cast("Future[Any]", ticket))
            if pool.idle:
                pool.wake_or_hire()
            elif pool.seats.left:
                pool.hire()
            # Look only now: workers empty the queue after they see this.
            if pool.closed:
                raise pool.refuse()
        except BaseException as error:
            if ticket.revoke():
                return error
            if not isinstance(error, Exception):
                raise
        return None

    def inside(self) -> bool:
        party = waiting.party_of(self._pool.runtime)
        return isinstance(party, Worker) and party.pool is self._pool

    def idle(self) -> bool:
        return bool(self._pool.idle)

    def starters(self) -> Collection[waiting.Party] | None:
        return self._pool.starters()
