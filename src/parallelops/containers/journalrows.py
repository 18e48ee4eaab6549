"""The statements that read and write an SQLite journal.

Each takes the connection, and most the name of the journal, for errors.
Those that write are called in a transaction.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from parallelops.containers.journal import Lease
from parallelops.containers.journalfile import (
    COLUMNS,
    entry_of,
    lease_of,
    row_of,
    row_of_lease,
    sealed,
)
from parallelops.errors import Fenced, IllegalTransition

if TYPE_CHECKING:
    import sqlite3

    from parallelops.containers.operation import Entry

__all__ = [
    "add",
    "after",
    "check",
    "find",
    "history",
    "last",
    "lease",
    "leases",
    "prune",
    "put",
    "step",
]

_SEQUENCE, _EPOCH = COLUMNS.index("sequence"), COLUMNS.index("epoch")
_ALL = f"{', '.join(COLUMNS)}, checksum"
_SELECT = f"SELECT {_ALL} FROM operations"  # noqa: S608 - of constants
_INSERT = (
    f"INSERT INTO operations ({_ALL}) "  # noqa: S608 - of constants
    f"VALUES ({', '.join('?' * (len(COLUMNS) + 1))}) "
    "ON CONFLICT (id) DO NOTHING"
)
# The lease is looked at in the same statement.
_UPDATE = (
    "UPDATE operations SET state = ?, reason = ?, result = ?, attempts = ?,"
    " epoch = ?, started_at = ?, ended_at = ?, checksum = ?"
    " WHERE sequence = ?"
    " AND (SELECT epoch FROM leases WHERE scope = ?) = ?"
)
_LEASES = "SELECT scope, owner, epoch, until, checksum FROM leases"


def lease(connection: sqlite3.Connection, journal: str, scope: str) -> Lease:
    """That of a scope; one of epoch 0 if nobody ever took it."""
    row = connection.execute(f"{_LEASES} WHERE scope = ?", (scope,)).fetchone()
    if row is None:
        return Lease(scope=scope, owner="", epoch=0)
    return lease_of(row, journal)


def leases(connection: sqlite3.Connection, journal: str) -> list[Lease]:
    """Those of all scopes."""
    rows = connection.execute(f"{_LEASES} ORDER BY scope").fetchall()
    return [lease_of(row, journal) for row in rows]


def check(connection: sqlite3.Connection, journal: str, ours: Lease) -> None:
    """See that a lease is still good.

    Raises:
        Fenced: it is not.
    """
    # Each write asks, so it asks for no more than it needs.
    row = connection.execute(
        "SELECT epoch FROM leases WHERE scope = ?", (ours.scope,)
    ).fetchone()
    if row is None or row[0] != ours.epoch:
        raise Fenced(journal, ours.scope, ours.epoch, row[0] if row else 0)


def put(connection: sqlite3.Connection, changed: Lease) -> Lease:
    """Write a lease; it."""
    connection.execute(
        "INSERT OR REPLACE INTO leases"
        " (scope, owner, epoch, until, checksum) VALUES (?, ?, ?, ?, ?)",
        row_of_lease(changed),
    )
    return changed


def last(connection: sqlite3.Connection) -> int:
    """The place of the last operation, 0 if there is none."""
    (found,) = connection.execute(
        "SELECT MAX(sequence) FROM operations"
    ).fetchone()
    return found or 0


def add(
    connection: sqlite3.Connection, values: list[Any], place: int, epoch: int
) -> bool:
    """Write a new operation; False if there is one of its id."""
    values[_SEQUENCE], values[_EPOCH] = place, epoch
    return connection.execute(_INSERT, sealed(values)).rowcount > 0


def step(
    connection: sqlite3.Connection, journal: str, ours: Lease, entry: Entry
) -> Entry:
    """Write the next state of an operation; what was written.

    Raises:
        IllegalTransition: it can't go there from where it is.
        Fenced: the lease is not good.
    """
    row = connection.execute(
        f"{_SELECT} WHERE sequence = ? AND id = ?", (entry.sequence, entry.id)
    ).fetchone()
    if row is None:
        raise IllegalTransition(
            "nothing", entry.state, f"operation {entry.id}"
        )
    entry_of(row, journal).to(entry.state, 0.0)  # or raise
    written = dataclasses.replace(entry, epoch=ours.epoch)
    done = connection.execute(
        _UPDATE,
        (
            *(str(written.state), written.reason, written.result),
            *(written.attempts, written.epoch),
            *(written.started_at, written.ended_at, row_of(written)[-1]),
            *(written.sequence, ours.scope, ours.epoch),
        ),
    ).rowcount
    if not done:
        check(connection, journal, ours)
    return written


def find(
    connection: sqlite3.Connection, journal: str, operation_id: str
) -> Entry | None:
    """The operation of that id, if there is one."""
    row = connection.execute(
        f"{_SELECT} WHERE id = ?", (operation_id,)
    ).fetchone()
    return None if row is None else entry_of(row, journal)


def history(
    connection: sqlite3.Connection, journal: str, container: str, limit: int
) -> list[Entry]:
    """The last operations of a container, the latest last."""
    rows = connection.execute(
        f"{_SELECT} WHERE container = ? ORDER BY sequence DESC LIMIT ?",
        (container, limit),
    ).fetchall()
    return [entry_of(row, journal) for row in reversed(rows)]


def after(
    connection: sqlite3.Connection, journal: str, sequence: int, limit: int
) -> list[Entry]:
    """The next operations after a place in the journal."""
    rows = connection.execute(
        f"{_SELECT} WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (sequence, limit),
    ).fetchall()
    return [entry_of(row, journal) for row in rows]


def prune(
    connection: sqlite3.Connection, scope: str, before: float, limit: int
) -> int:
    """Forget so many that ended before a time, but never the last; how many
    there were."""
    return connection.execute(
        "DELETE FROM operations WHERE sequence IN ("
        " SELECT sequence FROM operations"
        " WHERE scope = ? AND ended_at < ?"
        " AND sequence < (SELECT MAX(sequence) FROM operations) LIMIT ?)",
        (scope, before, limit),
    ).rowcount
