"""A worker: takes futures from its pool's ready queue and runs them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from parallelops import events, waiting

if TYPE_CHECKING:
    from parallelops.backends.pool import Pool
    from parallelops.futures import Future

__all__ = ["Worker", "worker_here"]

_log = logging.getLogger(__name__)


class Worker(waiting.Party):
    """One thread of a pool.

    Attributes:
        parking: what it parks on; locked but for the moment of waking it.
        succeeded: how many of its tasks returned.
        failed: how many of its tasks raised.
        helping: how many of the pool's tasks it is in the midst of, beside
            its own, since it would have waited for them.
    """

    __slots__ = (
        "_unclaimed",
        "failed",
        "helping",
        "parking",
        "pool",
        "succeeded",
    )

    def __init__(self, pool: Pool, name: str) -> None:
        super().__init__(name)
        self.pool = pool
        self.parking = pool.runtime.lock()
        self.parking.acquire()
        self.succeeded = 0
        self.failed = 0
        self.helping = 0
        self._unclaimed = [None]

    def slots(self) -> int:
        """How many slots of the pool the tasks that it runs hold."""
        task = self.task
        return (task is not None and task.takes_slot) + self.helping

    def claim(self) -> bool:
        """True for the first who asks: the worker as it begins, or who
        hired it and takes that back."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def work(self) -> None:
        """The whole life of a worker."""
        pool = self.pool
        if not self.claim():
            return
        waiting.register(pool.runtime, self)
        try:
            if pool.options.initializer is not None:
                pool.options.initializer(*pool.options.initargs)
        except BaseException as cause:
            _log.critical("%s: initializer failed", self.name, exc_info=True)
            pool.break_down(cause, self)
        else:
            self._tell(events.WorkerStarted)
            self._take_tasks()
            self._tell(events.WorkerStopped)
        finally:
            waiting.unregister(self)

    def _take_tasks(self) -> None:
        pool = self.pool
        admission = pool.admission
        ready = pool.ready
        take = ready.popleft
        future: Future[Any] | None = None
        while True:
            if not ready:
                # A parked worker keeps nothing of its last task alive.
                future = self.task = None
                if not self._park() and pool.dismiss(self):
                    return
                continue
            try:
                future = take()
            except IndexError:
                continue  # somebody was faster
            self.task = future
            succeeded = future.run()
            if succeeded:
                self.succeeded += 1
            elif succeeded is None:
                # Cancelled, run by one who waited for it, or a ticket.
                if pool.seats.owed and pool.dismiss(self):
                    return
                continue
            else:
                self.failed += 1
                if future.interrupted():
                    pool.runtime.interrupted()
            self.task = None
            admission.slots.give(0)
            if admission.line:
                admission.call_next()
            future.publish()
            if pool.seats.owed and pool.dismiss(self):
                return

    def _tell(self, kind: type[events.ExecutorEvent]) -> None:
        if self.pool.observers:
            self.pool.observers.tell(kind, worker=self.name)

    def _park(self) -> bool:
        """Sleep until there may be work; False when it is time to leave."""
        pool = self.pool
        if pool.lets_go():
            # Work that was added before is still to be done.
            return bool(pool.ready)
        permit = self.parking
        pool.idle.append(permit)
        # Who adds work, closes or resizes from here on sees us; look for
        # what came before.
        came = pool.ready or pool.lets_go()
        if permit.acquire(True, 0 if came else pool.idle_timeout):
            return True
        try:
            pool.idle.remove(permit)
        except ValueError:
            # Somebody has taken us from there to wake us.
            permit.acquire()
            return True
        return bool(pool.ready)


def worker_here(pool: Pool) -> Worker | None:
    """The calling thread, if it is one of the pool's workers."""
    party = waiting.party_of(pool.runtime)
    if isinstance(party, Worker) and party.pool is pool:
        return party
    return None
