"""What container operations need of a journal."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from parallelops.containers.operation import Entry

__all__ = ["Journal", "Lease"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write about the operations of one scope.

    Attributes:
        scope: whose operations; "" where nobody shares the journal.
        owner: who has it; "" is nobody.
        epoch: goes up each time that somebody takes it or gives it back.
            What is written with an older one is refused.
        until: when others may take it, in seconds since the epoch of the
            clock; None is at any time.
    """

    scope: str
    owner: str
    epoch: int
    until: float | None = None


class Journal(Protocol):
    """Keeps operations, so that none is lost with the process.

    What a method wrote is durable when it returns, and what raised wrote
    nothing, as far as the journal can tell. Several threads use it at the
    same time. :class:`SQLiteJournal` is one.
    """

    def take(
        self, scope: str, owner: str, now: float, seconds: float | None
    ) -> Lease:
        """Take the lease of a scope, and begin its next epoch.

        Args:
            scope: the scope; it need not be known.
            owner: who takes it.
            now: seconds since the epoch.
            seconds: how long nobody else may take it; None lets anybody.

        Raises:
            LeaseHeld: another owner has it, and time is not up.
            JournalError: it can't be written, or is damaged.
        """

    def renew(self, lease: Lease, until: float) -> Lease:
        """Have ``lease`` run until then.

        Raises:
            Fenced: somebody else has taken it.
            JournalError: it can't be written.
        """

    def release(self, lease: Lease) -> None:
        """Give ``lease`` back: nothing can be written with it any more.

        Raises:
            Fenced: somebody else has taken it.
            JournalError: it can't be written.
        """

    def leases(self) -> Sequence[Lease]:
        """Those of all scopes, by scope."""

    def accept(self, lease: Lease, entry: Entry) -> Entry:
        """Add an operation.

        Returns:
            It, with its ``sequence``; or the one that has its id already,
            as it is now.

        Raises:
            Fenced: somebody else has taken the lease.
            JournalError: it can't be written.
        """

    def advance(
        self, lease: Lease, entry: Entry, also: Iterable[Entry] = ()
    ) -> Sequence[Entry]:
        """Write the next state of an operation, and of others with it.

        Args:
            lease: of the scope that they are in.
            entry: as it is to be.
            also: others as they are to be. Those that can't go there any
                more stay as they are.

        Returns:
            What was written of all, ``entry`` first.

        Raises:
            IllegalTransition: ``entry`` can't go there from where it is.
                Nothing was written.
            Fenced: somebody else has taken the lease.
            JournalError: it can't be written.
        """

    def unfinished(self, scopes: Collection[str]) -> Sequence[Entry]:
        """The operations of scopes that are not finished, by sequence.

        Raises:
            JournalDamaged: some may be missing, or not what they were.
            JournalError: it can't be read.
        """

    def find(self, operation_id: str) -> Entry | None:
        """The operation of that id, if there is one.

        Raises:
            JournalError: it can't be read.
        """

    def history(self, container: str, limit: int = 100) -> Sequence[Entry]:
        """The last operations of a container, the latest last.

        Raises:
            JournalError: it can't be read.
        """

    def prune(self, lease: Lease, before: float) -> int:
        """Forget operations that ended before a time, seconds since the
        epoch of the clock. Their ids are free again.

        Returns:
            How many there were.

        Raises:
            Fenced: somebody else has taken the lease.
            JournalError: it can't be written.
        """
