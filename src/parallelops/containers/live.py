"""Operations of this process that have not ended, and what is known of
their containers."""

from __future__ import annotations

import collections
import dataclasses
import functools
from concurrent.futures import InvalidStateError
from typing import TYPE_CHECKING, Any

from parallelops.containers.operation import State, from_json, in_place
from parallelops.errors import (
    ContainerQuarantined,
    NotOwned,
    OperationCancelled,
    OperationDeferred,
    OperationFailed,
    OperationUnknown,
)
from parallelops.futures import Future

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from parallelops.containers.journal import Lease
    from parallelops.containers.operation import Entry
    from parallelops.runtime import Lock, Runtime
    from parallelops.waiting import Party

__all__ = ["Live", "Operation", "Turn", "outcome_of"]


class Operation:
    """One operation that was requested.

    Attributes:
        future: what comes of it: what the handler returned or raised. It is
            done once that is in the journal. It raises OperationCancelled,
            OperationUnknown, or OperationDeferred for one that did not
            begin and that the journal keeps for the next recovery.
    """

    def __init__(
        self,
        entry: Entry,
        runtime: Runtime,
        lock: Lock,
        cancelled: Callable[[Operation], object],
    ) -> None:
        self._entry = entry
        self._bond = _Bond(runtime, lock, functools.partial(cancelled, self))
        self.future: Future[Any] = Future(self._bond, [None])
        # In the journal, or refused by it: one thread sees to that.
        self.unclaimed = [None]
        self.settled = runtime.event()
        self.refused: BaseException | None = None
        # Other turns of it than this one are none any more.
        self.turn: Turn | None = None

    @property
    def id(self) -> str:
        """The client's name for it, or one that was made up."""
        return self._entry.id

    @property
    def state(self) -> State:
        """What was last known of it."""
        return self._entry.state

    @property
    def entry(self) -> Entry:
        """All that was last known of it."""
        return self._entry

    def cancel(self) -> bool:
        """Cancel it unless it has begun; that is durable on return.

        ``future.cancel()`` is the same.

        Returns:
            True if it is cancelled.
        """
        return self.future.cancel()

    def __repr__(self) -> str:
        entry = self._entry
        return (
            f"<Operation {entry.id}: {entry.action} {entry.container}, "
            f"{entry.state}>"
        )

    # -- for those who run it

    @property
    def carrier(self) -> Future[Any] | None:
        """What brings it about at the moment."""
        return self._bond.carrier

    @carrier.setter
    def carrier(self, carrier: Future[Any] | None) -> None:
        self._bond.carrier = carrier

    def becomes(self, entry: Entry) -> Entry:
        """That is known of it now."""
        self._entry = entry
        return entry

    def claim(self) -> bool:
        """Begin it, or end it without; False if somebody has."""
        try:
            return self.future.set_running_or_notify_cancel()
        except InvalidStateError:
            return False

    def end(
        self,
        result: object,
        error: BaseException | None = None,
        *,
        said: bool = True,
    ) -> None:
        """Tell who waits for it, unless they have been told.

        Args:
            result: what it returned.
            error: what it raised, if it did.
            said: whether that is in the log already, or need not be.
        """
        try:
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)
                if said:
                    self.future.exception()
        except InvalidStateError:
            pass
        self._bond.loosen()


class Turn:
    """One turn of an operation; it may be given another before it comes.

    Attributes:
        operation: the operation, until it has been done.
    """

    __slots__ = ("operation",)

    def __init__(self, operation: Operation) -> None:
        self.operation = operation


class _Bond:
    """What an operation's future asks; see :class:`waiting.Owner`.

    It does not lead to the operation once that has ended: a failure that
    nobody looked at is to be told as soon as the last who could is gone.
    """

    __slots__ = ("_on_cancel", "carrier", "lock", "runtime")

    def __init__(
        self, runtime: Runtime, lock: Lock, on_cancel: Callable[[], object]
    ) -> None:
        self.runtime = runtime
        self.lock = lock
        self.carrier: Future[Any] | None = None
        self._on_cancel: Callable[[], object] | None = on_cancel

    def loosen(self) -> None:
        """It has ended."""
        self.carrier = self._on_cancel = None

    def cancelled(self, future: Future[Any]) -> None:
        on_cancel = self._on_cancel
        if on_cancel is not None:
            on_cancel()
            self.loosen()

    def released(self, future: Future[Any]) -> None:
        """Its call was taken by us, who end it."""

    def help(
        self, future: Future[Any], party: Party, timeout: float | None
    ) -> None:
        carrier = self.carrier
        if carrier is not None and not carrier.done():
            carrier._owner.help(carrier, party, timeout)  # noqa: SLF001

    def starters(self) -> Collection[Party] | None:
        return None

    def predecessors(self, future: Future[Any]) -> Collection[Future[Any]]:
        carrier = self.carrier
        return () if carrier is None else (carrier,)


