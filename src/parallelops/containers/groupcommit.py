"""Those who write at the same time share one commit.

A sync of the disk takes as long for a hundred changes as for one. Whoever
comes first commits for all that wait; those who come meanwhile wait, and one
of them commits for all of those. So there is no thread for it, and who is
alone waits for nobody.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from parallelops.errors import JournalError
from parallelops.watchers import wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelops.runtime import Lock, Runtime

__all__ = ["GroupCommit", "Job", "again"]

T = TypeVar("T")

_PROBE = 8  # commits, after which to see whether there is company


class Job(Generic[T]):
    """One writer's change, and what came of it.

    Attributes:
        work: makes the change; it is called with what ``commit`` has for
            it. What it raises is its writer's alone.
        result: what it returned.
        error: what it raised, or what the commit did.
        ended: whether one of the two is there.
    """

    __slots__ = ("ended", "error", "permit", "result", "work")

    def __init__(self, work: Callable[[Any], T], permit: Lock) -> None:
        self.work = work
        self.permit = permit
        permit.acquire()  # whoever has something to say releases it
        self.result: T | None = None
        self.error: BaseException | None = None
        self.ended = False


class GroupCommit:
    """Collects changes, and has them committed together.

    Nothing is held while somebody waits but the right to commit. It passes
    by one rule: first give it back, then look whether somebody waits; and
    on the other side first say that you wait, then try to take it.

    Args:
        runtime: where locks come from.
        commit: makes the changes of the jobs, in that order, all or none;
            it fills in ``result`` or ``error`` of each. What it raises is
            the error of all.
    """

    def __init__(
        self,
        runtime: Runtime,
        commit: Callable[[Sequence[Job[Any]]], object],
    ) -> None:
        self._runtime = runtime
        self._commit = commit
        self._waiting: collections.deque[Job[Any]] = collections.deque()
        self._right = runtime.lock()
        self._committer: int | None = None
        # Whether others took part last time; who is alone waits for nobody.
        self._company = False
        self._commits = 0

    def do(self, work: Callable[[Any], T]) -> T:
        """Have ``work`` done and committed; what it returned.

        Raises:
            JournalError: the calling thread is in the midst of a commit:
                a signal handler or a finalizer has interrupted it.
        """
        if self._committer == self._runtime.ident():
            raise JournalError(
                "a signal handler or a finalizer can't write to the journal "
                "while the thread that it interrupts does; have another "
                "thread do it"
            )
        job: Job[T] = Job(work, self._runtime.lock())
        self._waiting.append(job)
        try:
            while not job.ended:
                if self._right.acquire(blocking=False):
                    self._commit_all()
                else:
                    job.permit.acquire()
        except BaseException:
            # An interrupt: it may have been our turn to commit.
            self._withdraw(job)
            raise
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]

    def alone(self, work: Callable[[], object]) -> None:
        """Do ``work`` while nobody commits."""
        with self._right:
            work()
        self._pass_on()

    def _commit_all(self) -> None:
        """With the right to commit: do so for all who wait, once."""
        jobs: list[Job[Any]] = []
        try:
            self._committer = self._runtime.ident()
            self._commits += 1
            if self._company or not self._commits % _PROBE:
                # Those who are about to write come along. Green threads get
                # to it only if this one lets them.
                self._runtime.sleep(0)
            while self._waiting:
                jobs.append(self._waiting.popleft())
            self._company = len(jobs) > 1
            self._commit(jobs)
        except Exception as error:  # noqa: BLE001 - it is for all of them
            for job in jobs:
                job.error = again(error)
        except BaseException as error:
            for job in jobs:
                job.error = JournalError("the commit was interrupted")
                job.error.__cause__ = error
            raise
        finally:
            self._committer = None
            self._right.release()
            for job in jobs:
                job.ended = True
                wake(job.permit)
            if self._waiting:
                self._pass_on()

    def _pass_on(self) -> None:
        """Wake one of those who wait, to commit for them."""
        try:
            wake(self._waiting[0].permit)
        except IndexError:
            pass  # nobody waits

    def _withdraw(self, job: Job[Any]) -> None:
        try:
            self._waiting.remove(job)
        except ValueError:
            pass  # it is being committed, or is
        self._pass_on()


def again(error: BaseException) -> BaseException:
    """Another one like ``error``, since each thread raises its own."""
    kind = type(error)
    copy = kind.__new__(kind, *error.args)
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
