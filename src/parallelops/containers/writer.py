"""Writing what becomes of operations, and what it means if that fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parallelops.containers.groupcommit import again
from parallelops.containers.live import outcome_of
from parallelops.containers.operation import State, as_reason
from parallelops.errors import (
    Fenced,
    IllegalTransition,
    NotOwned,
    OperationDeferred,
    OperationUnknown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.containers.journal import Journal, Lease
    from parallelops.containers.live import Live, Operation
    from parallelops.containers.operation import Entry

__all__ = ["Writer", "in_words"]

_log = logging.getLogger(__name__)


class Writer:
    """Brings the next states of operations to the journal.

    Args:
        live: the operations of this process.
        journal: where they are written.
    """

    def __init__(self, live: Live, journal: Journal) -> None:
        self._live = live
        self._journal = journal

    def accept(self, entry: Entry) -> Entry:
        """Add it; see :meth:`Journal.accept`."""
        try:
            return self._journal.accept(self.lease(entry), entry)
        except Fenced as error:
            self._lose(entry.scope, error)
            raise

    def renew(self, until: float) -> None:
        """Renew all leases; see :meth:`Journal.renew`."""
        with self._live.lock:
            leases = list(self._live.leases.values())
        lost: Fenced | None = None
        for lease in leases:
            try:
                renewed = self._journal.renew(lease, until)
            except Fenced as error:
                self._lose(lease.scope, error)
                lost = error  # the others are renewed all the same
                continue
            with self._live.lock:
                if self._live.leases.get(lease.scope) is lease:
                    self._live.leases[lease.scope] = renewed
        if lost is not None:
            raise lost

    def lease(self, entry: Entry) -> Lease:
        """That of its scope.

        Raises:
            NotOwned: we have none.
        """
        try:
            return self._live.leases[entry.scope]
        except KeyError:
            raise NotOwned(
                entry.container, entry.scope, "it has another owner now"
            ) from None

    def write(
        self,
        operation: Operation,
        after: Entry,
        also: Iterable[Entry] = (),
        others: dict[str, Operation] | None = None,
    ) -> BaseException | None:
        """Write its next state, and those of others; the error if not."""
        before = operation.entry
        try:
            first, *rest = self._journal.advance(
                self.lease(before), after, also
            )
        except IllegalTransition as error:
            return self._overtaken(operation, error)
        except BaseException as error:
            self._not_written(operation, after, error)
            if not isinstance(error, Exception):
                raise
            return error
        operation.becomes(first)
        for entry in rest:
            other = (others or {})[entry.id]
            other.becomes(entry)
            self._live.remove(other)
            self._live.count("cancelled")
            other.claim()
            other.end(*outcome_of(entry))
        return None

    def _overtaken(
        self, operation: Operation, error: IllegalTransition
    ) -> BaseException:
        """It is in another state already: cancelled, in this process."""
        try:
            known = self._journal.find(operation.id)
        except Exception as reason:  # noqa: BLE001 - both are told
            self._not_written(operation, operation.entry, reason)
            return reason
        if known is not None:
            operation.becomes(known)
            operation.end(*outcome_of(known))
        else:
            operation.end(None, error)
        return error

    def _not_written(
        self, operation: Operation, after: Entry, error: BaseException
    ) -> None:
        entry = operation.entry
        begun = entry.state is State.RUNNING
        reason = (
            f"it was to become {after.state}, and the journal could not be "
            f"written: {as_reason(str(error))}"
        )
        if isinstance(error, Fenced):
            self._live.remove(operation)
            self._lose(entry.scope, error)
        else:
            self._live.hold(entry, reason)
            _log.error(
                "operation %s (%s of container %s) is %s and its container "
                "quarantined: %s",
                entry.id,
                entry.action,
                entry.container,
                "unknown" if begun else "put off",
                reason,
            )
        if begun:
            self._live.count("unknown")
            failure: BaseException = OperationUnknown(
                f"operation {entry.id}: {reason}", entry.id
            )
            failure.__cause__ = error
        else:
            failure = again(error)
        operation.end(None, failure)

    def _lose(self, scope: str, error: Fenced) -> None:
        with self._live.lock:
            lease = self._live.leases.get(scope)
            if lease is None or lease.epoch != error.epoch:
                return
            del self._live.leases[scope]
            self._live.open.discard(scope)
        _log.warning("%s", error)
        self.put_off(scope, "its container has another owner now")

    # -- leaving it to others

    def defer(self, operation: Operation, reason: str) -> None:
        """It did not begin; leave it to the next recovery."""
        self._live.remove(operation)
        self._live.count("deferred")
        operation.end(None, OperationDeferred(operation.id, reason))

    def put_off(self, scope: str | None, reason: str) -> None:
        """The same for all of a scope that have not begun."""
        for operation in reversed(self._live.of(scope=scope)):
            if operation.settled.is_set() and operation.future.revoke():
                operation.turn = None
                self.defer(operation, reason)

    def unknown(self, operation: Operation, error: BaseException) -> None:
        """Nobody knows what became of it; say so, and where it is needed."""
        entry = operation.entry
        self._live.hold(entry, f"nobody can tell: {in_words(error)}")
        self._live.count("unknown")
        _log.error(
            "what became of operation %s (%s of container %s) is not known, "
            "and its container is quarantined: %s",
            entry.id,
            entry.action,
            entry.container,
            in_words(error),
        )
        failure = OperationUnknown(
            f"what became of operation {entry.id} is not known: "
            f"{in_words(error)}",
            entry.id,
        )
        failure.__cause__ = error
        operation.end(None, failure)


def in_words(error: BaseException) -> str:
    """An error as a reason."""
    return as_reason(f"{type(error).__name__}: {error}")