@dataclasses.dataclass(slots=True)
class Live:
    """What this process knows, all of it under one lock.

    Attributes:
        lock: reentrant; no other code runs under it.
        operations: by id, those that have not ended.
        leases: by scope, those that we have.
        open: the scopes that take requests.
        closing: those of which nothing may begin any more.
        holds: by container, the ids of operations because of which nothing
            of it may begin, and why.
        letting_go: containers whose operations are being put in line again.
        counts: of what has happened, by name.
    """

    lock: Lock
    operations: dict[str, Operation] = dataclasses.field(default_factory=dict)
    leases: dict[str, Lease] = dataclasses.field(default_factory=dict)
    open: set[str] = dataclasses.field(default_factory=set)
    closing: set[str] = dataclasses.field(default_factory=set)
    holds: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    letting_go: set[str] = dataclasses.field(default_factory=set)
    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )

    def add(self, operation: Operation) -> Operation:
        """Add one; or the one that has its id already."""
        with self.lock:
            return self.operations.setdefault(operation.id, operation)

    def remove(self, operation: Operation) -> None:
        """It has ended."""
        with self.lock:
            if self.operations.get(operation.id) is operation:
                del self.operations[operation.id]

    def count(self, what: str) -> None:
        """It has happened once more."""
        with self.lock:
            self.counts[what] += 1

    def of(
        self, *, container: str | None = None, scope: str | None = None
    ) -> list[Operation]:
        """Those of a container or of a scope, as their turns come."""
        with self.lock:
            found = [
                operation
                for operation in self.operations.values()
                if container in (None, operation.entry.container)
                and scope in (None, operation.entry.scope)
            ]
        return sorted(found, key=lambda operation: in_place(operation.entry))

    def check(self, container: str, scope: str) -> None:
        """See that a container takes requests.

        Raises:
            NotOwned: its scope is not ours.
            ContainerQuarantined: it is.
        """
        with self.lock:
            self.check_scope(container, scope)
            holds = self.holds.get(container)
            if holds or container in self.letting_go:
                operation, reason = next(
                    iter((holds or {"": "it is being released"}).items())
                )
                raise ContainerQuarantined(container, operation, reason)

    def check_scope(self, container: str, scope: str) -> None:
        """The first half of :meth:`check`."""
        if scope not in self.open:
            raise NotOwned(
                container,
                scope,
                "its owner is another, or nobody has called recover"
                if self.leases
                else "call recover first",
            )

    def hold(self, entry: Entry, reason: str) -> None:
        """Let nothing of its container begin; the operation itself is in
        the hands of whoever settles it."""
        with self.lock:
            self.operations.pop(entry.id, None)
            holds = self.holds.setdefault(entry.container, {})
            holds[entry.id] = reason

    def let_go(self, container: str, operation_id: str) -> list[Operation]:
        """One thing less holds a container. Of the last, what has not begun
        has no turn any more, and is to be put in line again: it, in order.
        """
        with self.lock:
            holds = self.holds.get(container)
            if not holds or container in self.letting_go:
                return []
            holds.pop(operation_id, None)
            if holds:
                return []
            self.holds.pop(container, None)
            waiting = [
                operation
                for operation in self.of(container=container)
                if not operation.future.running()
            ]
            for operation in waiting:
                operation.turn = operation.carrier = None
            if waiting:
                self.letting_go.add(container)
            return waiting

    def may_begin(self, operation: Operation, turn: Turn) -> bool:
        """Whether that turn of it is one. If not, it has none any more."""
        with self.lock:
            if operation.turn is not turn:
                return False
            if operation.entry.container in self.holds:
                operation.turn = operation.carrier = None
                return False
            return True


def outcome_of(entry: Entry) -> tuple[Any, BaseException | None]:
    """The result, or the error, that an operation has by the journal."""
    match entry.state:
        case State.SUCCEEDED:
            result = None if entry.result is None else from_json(entry.result)
            return result, None
        case State.FAILED:
            return None, OperationFailed(entry.id, entry.reason)
        case State.CANCELLED:
            reason = entry.reason.partition(":")[0]
            return None, OperationCancelled(entry.id, reason)
        case State.ACCEPTED:
            return None, OperationDeferred(entry.id, "it has not begun")
    return None, OperationUnknown(
        f"what became of operation {entry.id} is not known: "
        f"{entry.reason or 'it is running elsewhere'}",
        entry.id,
    )
