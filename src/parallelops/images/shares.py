"""How stores share the workers, so that none holds up another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from parallelops.executor import Executor
    from parallelops.images.lane import Lane
    from parallelops.images.lanes import Lanes

__all__ = ["Shares"]

# Seconds that a store may have to wait for what another had begun or queued.
_MOMENT = 0.1


class Shares:
    """Says how many tasks there may be, in all and of each store.

    A few more than there are workers may wait in front of them, so that no
    worker has nothing to do while the scheduler records or claims. Those of
    one store would be in the way of another's: a store has as many as there
    are workers, and more only while it is alone.

    Args:
        executor: where the workers are.
        lanes: the stores.
        probes: the probes under way.
        hung: the tasks that were given up, and still have a worker.
        stores: how many stores there are.
        reads_ahead: whether images are still being listed, so that more
            stores may turn out to have work.

    Attributes:
        workers: how many there are.
    """

    def __init__(
        self,
        executor: Executor,
        lanes: Lanes,
        probes: Sized,
        hung: Sized,
        *,
        stores: int,
        reads_ahead: Callable[[], bool],
    ) -> None:
        self.workers = executor.stats().max_workers
        self._executor = executor
        self._lanes = lanes
        self._probes = probes
        self._hung = hung
        self._stores = stores
        self._reads_ahead = reads_ahead

    def room(self) -> int:
        """How many more tasks there may be, but no more than there is room
        for beside those of others."""
        stats = self._executor.stats()
        self.workers = stats.max_workers
        ours = len(self._probes) + len(self._hung)
        ours += sum(len(lane.running) for lane in self._lanes)
        ahead = self._ahead if self._is_alone else self._ahead // 2
        room = stats.max_workers + ahead - ours
        if stats.max_queue is not None:
            taken = stats.running + stats.queued
            most = stats.max_workers + stats.max_queue
            room = min(room, most - taken)
        return room

    def of(self, lane: Lane, now: float) -> int:
        """How many more of them may be deletes of this store."""
        workers, ahead = self.workers, self._ahead
        if not self._is_alone:
            ahead = min(ahead, int(workers * _MOMENT / lane.pace))
        if lane.pace > _MOMENT and (
            self._may_get_company
            or any(other.is_about_to_begin(now) for other in self._lanes)
        ):
            # What it will want is not to be taken by those before it.
            workers = max(workers // max(self._lanes.number, 2), 1)
        return lane.room(workers, self._stores, ahead)

    @property
    def _ahead(self) -> int:
        if self._hung or not self._executor.traits.parallel:
            return 0
        return self.workers

    @property
    def _is_alone(self) -> bool:
        """No more than one store has work, as far as anybody knows."""
        return not self._may_get_company and (
            sum(lane.has_work for lane in self._lanes) <= 1
        )

    @property
    def _may_get_company(self) -> bool:
        """A page that was not read yet may have images of another store."""
        return self._stores > 1 and self._reads_ahead()
