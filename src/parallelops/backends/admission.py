"""Who is let in: the bound of a pool, and what happens at it."""

from __future__ import annotations

import collections
import operator
from typing import TYPE_CHECKING, Any

from parallelops import events, waiting
from parallelops.backends.slots import Slots
from parallelops.backends.worker import worker_here
from parallelops.errors import ExecutorSaturated
from parallelops.executor import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.backends.pool import Pool
    from parallelops.executor import Policy
    from parallelops.futures import Future
    from parallelops.runtime import Lock

__all__ = ["Admission", "waker"]

_RELEASE = operator.methodcaller("release")


def waker(take: Callable[[], Lock]) -> Callable[[], None]:
    """A function that takes the next lock and releases it, in one step.

    An exception from a signal handler that came in between would leave a
    thread asleep for ever. It raises what ``take`` raises.
    """
    return map(_RELEASE, iter(take, None)).__next__


class Admission:
    """Hands out a pool's slots, and keeps the line of those who wait.

    A task holds a slot from its submit until its function has ended; there
    are as many as workers and queue hold together.

    Attributes:
        slots: the slots.
        line: what blocked submits wait on, first come first.
    """

    def __init__(self, pool: Pool, max_workers: int) -> None:
        self._pool = pool
        self.slots = Slots(self._capacity(max_workers), pool.lock)
        self.line: collections.deque[Lock] = collections.deque()
        self._call = waker(self.line.popleft)

    def _capacity(self, max_workers: int) -> int | None:
        max_queue = self._pool.options.max_queue
        return None if max_queue is None else max_workers + max_queue

    def resize(self, max_workers: int) -> None:
        """As many workers as this are to keep busy."""
        capacity = self._capacity(max_workers)
        if capacity is not None:
            self.slots.resize(capacity)
        self.call_all()

    def give_back(self) -> None:
        """A task has ended, or will not begin."""
        self.slots.give(0)
        if self.line:
            self.call_next()

    def call_next(self) -> None:
        """A slot is free: let the first of the line try for it."""
        try:
            self._call()
        except IndexError:
            pass

    def call_all(self) -> None:
        """Something has changed: let all of the line look."""
        for _ in range(len(self.line)):
            self.call_next()

    def overflow(self) -> bool:
        """No slot was free: do what the policy says.

        Returns:
            True if the caller now holds a slot, False if it is to run the
            task itself.

        Raises:
            ExecutorSaturated: the policy is to reject.
            ExecutorShutdown, ExecutorBroken: the pool was closed while the
                caller waited.
        """
        pool = self._pool
        policy = self._policy()
        if policy == "block" and worker_here(pool) is not None:
            policy = "caller_runs"  # or it would wait for itself
        pool.count(policy)
        if pool.observers:
            pool.observers.tell(events.Saturated, policy=policy)
        if policy == "reject":
            raise ExecutorSaturated(pool.name, self.slots.number or 0)
        if policy == "block":
            self._stand_in_line()
        return policy == "block"

    def _policy(self) -> Policy:
        policy = self._pool.options.on_saturation
        if callable(policy):
            policy = policy(self._pool.stats())
        if policy not in POLICIES:
            raise ValueError(
                f"on_saturation gave {policy!r}; it is to be one of "
                f"{', '.join(POLICIES)}"
            )
        return policy

    def _stand_in_line(self) -> None:
        pool = self._pool
        party = waiting.party_of(pool.runtime)
        permit = pool.runtime.lock()
        permit.acquire()
        join = self.line.append
        try:
            while True:
                join(permit)
                # Look only now: who gives a slot back from here on sees us.
                if pool.closed:
                    raise pool.refuse()
                try:
                    self.slots.take()
                except IndexError:
                    pass
                else:
                    return
                if party is None:
                    permit.acquire()
                else:
                    waiting.wait_for(party, permit, self._could_have_room)
                join = self.line.appendleft  # somebody was faster than us
        finally:
            self._leave_line(permit)

    def _could_have_room(self, stuck: waiting.Stuck) -> bool:
        """Could a slot come back, given who is stuck?"""
        pool = self._pool
        queued = sum(map(_is_pending, list(pool.ready)))
        if queued and waiting.can_start(pool, stuck):
            return True
        busy = [worker for worker in list(pool.workers) if worker.slots()]
        if not all(map(stuck, busy)):
            return True
        # One that nobody is seen to hold is on its way.
        seen = queued + sum(worker.slots() for worker in busy)
        return seen < self.slots.taken()

    def _leave_line(self, permit: Lock) -> None:
        try:
            self.line.remove(permit)
        except ValueError:
            # We were called, and need it no more: call the next.
            if self.slots.left:
                self.call_next()


def _is_pending(future: Future[Any]) -> bool:
    return future.takes_slot and not future.running() and not future.done()
