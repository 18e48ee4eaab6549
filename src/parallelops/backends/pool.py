"""The worker pool: one for all kinds of threads.

Work flows one way: ``submit`` takes a slot and puts a future in the ready
queue; a worker takes it out, runs it and gives the slot back. No lock is
taken on the way. Each meeting of two threads is a pair of atomic steps in
which each side first does its own and then looks at the other's:

- submit adds to the queue, then looks for a parked worker; a worker parks,
  then looks at the queue;
- submit adds to the queue, then looks whether the pool was closed; shutdown
  closes, and workers that see it look at the queue once more;
- a blocked submit stands in line, then looks for a free slot; who gives one
  back looks at the line afterwards.

So submit can be interrupted anywhere by a signal handler or a finalizer that
submits, and neither waits for the other.
"""

from __future__ import annotations

import collections
import itertools
import logging
from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.backends.admission import Admission, waker
from parallelops.backends.fair import FairQueue
from parallelops.backends.observed import Observers
from parallelops.backends.slots import Slots
from parallelops.backends.worker import Worker, worker_here
from parallelops.errors import (
    ExecutorBroken,
    ExecutorShutdown,
    ShutdownTimeout,
    WorkerStartError,
)
from parallelops.executor import Stats
from parallelops.synchronization import at_most

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelops.backends.fair import Ready
    from parallelops.backends.options import Options
    from parallelops.futures import Future
    from parallelops.runtime import Handle, Lock, Runtime

__all__ = ["Pool"]

_log = logging.getLogger(__name__)


