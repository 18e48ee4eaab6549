"""ContainerOperations: what a conductor's author uses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from parallelops.containers.handlers import Handlers
from parallelops.containers.live import Live
from parallelops.containers.operation import State, as_reason
from parallelops.containers.recovery import Recovery
from parallelops.containers.requests import Requests
from parallelops.containers.runner import Runner
from parallelops.containers.stats import OperationsStats
from parallelops.containers.writer import Writer
from parallelops.errors import ExecutorShutdown, InvalidOperation
from parallelops.keyed import KeyedExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.containers.journal import Journal
    from parallelops.containers.live import Operation
    from parallelops.containers.operation import Entry
    from parallelops.containers.recovery import RecoveryReport
    from parallelops.containers.runner import OnError
    from parallelops.executor import Executor
    from parallelops.keyed.entrance import OnFull

__all__ = ["ContainerOperations"]


class ContainerOperations:
    """Does operations on containers: those of one in the order of the
    requests, those of different ones in parallel, each once it is durable.

    Call :meth:`recover` first, and after it :meth:`submit` from any thread.

    Args:
        executor: where they are done; it is not shut down with this.
        handlers: what does them; see
            :class:`~parallelops.containers.handlers.Handlers`.
        journal: where they are kept; it is not closed with this.
        owner: who takes the leases, such as the name of the machine; made
            up when empty.
        scopes: those that :meth:`recover` takes by default. One that has
            the journal for itself needs none but "".
        scope_of: the scope of a container; by default "" for all.
        lease_seconds: how long nobody else may take a scope; call
            :meth:`renew` well before. None lets anybody, at any time.
        max_pending: how many operations may wait or run at once.
        max_pending_per_container: how many of one container.
        on_full: what a request does that finds no room: "caller_runs" does
            the operation itself in its turn (in a task of the executor it
            is refused); "block", "reject", or a callable; see
            :class:`~parallelops.KeyedExecutor`.
        on_error: what the failure of an operation means for those of its
            container that were accepted and have not begun: "fail_fast"
            cancels them, up to one that clears failures, such as "delete";
            "continue" does them; "quarantine" holds them until
            :meth:`release`.
        max_blocking: how many blocking operations are done at once.
        longest_parameters: characters of JSON.
        longest_result: characters of JSON; of a longer one nothing is kept.

    Raises:
        InvalidOperation: the handlers are none.
        ValueError: an option can't be what it is.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        handlers: Any,
        journal: Journal,
        owner: str = "",
        scopes: Iterable[str] = ("",),
        scope_of: Callable[[str], str] | None = None,
        lease_seconds: float | None = None,
        max_pending: int = 10_000,
        max_pending_per_container: int = 100,
        on_full: OnFull = "caller_runs",
        on_error: OnError = "fail_fast",
        max_blocking: int = 16,
        longest_parameters: int = 65_536,
        longest_result: int = 65_536,
    ) -> None:
        executor.traits.check_memory(executor.name, "handlers")
        if lease_seconds is not None and not lease_seconds > 0:
            raise ValueError(
                f"lease_seconds must be above 0, not {lease_seconds!r}"
            )
        self.runtime = runtime = executor.runtime
        self._journal = journal
        self._scopes = tuple(scopes)
        self.lease_seconds = lease_seconds
        self._closed = False
        self._keyed = KeyedExecutor(
            executor,
            max_pending=max_pending,
            max_pending_per_key=max_pending_per_container,
            on_full=on_full,
            name="container operations",
        )
        known = Handlers(handlers)
        self._live = Live(runtime.rlock())
        self._writer = Writer(self._live, journal)
        self._runner = Runner(
            self._live,
            self._writer,
            known,
            runtime,
            on_error=on_error,
            longest_result=longest_result,
        )
        self._requests = Requests(
            self._live,
            journal,
            known,
            self._runner,
            self._writer,
            self._keyed,
            scope_of=scope_of or _one_scope,
            max_blocking=max_blocking,
            longest_parameters=longest_parameters,
        )
        self._recovery = Recovery(
            self._live,
            journal,
            known,
            self._runner,
            self._writer,
            executor,
            self._requests.enqueue,
            after_failure=on_error == "quarantine",
        )
        self.owner = owner or f"owner-{self._requests.new_id()[:8]}"
        self._recovering = runtime.lock()

    # -- beginning

    def recover(
        self,
        scopes: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> RecoveryReport:
        """Take the leases, and bring what was left unfinished in line.

        What never began is done in its turn. What had begun is done again
        if it is idempotent, at its place; its engine is asked if it can
        tell; else it is unknown, and its container is quarantined until
        :meth:`resolve`. Then requests are taken. Scopes that we have
        already stay as they are.

        Args:
            scopes: which; None takes those of the constructor.
            timeout: seconds to wait for what still runs here, of a scope
                that we had and lost; None waits as long as it takes.

        Raises:
            InvalidOperation: another thread is at it.
            TimeoutError: something of one still runs; the others are taken.
            LeaseHeld: another owner has one; the others are taken.
            JournalDamaged: the journal is not what was written.
            JournalError: it can't be read or written.
        """
        with self._alone():
            return self._recovery.take(
                self._scopes if scopes is None else scopes,
                self.owner,
                self.lease_seconds,
                timeout,
            )

    def renew(self) -> None:
        """Have all our leases run for ``lease_seconds`` from now.

        Raises:
            Fenced: somebody has taken one; the others are renewed.
            JournalError: they could not be written.
        """
        if self.lease_seconds is not None:
            self._writer.renew(self.runtime.time() + self.lease_seconds)

    def give_back(
        self,
        scope: str = "",
        *,
        timeout: float | None = None,
        force: bool = False,
    ) -> None:
        """Hand a scope over: take no more requests, leave what has not
        begun to the next owner, wait for what has, and raise the epoch.

        Args:
            timeout: seconds to wait; None waits as long as it takes.
            force: give it back although some still run; the next owner
                finds them unknown, and what they write is refused.

        Raises:
            TimeoutError: some still run. The scope takes no requests.
            JournalError: it could not be written.
        """
        with self._alone():
            self._recovery.give(scope, timeout, force)

    @property
    def owned(self) -> frozenset[str]:
        """The scopes that we have, and take requests for."""
        return frozenset(self._live.open)

    @property
    def leased(self) -> frozenset[str]:
        """Those whose lease we have; in some the last may still run."""
        return frozenset(self._live.leases)

    # -- requests

    def submit(
        self,
        container: str,
        action: str,
        parameters: Any = None,
        *,
        operation_id: str = "",
        time_to_live: float | None = None,
    ) -> Operation:
        """Request an operation; on return it is durable.

        A blocking one has been done on return, or has failed.

        Args:
            container: what to do it to.
            action: the name of a handler.
            parameters: for the handler, as JSON; None is none at all.
            operation_id: the client's name for the request. One that comes
                again gets the first one's operation; made up when empty.
            time_to_live: seconds after which it is too late to begin.

        Raises:
            InvalidOperation: there can't be such an operation.
            NotOwned: the container is not ours, or nobody called recover.
            ContainerQuarantined: an earlier operation has to be settled.
            ExecutorSaturated: there is no room, and the policy is to
                reject.
            JournalError: it could not be made durable.
            ExecutorShutdown: this was shut down.
        """
        if self._closed:
            raise ExecutorShutdown("container operations are shut down")
        return self._requests.submit(
            container,
            action,
            {} if parameters is None else parameters,
            operation_id,
            time_to_live,
        )

    def call(self, container: str, action: str, parameters: Any = None) -> Any:
        """Request an operation, and wait for its result.

        Raises:
            what :meth:`submit` and the operation do.
        """
        return self.submit(container, action, parameters).future.result()

    def get(self, operation_id: str) -> Operation:
        """The operation of that id, maybe as the journal has it.

        Raises:
            InvalidOperation: there is none, or it was pruned.
            JournalError: the journal can't be read.
        """
        operation = self._live.operations.get(operation_id)
        if operation is not None:
            return operation
        entry = self._journal.find(operation_id)
        if entry is None:
            raise InvalidOperation(f"there is no operation {operation_id!r}")
        return self._requests.ended(entry)

    def history(self, container: str, limit: int = 100) -> list[Entry]:
        """See :meth:`Journal.history`."""
        return list(self._journal.history(container, limit))

    # -- settling

    def quarantined(self) -> dict[str, dict[str, str]]:
        """By container, the operations that are to be settled, and why."""
        with self._live.lock:
            return {c: dict(holds) for c, holds in self._live.holds.items()}

    def resolve(
        self, operation_id: str, state: State | str, reason: str = ""
    ) -> Operation:
        """Say what became of an operation that nobody else can tell of, and
        let its container go on.

        Args:
            operation_id: one that its container is quarantined for.
            state: "succeeded", "failed", "accepted" to have it done at its
                place, or "cancelled" for one that never began.
            reason: for those who read the journal.

        Returns:
            It; for one to be done, with a future that is still to come.

        Raises:
            InvalidOperation: nothing waits for it to be settled.
            IllegalTransition: it can't be in that state.
            JournalError: that could not be written.
        """
        return self._recovery.resolve(
            operation_id,
            State(state),
            as_reason(reason) or "settled by an operator",
        )

    def release(self, container: str) -> None:
        """Let a container go on that waits because an operation failed.

        Raises:
            InvalidOperation: there is more to settle; see :meth:`resolve`.
        """
        self._recovery.release(container)

    def prune(self, older_than: float) -> int:
        """Forget operations that ended so many seconds ago or more.

        Their ids are free again. Returns how many there were.
        """
        before = self.runtime.time() - older_than
        leases = list(self._live.leases.values())
        return sum(self._journal.prune(lease, before) for lease in leases)

    # -- the end

    def stats(self) -> OperationsStats:
        """One look at what is going on."""
        return OperationsStats.of(
            self._live, self._keyed.stats(), self._requests.blocking
        )

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take no more requests, and give the leases back.

        Args:
            wait: return when all that was accepted has ended.
            cancel_futures: leave what has not begun to the next recovery.
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            ShutdownTimeout: some have not ended. We keep the leases.
        """
        self._closed = True
        if cancel_futures:
            with self._live.lock:
                self._live.closing.update(self._live.leases)
            self._writer.put_off(None, "this process ends")
        self._keyed.shutdown(wait=wait, timeout=timeout)
        if not wait or self._keyed.is_inside():
            return
        self._recovery.give_all(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: object, exc_value: object, traceback: object
    ) -> None:
        self.shutdown(cancel_futures=exc_type is not None)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # Nobody waits for it: handlers may run meanwhile, and come here.
        if not self._recovering.acquire(blocking=False):
            raise InvalidOperation(
                "a recovery or a hand-over is under way; call again later"
            )
        try:
            yield
        finally:
            self._recovering.release()


def _one_scope(container: str) -> str:
    return ""
