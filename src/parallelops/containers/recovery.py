"""Taking over what another process left behind, and giving it away."""

from __future__ import annotations

import collections
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from parallelops.containers.live import Operation, outcome_of
from parallelops.containers.operation import UNFINISHED, State, in_place
from parallelops.errors import (
    ExecutorSaturated,
    Fenced,
    InvalidOperation,
    JournalError,
    LeaseHeld,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from parallelops.containers.handlers import Handlers
    from parallelops.containers.journal import Journal, Lease
    from parallelops.containers.live import Live
    from parallelops.containers.operation import Entry
    from parallelops.containers.runner import Runner
    from parallelops.containers.writer import Writer
    from parallelops.executor import Executor

__all__ = ["Recovery", "RecoveryReport"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What one recovery found, by ids of operations, in order.

    Attributes:
        scopes: those that were taken over.
        queued: accepted and never begun; they are in line again.
        repeated: had begun and are idempotent; they are done again.
        reconciling: had begun; their engine is asked in their turn.
        unknown: had begun, and nobody can tell; their containers are
            quarantined.
    """

    scopes: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    reconciling: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self)


class Recovery:
    """Brings operations from the journal into line, and holds them back.

    Args:
        live: the operations of this process.
        journal: where they are.
        handlers: what does them.
        runner: takes them from state to state.
        writer: writes their states.
        executor: whose time it is, and who waits.
        enqueue: puts one in the line of its container.
        after_failure: whether a container whose last operation failed is
            in quarantine.
    """

    def __init__(
        self,
        live: Live,
        journal: Journal,
        handlers: Handlers,
        runner: Runner,
        writer: Writer,
        executor: Executor,
        enqueue: Callable[[Operation], object],
        *,
        after_failure: bool,
    ) -> None:
        self._live = live
        self._journal = journal
        self._handlers = handlers
        self._runner = runner
        self._writer = writer
        self._executor = executor
        self._runtime = executor.runtime
        self._enqueue = enqueue
        self._after_failure = after_failure

    # -- taking over

    def take(
        self,
        scopes: Iterable[str],
        owner: str,
        seconds: float | None,
        timeout: float | None,
    ) -> RecoveryReport:
        """Take the leases of scopes, bring all in line, and open them.

        Those that are open stay as they are.
        """
        found: dict[str, list[str]] = collections.defaultdict(list)
        leases: dict[str, Lease] = {}
        held: LeaseHeld | TimeoutError | None = None
        for scope in scopes:
            if scope in self._live.open:
                continue
            # Of an earlier epoch, or of a recovery that failed half-way.
            self._writer.put_off(scope, "it is recovered anew")
            try:
                self._wait_for(scope, timeout)
                now = self._runtime.time()
                leases[scope] = self._journal.take(scope, owner, now, seconds)
            except (LeaseHeld, TimeoutError) as error:
                held = error  # the others are taken all the same
        entries = self._journal.unfinished(leases) if leases else ()
        for scope, lease in leases.items():
            mine = self._as_left(
                lease, [entry for entry in entries if entry.scope == scope]
            )
            with self._live.lock:
                self._live.closing.discard(scope)
                self._live.leases[scope] = lease
                self._drop_holds(mine)
            self._line_up(lease, mine, found)
            with self._live.lock:
                self._live.open.add(scope)
        if held is not None:
            raise held
        return RecoveryReport(
            scopes=tuple(leases), **{k: tuple(v) for k, v in found.items()}
        )

    def _wait_for(self, scope: str, timeout: float | None) -> None:
        """Until nothing of a scope is running here."""
        futures = [other.future for other in self._live.of(scope=scope)]
        left = self._executor.wait(futures, timeout).not_done
        if left:
            raise TimeoutError(
                f"{len(left)} operations of scope {scope!r} are still "
                "running here; try again later"
            )

    def _drop_holds(self, entries: Iterable[Entry]) -> None:
        # Of an earlier epoch; what still is so is found again.
        for entry in entries:
            self._live.holds.pop(entry.container, None)

    def _as_left(self, lease: Lease, entries: list[Entry]) -> list[Entry]:
        """In order; what ran when its owner ended is unknown."""
        now = self._runtime.time()
        unknown = {
            entry.id: entry.to(
                State.UNKNOWN, now, reason="its owner ended meanwhile"
            )
            for entry in entries
            if entry.state is State.RUNNING
        }
        if unknown:
            first, *others = unknown.values()
            written = self._journal.advance(lease, first, others)
            unknown = {entry.id: entry for entry in written}
        return sorted(
            (unknown.get(entry.id, entry) for entry in entries), key=in_place
        )

    def _line_up(
        self,
        lease: Lease,
        entries: Sequence[Entry],
        found: dict[str, list[str]],
    ) -> None:
        ready = []
        again = []
        for entry in entries:
            what = self._what_to_do(entry)
            found[what].append(entry.id)
            if what == "unknown":
                self._hold(entry)
            elif what == "repeated" and entry.state is State.UNKNOWN:
                again.append(
                    entry.to(State.ACCEPTED, 0.0, reason="to be done again")
                )
            if what != "unknown" or entry.state is State.ACCEPTED:
                ready.append(entry)
        if again:
            first, *others = again
            written = self._journal.advance(lease, first, others)
            known = {entry.id: entry for entry in written}
            ready = [known.get(entry.id, entry) for entry in ready]
        if self._after_failure:
            for container in {entry.container for entry in ready}:
                self._hold_after_failure(container)
        # Only now: who is held is so before anything of it can begin.
        for operation in [self._revive(entry) for entry in ready]:
            if operation.entry.container not in self._live.holds:
                self._bring(operation)

    def _what_to_do(self, entry: Entry) -> str:
        handler = self._handlers.get(entry.action)
        if handler is None:
            return "unknown"
        if entry.state is State.ACCEPTED:
            return "repeated" if entry.attempts else "queued"
        if entry.recovery == "idempotent":
            return "repeated"
        if entry.recovery == "reconcile" and handler.reconcile is not None:
            return "reconciling"
        return "unknown"

    def _hold(self, entry: Entry) -> None:
        reason = "nobody can tell what became of it"
        if entry.action not in self._handlers:
            reason = f"there is no handler for {entry.action!r}"
        self._live.hold(entry, reason)
        _log.warning(
            "container %s is quarantined because of operation %s (%s): %s",
            entry.container,
            entry.id,
            entry.action,
            reason,
        )

    def _hold_after_failure(self, container: str) -> None:
        # What begins in order has ended in order.
        for entry in reversed(self._journal.history(container)):
            if entry.attempts and entry.mode != "bypass":
                if entry.state is State.FAILED:
                    self._live.hold(entry, f"it failed: {entry.reason}")
                return

    def _revive(self, entry: Entry) -> Operation:
        operation = Operation(
            entry, self._runtime, self._live.lock, self._runner.cancelled
        )
        operation.unclaimed.clear()  # it is in the journal
        operation.settled.set()
        return self._live.add(operation)

    def _bring(self, operation: Operation) -> None:
        """Put it in line, when there is room."""
        while True:
            try:
                self._enqueue(operation)
            except ExecutorSaturated:
                others = [
                    other.carrier
                    for other in self._live.of()
                    if other.carrier is not None and not other.carrier.done()
                ]
                if not others:
                    raise
                self._executor.wait(others, return_when="FIRST_COMPLETED")
            else:
                return

    # -- settling

    def resolve(
        self, operation_id: str, state: State, reason: str
    ) -> Operation:
        """Settle what nobody else can, and let its container go on."""
        entry = self._journal.find(operation_id)
        if entry is None:
            raise InvalidOperation(f"there is no operation {operation_id!r}")
        holds = self._live.holds.get(entry.container, {})
        if operation_id not in holds:
            raise InvalidOperation(
                f"operation {operation_id} is {entry.state}, and nothing "
                "waits for it to be settled"
            )
        lease = self._writer.lease(entry)
        now = self._runtime.time()
        steps = [State.UNKNOWN, state]
        if entry.state is State.UNKNOWN:
            steps = [state]
        elif entry.state is State.ACCEPTED:
            steps = [state] if state is State.CANCELLED else []
        elif entry.state not in UNFINISHED:
            steps = []  # it failed, and was held for somebody to look
        for step in steps:
            after = entry.to(step, now, reason=reason)
            (entry,) = self._journal.advance(lease, after)
        operation = self._revive(entry)
        operation.becomes(entry)
        if entry.state is not State.ACCEPTED:
            self._live.remove(operation)
            operation.claim()
            operation.end(*outcome_of(entry))
        self.let_go(entry.container, operation_id)
        return operation

    def release(self, container: str) -> None:
        """Let a container go on whose operations have all ended."""
        for operation_id in list(self._live.holds.get(container, ())):
            entry = self._journal.find(operation_id)
            if entry is not None and not entry.finished:
                raise InvalidOperation(
                    f"operation {operation_id} of container {container!r} "
                    f"is {entry.state}; resolve it"
                )
            self.let_go(container, operation_id)

    def let_go(self, container: str, operation_id: str) -> None:
        """One thing less holds a container; with the last one it goes on."""
        waiting = self._live.let_go(container, operation_id)
        if not waiting:
            return
        try:
            for operation in waiting:
                self._bring(operation)
        finally:
            with self._live.lock:
                self._live.letting_go.discard(container)

    # -- giving away

    def give(self, scope: str, timeout: float | None, force: bool) -> None:
        """Give a scope back: quarantine, drain, raise the epoch."""
        with self._live.lock:
            self._live.open.discard(scope)
            self._live.closing.add(scope)
            lease = self._live.leases.get(scope)
        if lease is None:
            return
        self._writer.put_off(scope, "its container goes to another owner")
        try:
            self._wait_for(scope, timeout)
        except TimeoutError:
            if not force:
                raise
        try:
            self._journal.release(lease)
        except Fenced as error:
            _log.warning("%s", error)  # it has another owner already
        with self._live.lock:
            if self._live.leases.get(scope, lease).epoch == lease.epoch:
                self._live.leases.pop(scope, None)

    def give_all(self, timeout: float | None) -> None:
        """Give back all that can be; this process ends."""
        for scope in list(self._live.leases):
            try:
                self.give(scope, timeout, force=True)
            except JournalError as error:
                _log.warning("the next owner has to take over: %s", error)
