"""The file of an SQLite database of ours: made whole, and known when seen
again.

A catalogue and a journal are kept in such files. What differs between them
is a :class:`Kind`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelops.errors import ParallelopsError

__all__ = ["Kind", "transaction"]

_SMALLEST = 512  # bytes: one page of the smallest kind

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; stop that one, or "
    "raise busy_timeout",
    sqlite3.SQLITE_CANTOPEN: "see that the user of this process may read and "
    "write it and its directory",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "see what the system's log says of its disk",
    sqlite3.SQLITE_NOTADB: "it is not a {name}, or it is damaged; give "
    "another path, or restore it from a backup",
    sqlite3.SQLITE_READONLY: "see that the user of this process may write it "
    "and its directory",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is kept in a file, and how it is told from another.

    Attributes:
        name: what to call it in errors: "catalogue".
        application_id: in the header of the file: whose it is.
        version: in the header of the file: which form it has.
        schema: makes the statements that make its tables.
        migrations: by version, what brings a file of it to the next one;
            of statements only, with no semicolon but between them.
        error: makes the error to raise, of a message and of the code that
            SQLite gave, 0 if it gave none.
    """

    name: str
    application_id: int
    version: int
    schema: Callable[[], str]
    error: Callable[[str, int], ParallelopsError]
    migrations: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def connect(
        self, path: Path, busy_timeout: float, *, make: bool = True
    ) -> sqlite3.Connection:
        """Open the file at ``path``; make one if nothing is there.

        The connection has a write-ahead log and syncs it at each commit. It
        is in autocommit mode; see :func:`transaction`.

        Args:
            path: absolute.
            busy_timeout: seconds to wait for another process that writes.
            make: whether to make it.

        Raises:
            ParallelopsError: of the kind's own; it is no such file, or
                can't be used.
        """
        with self._explained_by_system(path):
            if make and not path.exists():
                self._make(path)
            elif path.is_dir():
                raise self._refuse(
                    path, "it is a directory; give the path of a file"
                )
            elif (size := path.stat().st_size) < _SMALLEST:
                # SQLite would take it for a new one, and nobody would ever
                # learn that all that was in it is lost.
                raise self._refuse(
                    path,
                    f"it has {size} bytes, so it is not a {self.name}, or "
                    "not any more; restore it from a backup, or remove it "
                    "to start anew",
                )
        with self.explained(path, "open"), contextlib.ExitStack() as failed:
            connection = _open(path, busy_timeout)
            failed.callback(connection.close)
            self._identify(connection, path)
            (mode,) = connection.execute(
                "PRAGMA journal_mode = WAL"
            ).fetchone()
            if mode != "wal":
                raise self._refuse(
                    path,
                    "its file system has no write-ahead log; move it to a "
                    "local disk",
                )
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # It can be written: better known now than later.
            with transaction(connection):
                self._migrate(connection)
            failed.pop_all()
        return connection

    @contextlib.contextmanager
    def explained(self, path: Path, doing: str) -> Iterator[None]:
        """Errors of SQLite become one that names the file and the remedy."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # Of a damaged file even what is said of it may be damaged.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if isinstance(error, UnicodeDecodeError):
                code = sqlite3.SQLITE_CORRUPT
            remedy = _REMEDIES.get(code, "").format(name=self.name)
            raise self.error(
                f"{path}: cannot {doing} the {self.name}: {error}"
                + (f"; {remedy}" if remedy else ""),
                code,
            ) from error

    def _refuse(
        self, path: Path, why: str, code: int = sqlite3.SQLITE_NOTADB
    ) -> ParallelopsError:
        return self.error(f"{path}: cannot open the {self.name}: {why}", code)

    @contextlib.contextmanager
    def _explained_by_system(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refuse(
                path,
                f"{error.strerror}; see that its directory is there, and "
                "that the user of this process may write it",
                sqlite3.SQLITE_CANTOPEN,
            ) from error

    def _identify(self, connection: sqlite3.Connection, path: Path) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != self.application_id:
            raise self._refuse(
                path,
                "it is the database of another program; give another path",
            )
        version = _version(connection)
        if version != self.version and version not in self.migrations:
            raise self._refuse(
                path,
                f"it has schema {version} and this parallelops knows "
                f"{self.version}; use the version that wrote it",
            )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring it to the newest form, in the caller's transaction."""
        while (version := _version(connection)) in self.migrations:
            # Not with executescript(), which would commit first.
            for statement in self.migrations[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")

    def _make(self, path: Path) -> None:
        """Make an empty one; there is all of it at ``path``, or nothing.

        Another process that makes one at the same time may win: then it is
        that one.
        """
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".new", dir=path.parent
        )
        os.close(handle)
        new = path.with_name(Path(name).name)
        try:
            with (
                self.explained(path, "make"),
                contextlib.closing(_open(new, 0)) as connection,
            ):
                connection.executescript(
                    "PRAGMA journal_mode = WAL;"
                    f"PRAGMA application_id = {self.application_id};"
                    f"PRAGMA user_version = {self.version};"
                    f"{self.schema()}"
                )
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(new)
        finally:
            new.unlink()
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _open(path: Path, busy_timeout: float) -> sqlite3.Connection:
    # It never makes a file, should this one vanish now.
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,  # there is a lock
    )
