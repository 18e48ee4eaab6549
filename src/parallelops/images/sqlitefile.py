"""The file of an SQLite catalogue: made whole, and known when seen again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["connect", "explained", "transaction"]

# In the header of the file: whose it is, and which form it has.
_APPLICATION_ID = int.from_bytes(b"POic", "big")
_SCHEMA_VERSION = 2
_SMALLEST = 512  # bytes: one page of the smallest kind

_SCHEMA = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA application_id = {_APPLICATION_ID};
    PRAGMA user_version = {_SCHEMA_VERSION};
    CREATE TABLE images (
        id TEXT PRIMARY KEY NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('active', 'pending_delete', 'deleted')),
        -- When the first location that still waits went to pending_delete.
        pending_since REAL,
        -- The token of the last claim, and of the one that holds, or 0.
        fence INTEGER NOT NULL DEFAULT 0,
        claim INTEGER NOT NULL DEFAULT 0,
        leased_until REAL NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX images_pending ON images (pending_since, id)
        WHERE pending_since IS NOT NULL;
    CREATE TABLE locations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        image_id TEXT NOT NULL REFERENCES images (id),
        url TEXT NOT NULL,
        store TEXT,
        status TEXT NOT NULL CHECK (
            status IN ('pending', 'active', 'pending_delete', 'deleted')
        ),
        deleted_at REAL
            CHECK (status <> 'pending_delete' OR deleted_at IS NOT NULL),
        -- Nobody knows whether its data is there: it is never restored.
        doubtful INTEGER NOT NULL DEFAULT 0,
        -- It is not due before then.
        parked_until REAL NOT NULL DEFAULT 0,
        parkings INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX locations_of_image ON locations (image_id, status);
"""

# What each form lacks that the next one has. Whoever worked on an older one
# was no scrubber with claims, and may have begun anything.
_MIGRATIONS = {
    1: """
        ALTER TABLE images ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE images ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE images ADD COLUMN leased_until REAL NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN parked_until REAL NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN parkings INTEGER NOT NULL DEFAULT 0;
        UPDATE locations SET doubtful = 1 WHERE status = 'pending_delete'
    """,
}

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; stop that one, or "
    "raise busy_timeout",
    sqlite3.SQLITE_CANTOPEN: "see that the user of this process may read and "
    "write it and its directory",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "see what the system's log says of its disk",
    sqlite3.SQLITE_NOTADB: "it is not a catalogue, or it is damaged; give "
    "another path, or restore it from a backup",
    sqlite3.SQLITE_READONLY: "see that the user of this process may write it "
    "and its directory",
}


def connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open the catalogue at ``path``; make one if nothing is there.

    Raises:
        CatalogError: it is no catalogue, or can't be used.
    """
    with _explained_by_system(path):
        if not path.exists():
            _make(path)
        elif path.is_dir():
            raise CatalogError(
                f"{path}: cannot open the catalogue: it is a directory; give "
                "the path of a file"
            )
        elif (size := path.stat().st_size) < _SMALLEST:
            # SQLite would take it for a new one, and nobody would ever
            # learn that all the images are lost.
            raise CatalogError(
                f"{path}: cannot open the catalogue: it has {size} bytes, so "
                "it is not a catalogue, or not any more; restore it from a "
                "backup, or remove it to start anew"
            )
    with explained(path, "open"), contextlib.ExitStack() as on_failure:
        connection = _open(path, busy_timeout)
        on_failure.callback(connection.close)
        _identify(connection, path)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise CatalogError(
                f"{path}: cannot open the catalogue: its file system has no "
                "write-ahead log; move it to a local disk"
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # It can be written: better known now than at the first row.
        with transaction(connection):
            _migrate(connection)
        on_failure.pop_all()
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's writes, or none."""
    # Immediate: one that begins to read and then finds that another process
    # has written meanwhile could not go on.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors, as a full disk, have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Errors of SQLite become one that names the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = _REMEDIES.get(code)
        raise CatalogError(
            f"{path}: cannot {doing} the catalogue: {error}"
            + (f"; {remedy}" if remedy else "")
        ) from error


@contextlib.contextmanager
def _explained_by_system(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogError(
            f"{path}: cannot open the catalogue: {error.strerror}; see that "
            "its directory is there, and that the user of this process may "
            "write it"
        ) from error


def _open(path: Path, busy_timeout: float) -> sqlite3.Connection:
    # It never makes a file, should this one vanish now.
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,  # there is a lock
    )


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise CatalogError(
            f"{path}: cannot open the catalogue: it is the database of "
            "another program; give another path"
        )
    version = _version(connection)
    if version != _SCHEMA_VERSION and version not in _MIGRATIONS:
        raise CatalogError(
            f"{path}: cannot open the catalogue: it has schema {version} and "
            f"this parallelops knows {_SCHEMA_VERSION}; use the version that "
            "wrote it"
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring it to the newest form, in the caller's transaction."""
    while (version := _version(connection)) in _MIGRATIONS:
        # Not with executescript(), which would commit first.
        for statement in _MIGRATIONS[version].split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")


def _make(path: Path) -> None:
    """Make an empty catalogue; there is all of it at ``path``, or nothing.

    Another process that makes one at the same time may win: then it is that
    one.
    """
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".new", dir=path.parent
    )
    os.close(handle)
    new = path.with_name(Path(name).name)
    try:
        with (
            explained(path, "make"),
            contextlib.closing(_open(new, 0)) as connection,
        ):
            connection.executescript(_SCHEMA)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