class Pool:
    """What an executor, its workers and its futures share.

    It does not know the executor, so that an executor which nobody holds
    any more is collected, and closes its pool.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        options: Options,
    ) -> None:
        self.runtime = runtime
        self.name = name
        self.options = options
        self.wrap = options.wrap
        self.observers = (
            Observers(name, runtime, options.observers)
            if options.observers
            else None
        )
        self.closed: str | None = None  # why
        self._cause: BaseException | None = None  # of having broken down
        # Reentrant: a signal handler may submit while it is held.
        self.lock = runtime.rlock()
        self.ready: Ready = (
            FairQueue(runtime, options.fair, self.lock)
            if options.fair
            else collections.deque()
        )
        # What parked workers wait for.
        self.idle: list[Lock] = []
        self.wake = waker(self.idle.pop)
        self.idle_timeout = at_most(options.idle_timeout)
        self.seats = Slots(options.max_workers, self.lock)
        self.admission = Admission(self, options.max_workers)
        self.workers: dict[Worker, None] = {}
        self._handles: list[Handle] = []
        self._worker_names = map(
            f"{options.thread_name_prefix or name}_{{}}".format,
            itertools.count(),
        )
        self._counts = collections.Counter[str]()

    # -- what submit needs when it is not as simple as adding to the queue

    def refuse(self) -> ExecutorShutdown | ExecutorBroken:
        """The error for a submit after the pool was closed."""
        text = f"cannot schedule new futures after {self.closed}"
        if self._cause is None:
            return ExecutorShutdown(text)
        error = ExecutorBroken(text)
        error.__cause__ = self._cause
        return error

    def wake_or_hire(self) -> None:
        """Work was added, and somebody was idle; see :meth:`hire`."""
        try:
            self.wake()
        except IndexError:
            self.hire()

    def hire(self) -> None:
        """Start another worker, if there is a seat and it is not the end.

        Raises:
            WorkerStartError: none can be started, and there is no other.
        """
        with self.lock:
            # Under the lock, so that who closes the pool knows them all.
            if self.closed:
                return
            worker = Worker(self, next(self._worker_names))
            try:
                self.seats.take()
            except IndexError:
                return  # all are there, and one of them will come
            self.workers[worker] = None
            try:
                handle = self.runtime.spawn(worker.work, name=worker.name)
            except BaseException as error:
                if not worker.claim():
                    raise  # it has begun all the same
                del self.workers[worker]
                self.seats.give(0)
                if not isinstance(error, Exception):
                    raise
                if not self.workers:
                    raise WorkerStartError(
                        f"{self.name} cannot start a worker: {error}"
                    ) from error
                _log.warning(
                    "%s: cannot start one more worker than %d: %s",
                    self.name,
                    len(self.workers),
                    error,
                )
                return
            if len(self._handles) > 2 * (self.seats.number or 0):
                self._handles = [h for h in self._handles if h.is_alive()]
            self._handles.append(handle)

    def take_back(self, future: Future[Any]) -> bool:
        """Undo a submit; False if the task has begun."""
        if not future.revoke():
            return False
        self.released(future)
        return True

    def released(self, future: Future[Any]) -> None:
        try:
            self.ready.remove(future)
        except ValueError:
            pass  # a worker has it in hand, and will see
        self.admission.give_back()

    def run_here(self, future: Future[Any]) -> None:
        """Run a task in the thread that submitted it, without a slot.

        Raises:
            KeyboardInterrupt: it came while the task ran; the future has
                it, and the caller is to have it too.
        """
        succeeded = self._run_inside(future, self.runtime.ident())
        self.count("succeeded" if succeeded else "failed")
        future.publish()
        try:
            if future.interrupted():
                future.result()
        finally:
            # A failure's frames lead back to this one.
            del future

    def _run_inside(self, future: Future[Any], ident: int) -> bool | None:
        outer = waiting.enter(ident, future)
        try:
            return future.run()
        finally:
            waiting.leave(ident, outer)
            # A failure's frames lead back to this one.
            del future

    # -- what futures need

    def cancelled(self, future: Future[Any]) -> None:
        self.released(future)
        self.count("cancelled")
        if future.observed is not None:
            future.observed.cancelled()

    def help(
        self, future: Future[Any], party: waiting.Party, timeout: float | None
    ) -> None:
        if not isinstance(party, Worker) or party.pool is not self:
            return
        if timeout is not None and self.idle:
            return  # somebody will come for it
        # Run out of stack now, or not before the task is booked.
        waiting.descend(8)
        party.helping += 1
        try:
            succeeded = self._run_inside(future, party.ident or 0)
        finally:
            party.helping -= 1
        if succeeded is None:
            return
        if succeeded:
            party.succeeded += 1
        else:
            party.failed += 1
        self.released(future)
        future.publish()

    def starters(self) -> Collection[waiting.Party] | None:
        workers = list(self.workers)
        # One that comes or goes has a seat, and is not among them.
        return workers if len(workers) >= (self.seats.number or 0) else None

    # -- the workers

    def lets_go(self) -> bool:
        """Are workers to leave when there is nothing to do?"""
        return bool(self.closed or self.seats.owed)

    def dismiss(self, worker: Worker) -> bool:
        """Let a worker go; False if it is needed after all."""
        self._book(worker)
        self.seats.give(0)
        # Who added work until now may have counted on this worker.
        if self.ready:
            try:
                self.seats.take()
            except IndexError:
                pass  # somebody else has the seat
            else:
                with self.lock:
                    self.workers[worker] = None
                return False
        waiting.look_again()
        return True

    def _book(self, worker: Worker) -> None:
        with self.lock:
            self.workers.pop(worker, None)
            self._counts["succeeded"] += worker.succeeded
            self._counts["failed"] += worker.failed
            worker.succeeded = worker.failed = 0

    def break_down(self, cause: BaseException, worker: Worker) -> None:
        """An initializer failed: no task can run any more."""
        self._cause = cause
        self.close("its initializer failed")
        self._book(worker)
        for future in self._take_all():
            if future.revoke():
                error = ExecutorBroken(f"{self.name}: initializer failed")
                error.__cause__ = cause
                future.set_exception(error)

    def resize(self, max_workers: int) -> None:
        with self.lock:
            self.seats.resize(max_workers)
            self.admission.resize(max_workers)
        # Who is idle looks whether it is one too many; what is queued may
        # have more workers.
        self._wake_all()
        for _ in range(min(len(self.ready), len(self.seats.left))):
            self.hire()

    def _wake_all(self) -> None:
        # Those that come after these look by themselves.
        for _ in range(len(self.idle)):
            try:
                self.wake()
            except IndexError:
                return

    # -- the end

    def close(self, why: str = "shutdown") -> None:
        """Take nothing new; workers go when the queue is empty."""
        with self.lock:
            self.closed = self.closed or why
        self._wake_all()
        self.admission.call_all()

    def _take_all(self) -> list[Future[Any]]:
        # One by one: what somebody adds meanwhile is taken or stays.
        taken: list[Future[Any]] = []
        while True:
            try:
                taken.append(self.ready.popleft())
            except IndexError:
                return taken

    def cancel_ready(self) -> None:
        """Cancel what nobody has begun."""
        cancelled = 0
        for future in self._take_all():
            cancelled += future.drop()
        for _ in range(cancelled):
            self.admission.give_back()
        self.count("cancelled", cancelled)

    def join(self, timeout: float | None) -> None:
        """Wait until all workers have ended, unless called by one.

        Raises:
            ShutdownTimeout: some have not.
        """
        if worker_here(self) is not None:
            return
        monotonic = self.runtime.monotonic
        end = None if timeout is None else monotonic() + timeout
        with self.lock:
            handles = self._handles.copy()
        for handle in handles:
            handle.join(None if end is None else max(0, end - monotonic()))
            if handle.is_alive():
                raise ShutdownTimeout(self.name, self.at_work())

    def reset_after_fork(self) -> None:
        """In a forked child: only the thread that forked came along."""
        self.lock = self.runtime.rlock()
        if isinstance(self.ready, FairQueue):
            self.ready.lock = self.lock
        lost = self._take_all()
        ident = self.runtime.ident()
        for worker in list(self.workers):
            if worker.ident != ident:
                lost += waiting.forget(worker)
                del self.workers[worker]
        self.seats = Slots(self.seats.number, self.lock)
        self.admission = Admission(self, self.seats.number or 1)
        for _ in self.workers:
            self.seats.take()
        self.idle.clear()
        self._handles.clear()
        for future in lost:
            future.abandon(
                ExecutorBroken(f"{self.name}: its worker is not in this fork")
            )

    def at_work(self) -> list[str]:
        """What the workers are running, for people to read."""
        return [
            f"{future.label()} in {worker.name}"
            for future, worker in self._at_work()
        ]

    def _at_work(self) -> list[tuple[Future[Any], Worker]]:
        return [
            (future, worker)
            for worker in list(self.workers)
            if (future := worker.task) is not None
        ]

    # -- telling

    def count(self, what: str, times: int = 1) -> None:
        with self.lock:
            self._counts[what] += times

    def stats(self) -> Stats:
        with self.lock:
            workers = list(self.workers)
            counts = self._counts.copy()
            for worker in workers:
                counts["succeeded"] += worker.succeeded
                counts["failed"] += worker.failed
        return Stats(
            max_workers=self.seats.number or 0,
            max_queue=self.options.max_queue,
            workers=len(workers),
            running=sum(worker.task is not None for worker in workers),
            queued=len(self.ready),
            succeeded=counts["succeeded"],
            failed=counts["failed"],
            cancelled=counts["cancelled"],
            blocked=counts["block"],
            rejected=counts["reject"],
            caller_runs=counts["caller_runs"],
        )
