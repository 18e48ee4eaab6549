"""The errors of container operations and of their journal."""

from __future__ import annotations

import concurrent.futures

from parallelops.errors.root import ParallelopsError

__all__ = [
    "ContainerQuarantined",
    "CoordinatorLost",
    "DuplicateOperation",
    "Fenced",
    "InvalidOperation",
    "JournalDamaged",
    "JournalError",
    "LeaseHeld",
    "NotOwned",
    "OperationCancelled",
    "OperationDeferred",
    "OperationFailed",
    "OperationUnknown",
]


class CoordinatorLost(ParallelopsError, ConnectionError):
    """The coordinator, which knows what conductors there are, can't be
    reached. What is excluded is so by the journal, and stays so.

    Attributes:
        url: where it was looked for, without secrets.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url}: the coordinator can't be reached: {reason}; see that "
            "it runs there"
        )
        self.url = url


class JournalError(ParallelopsError):
    """A journal cannot be read or written. What it acknowledged is intact.

    Attributes:
        journal: the journal, as its path.
        code: what SQLite gave as its primary result code, 0 if nothing.
    """

    def __init__(self, message: str, journal: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.journal = journal
        self.code = code


class JournalDamaged(JournalError):
    """A journal is not what was written: bits have flipped, a part is
    missing, or another file is in its place."""


class Fenced(JournalError):
    """Somebody else has taken the lease meanwhile. Nothing was written.

    Attributes:
        scope: what the lease was for.
        epoch: the epoch that we had.
        current: the epoch that it is now.
    """

    def __init__(
        self, journal: str, scope: str, epoch: int, current: int
    ) -> None:
        super().__init__(
            f"{journal}: the lease of scope {scope!r} that began epoch "
            f"{epoch} was lost: it is epoch {current} now, and its owner "
            "goes on with the operations; call recover to take them back",
            journal,
        )
        self.scope = scope
        self.epoch = epoch
        self.current = current


class LeaseHeld(JournalError):
    """Another owner has a lease that has not run out.

    Attributes:
        scope: what the lease is for.
        owner: who has it.
        until: when it runs out, in seconds since the epoch.
    """

    def __init__(
        self, journal: str, scope: str, owner: str, until: float
    ) -> None:
        super().__init__(
            f"{journal}: {owner!r} has the lease of scope {scope!r} until "
            f"{until:.3f}; try again then, or stop that owner and have it "
            "release the lease",
            journal,
        )
        self.scope = scope
        self.owner = owner
        self.until = until


class InvalidOperation(ParallelopsError, ValueError):
    """An operation was asked for that there can't be. Nothing ran."""


class DuplicateOperation(InvalidOperation):
    """There is another operation of that id already.

    Attributes:
        operation: the id.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(
            f"there is an operation {operation!r} already, of another "
            "container or action or with other parameters; give each "
            "operation an id of its own"
        )
        self.operation = operation


class NotOwned(ParallelopsError, RuntimeError):
    """The container is not ours, or not yet. Nothing ran.

    Attributes:
        container: the container.
        scope: the scope that it is in.
    """

    def __init__(self, container: str, scope: str, remedy: str) -> None:
        super().__init__(
            f"container {container!r} (scope {scope!r}) is not ours: {remedy}"
        )
        self.container = container
        self.scope = scope


class ContainerQuarantined(ParallelopsError, RuntimeError):
    """The container takes no operations until somebody settles an earlier
    one. Nothing ran.

    Attributes:
        container: the container.
        operation: the id of the earlier one.
    """

    def __init__(self, container: str, operation: str, reason: str) -> None:
        super().__init__(
            f"container {container!r} is quarantined, because of operation "
            f"{operation}: {reason}; see to it, then call resolve or release"
        )
        self.container = container
        self.operation = operation


class OperationCancelled(ParallelopsError, concurrent.futures.CancelledError):
    """An operation was cancelled before it began.

    Attributes:
        operation: its id.
        reason: "user", "expired", "superseded", "dependency" or "shutdown".
    """

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"operation {operation} was cancelled: {reason}")
        self.operation = operation
        self.reason = reason


class OperationUnknown(ParallelopsError, RuntimeError):
    """What became of an operation is not known: it may have had its effect.

    Handlers raise it, too, when they can't tell.

    Attributes:
        operation: its id; empty when a handler raised it.
    """

    def __init__(self, message: str, operation: str = "") -> None:
        super().__init__(message)
        self.operation = operation


class OperationDeferred(ParallelopsError, RuntimeError):
    """An operation did not begin here. It is in the journal, and whoever
    recovers next runs it.

    Attributes:
        operation: its id.
    """

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(
            f"operation {operation} is left to the next recovery: {reason}"
        )
        self.operation = operation


class OperationFailed(ParallelopsError, RuntimeError):
    """An operation failed, by what the journal says.

    Attributes:
        operation: its id.
    """

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"operation {operation} failed: {reason}")
        self.operation = operation
