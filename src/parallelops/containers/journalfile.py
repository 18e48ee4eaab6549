"""The file of an SQLite journal: its tables, rows and checksums."""

from __future__ import annotations

import dataclasses
import operator
import secrets
import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

from parallelops.containers.journal import Lease
from parallelops.containers.operation import Entry, State
from parallelops.errors import JournalDamaged, JournalError
from parallelops.sqlitefile import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "COLUMNS",
    "JOURNAL",
    "damage",
    "entry_of",
    "identity",
    "lease_of",
    "row_of",
    "row_of_lease",
    "sealed",
    "values_of",
]

COLUMNS = tuple(field.name for field in dataclasses.fields(Entry))
_STATE = COLUMNS.index("state")
_values_of = operator.attrgetter(*COLUMNS)
_LEASE = tuple(field.name for field in dataclasses.fields(Lease))

_STATES = ", ".join(f"'{state}'" for state in State)

# A row is known by the checksum over the others of its columns.
_SCHEMA = f"""
    CREATE TABLE journal (
        id TEXT NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE leases (
        scope TEXT PRIMARY KEY NOT NULL,
        owner TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        until REAL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE operations (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        container TEXT NOT NULL,
        action TEXT NOT NULL,
        parameters TEXT NOT NULL,
        mode TEXT NOT NULL,
        recovery TEXT NOT NULL,
        scope TEXT NOT NULL,
        accepted_at REAL NOT NULL,
        state TEXT NOT NULL CHECK (state IN ({_STATES})),
        reason TEXT NOT NULL,
        result TEXT,
        attempts INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        started_at REAL,
        ended_at REAL,
        expires_at REAL,
        checksum INTEGER NOT NULL
    );
    CREATE INDEX operations_of_container ON operations (container, sequence);
"""


def _schema() -> str:
    name = secrets.token_hex(16)
    return (
        f"{_SCHEMA} INSERT INTO journal (id, checksum) "  # noqa: S608
        f"VALUES ('{name}', {_checksum((name,))});"
    )


def _error(message: str, code: int) -> JournalError:
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    kind = JournalDamaged if damaged else JournalError
    return kind(message, message.partition(": ")[0], code)


JOURNAL = Kind(
    name="journal",
    application_id=int.from_bytes(b"POjr", "big"),
    version=1,
    schema=_schema,
    error=_error,
)


def _checksum(values: Iterable[object]) -> int:
    # A whole number comes back as a float from a column of those.
    same = [float(v) if type(v) is int else v for v in values]
    return zlib.crc32(repr(same).encode("utf-8", "surrogatepass"))


def _checked(row: Sequence[Any], what: str, journal: str) -> Sequence[Any]:
    *values, checksum = row
    if _checksum(values) != checksum:
        raise JournalDamaged(
            f"{journal}: {what} is not what was written: its checksum is "
            "wrong; restore the journal from a backup, or see with "
            "'parallelops operations audit' what is left of it",
            journal,
            sqlite3.SQLITE_CORRUPT,
        )
    return values


def values_of(entry: Entry) -> list[Any]:
    """The columns of an operation, without the checksum."""
    values = [*_values_of(entry)]
    values[_STATE] = str(entry.state)
    return values


def sealed(values: Sequence[Any]) -> tuple[Any, ...]:
    """A row: its columns, and the checksum."""
    return (*values, _checksum(values))


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The row of an operation."""
    return sealed(values_of(entry))


def entry_of(row: Sequence[Any], journal: str) -> Entry:
    """The operation of a row.

    Raises:
        JournalDamaged: it is not what was written.
    """
    fields = dict(
        zip(
            COLUMNS,
            _checked(row, f"operation {row[0]!r}", journal),
            strict=True,
        )
    )
    fields["state"] = State(fields["state"])
    return Entry(**fields)


def row_of_lease(lease: Lease) -> tuple[Any, ...]:
    """The row of a lease: its columns, and the checksum."""
    values = dataclasses.astuple(lease)
    return (*values, _checksum(values))


def lease_of(row: Sequence[Any], journal: str) -> Lease:
    """The lease of a row.

    Raises:
        JournalDamaged: it is not what was written.
    """
    values = _checked(row, f"the lease of scope {row[0]!r}", journal)
    return Lease(**dict(zip(_LEASE, values, strict=True)))


def identity(connection: sqlite3.Connection, journal: str) -> str:
    """The name that the journal was given when it was made.

    Raises:
        JournalDamaged: it has none, or more than one.
    """
    rows = connection.execute("SELECT id, checksum FROM journal").fetchall()
    if len(rows) != 1:
        raise JournalDamaged(
            f"{journal}: it has {len(rows)} names in the place of one; "
            "restore it from a backup",
            journal,
            sqlite3.SQLITE_CORRUPT,
        )
    (name,) = _checked(rows[0], "its name", journal)
    return str(name)


def damage(connection: sqlite3.Connection, journal: str) -> Iterator[str]:
    """What is wrong with the file, if anything is; it reads all of it."""
    try:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"{journal}: {line}"
        identity(connection, journal)
        rows = connection.execute(
            "SELECT scope, owner, epoch, until, checksum FROM leases"
        )
        for row in rows:
            lease_of(row, journal)
    except JournalDamaged as error:
        yield str(error)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield f"{journal}: {error}"
        return
    try:
        for row in connection.execute(
            f"SELECT {', '.join(COLUMNS)}, checksum "  # noqa: S608
            "FROM operations NOT INDEXED"
        ):
            try:
                entry_of(row, journal)
            except (JournalDamaged, ValueError) as error:
                yield str(error)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield f"{journal}: {error}"
