"""A journal in one file, which needs no server."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from parallelops.containers import journalrows as rows
from parallelops.containers.groupcommit import GroupCommit, again
from parallelops.containers.journal import Lease
from parallelops.containers.journalfile import (
    JOURNAL,
    damage,
    identity,
    values_of,
)
from parallelops.containers.operation import UNFINISHED
from parallelops.containers.walcheck import damage_of_log
from parallelops.errors import (
    IllegalTransition,
    JournalDamaged,
    JournalError,
    LeaseHeld,
    ParallelopsError,
)
from parallelops.runtime import ThreadRuntime
from parallelops.sqlitefile import transaction

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Sequence,
    )

    from parallelops.containers.groupcommit import Job
    from parallelops.containers.operation import Entry
    from parallelops.runtime import Runtime

__all__ = ["SQLiteJournal"]

T = TypeVar("T")

_PAGE = 1000  # rows


class SQLiteJournal:
    """A journal in an SQLite file.

    What was written is on disk when the call returns: each commit is synced.
    Threads that write at the same time share one commit. Several processes
    may open the same file; after a fork the child opens its own. Under green
    threads a commit blocks all of them for as long as the disk takes, which
    is milliseconds.

    Each row has a checksum. A file that was removed or replaced while it is
    open is noticed at the next commit, and what it was to acknowledge is
    refused. After an error of the disk nothing more is written: what the
    system has then forgotten, nobody knows. Open it anew.

    The file has to be on a local file system: it uses a write-ahead log,
    which needs memory shared between the processes.

    Args:
        path: the file; made if there is none.
        busy_timeout: seconds to wait for another process that is writing.
        runtime: where its locks come from; by default from ``threading``.
            Give that of the executor under green threads.
        make: False refuses to make a file where there is none.

    Raises:
        JournalError: the file is no journal, or can't be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_timeout: float = 5.0,
        runtime: Runtime | None = None,
        make: bool = True,
    ) -> None:
        runtime = runtime or ThreadRuntime()
        self.path = Path(path).absolute()
        self._name = str(self.path)
        self._process = os.getpid()
        self._broken: JournalError | None = None
        self._closed = False
        self._group = GroupCommit(runtime, self._commit)
        # Of the transaction under way: leases that are good, the last place.
        self._epochs: dict[str, int] = {}
        self._last = 0
        self._reading = runtime.rlock()
        self._see_that_the_log_is_whole()
        with contextlib.ExitStack() as failed:
            self._writer = JOURNAL.connect(self.path, busy_timeout, make=make)
            failed.callback(self._writer.close)
            self._reader = JOURNAL.connect(self.path, busy_timeout, make=False)
            failed.callback(self._reader.close)
            with self._explained("read"):
                self._identity = identity(self._writer, self._name)
                self._files, self._size = self._look()
            failed.pop_all()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if os.getpid() != self._process:
            return  # closing them here would let go of the parent's locks
        self._closed = True
        self._broken = JournalError(
            f"{self._name}: the journal was closed; open it anew", self._name
        )
        with self._reading:
            self._reader.close()
        self._group.alone(self._writer.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- what operations need

    def take(
        self, scope: str, owner: str, now: float, seconds: float | None
    ) -> Lease:
        """See :meth:`Journal.take`."""

        def work(connection: sqlite3.Connection) -> Lease:
            held = rows.lease(connection, self._name, scope)
            if (
                held.owner not in ("", owner)
                and held.until is not None
                and held.until > now
            ):
                raise LeaseHeld(self._name, scope, held.owner, held.until)
            return self._put(
                connection,
                Lease(
                    scope=scope,
                    owner=owner,
                    epoch=held.epoch + 1,
                    until=None if seconds is None else now + seconds,
                ),
            )

        return self._write(work)

    def renew(self, lease: Lease, until: float) -> Lease:
        """See :meth:`Journal.renew`."""

        def work(connection: sqlite3.Connection) -> Lease:
            self._check(connection, lease)
            renewed = dataclasses.replace(lease, until=until)
            return self._put(connection, renewed)

        return self._write(work)

    def release(self, lease: Lease) -> None:
        """See :meth:`Journal.release`."""

        def work(connection: sqlite3.Connection) -> None:
            self._check(connection, lease)
            freed = Lease(scope=lease.scope, owner="", epoch=lease.epoch + 1)
            self._put(connection, freed)

        self._write(work)

    def leases(self) -> list[Lease]:
        """See :meth:`Journal.leases`."""
        with self._read() as connection:
            return rows.leases(connection, self._name)

    def accept(self, lease: Lease, entry: Entry) -> Entry:
        """See :meth:`Journal.accept`."""

        values = values_of(entry)

        def work(connection: sqlite3.Connection) -> Entry | int:
            self._check(connection, lease)
            place = (self._last or rows.last(connection)) + 1
            known = None
            if not rows.add(connection, values, place, lease.epoch):
                known = rows.find(connection, self._name, entry.id)
            self._last = place if known is None else place - 1
            return known or place

        # As little as can be is done while others wait for the commit.
        found = self._write(work)
        if isinstance(found, int):
            return dataclasses.replace(
                entry, sequence=found, epoch=lease.epoch
            )
        return found

    def advance(
        self, lease: Lease, entry: Entry, also: Iterable[Entry] = ()
    ) -> list[Entry]:
        """See :meth:`Journal.advance`."""

        def work(connection: sqlite3.Connection) -> list[Entry]:
            self._check(connection, lease)
            written = [rows.step(connection, self._name, lease, entry)]
            for other in also:
                try:
                    written.append(
                        rows.step(connection, self._name, lease, other)
                    )
                except IllegalTransition:
                    continue
            return written

        return self._write(work)

    def unfinished(self, scopes: Collection[str]) -> list[Entry]:
        """See :meth:`Journal.unfinished`."""
        problems = self.damage()
        if problems:
            raise JournalDamaged(
                f"{problems[0]} ({len(problems)} such); restore it from a "
                "backup, or see with 'parallelops operations audit' what is "
                "left of it",
                self._name,
                sqlite3.SQLITE_CORRUPT,
            )
        return [
            entry
            for entry in self.entries()
            if entry.scope in scopes and entry.state in UNFINISHED
        ]

    def find(self, operation_id: str) -> Entry | None:
        """See :meth:`Journal.find`."""
        with self._read() as connection:
            return rows.find(connection, self._name, operation_id)

    def history(self, container: str, limit: int = 100) -> list[Entry]:
        """See :meth:`Journal.history`."""
        with self._read() as connection:
            return rows.history(connection, self._name, container, limit)

    def prune(self, lease: Lease, before: float) -> int:
        """See :meth:`Journal.prune`. The last operation of all stays."""

        def work(connection: sqlite3.Connection) -> int:
            self._check(connection, lease)
            return rows.prune(connection, lease.scope, before, _PAGE)

        total = 0
        # A page at a time: others want to commit meanwhile.
        while pruned := self._write(work):
            total += pruned
        return total

    # -- what its owner needs

    def entries(self) -> Iterator[Entry]:
        """All operations by sequence, read as you go.

        Raises:
            JournalDamaged: one is not what was written.
            JournalError: it can't be read.
        """
        last = 0
        while True:
            with self._read() as connection:
                page = rows.after(connection, self._name, last, _PAGE)
            if not page:
                return
            yield from page
            last = page[-1].sequence

    def damage(self) -> list[str]:
        """What is wrong with the file, in words; it reads all of it."""
        with self._read() as connection:
            return list(damage(connection, self._name))

    # -- inside

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._usable()
        return self._group.do(work)

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        """All of the jobs in one transaction."""
        self._usable()
        connection = self._writer
        self._epochs.clear()
        self._last = 0
        with self._explained("write"):
            with transaction(connection):
                if identity(connection, self._name) != self._identity:
                    raise self._replaced()
                for job in jobs:
                    try:
                        job.result = job.work(connection)
                    except ParallelopsError as error:
                        job.error = error
            # Only now: SQLite goes on writing to a file that has no name
            # any more, and nobody would ever find it there.
            self._still_there()

    def _check(self, connection: sqlite3.Connection, lease: Lease) -> None:
        """See that a lease is good; once in a transaction is enough."""
        if self._epochs.get(lease.scope) != lease.epoch:
            rows.check(connection, self._name, lease)
            self._epochs[lease.scope] = lease.epoch

    def _put(self, connection: sqlite3.Connection, lease: Lease) -> Lease:
        self._epochs.pop(lease.scope, None)
        return rows.put(connection, lease)

    def _look(self) -> tuple[list[tuple[int, int]], int]:
        """Which files these are, and how large the main one is."""
        found = []
        for name in (f"{self._name}-wal", self._name):
            status = os.stat(name)  # noqa: PTH116 - each commit pays for it
            found.append((status.st_dev, status.st_ino))
        return found, status.st_size

    def _still_there(self) -> None:
        try:
            files, size = self._look()
        except OSError as error:
            raise self._replaced() from error
        if files != self._files or size < self._size:
            raise self._replaced()
        self._size = size

    def _see_that_the_log_is_whole(self) -> None:
        # SQLite would open it without what is behind the damage.
        try:
            words = damage_of_log(f"{self._name}-wal")
        except OSError as error:
            raise JournalError(
                f"{self._name}-wal: cannot read the journal's log: "
                f"{error.strerror}; see that the user of this process may",
                self._name,
                sqlite3.SQLITE_CANTOPEN,
            ) from error
        if words is not None:
            raise JournalDamaged(
                f"{self._name}-wal: {words}. Restore the journal and its log "
                "from a backup, or keep a copy of both: what was acknowledged "
                "last is in no other place",
                self._name,
                sqlite3.SQLITE_CORRUPT,
            )

    def _replaced(self) -> JournalDamaged:
        self._broken = JournalDamaged(
            f"{self._name}: the journal was removed, cut short or replaced "
            "while it was in use; put it back or restore it from a backup, "
            "and open it anew. Nothing more is accepted",
            self._name,
        )
        return self._broken

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            with JOURNAL.explained(self.path, doing):
                yield
        except JournalError as error:
            if error.code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT):
                self._broken = error
            raise

    def _usable(self) -> None:
        if os.getpid() != self._process:
            raise JournalError(
                f"{self._name}: this process was forked off the one that "
                "opened the journal, and shares its locks; open it anew",
                self._name,
            )
        if self._broken is not None:
            raise again(self._broken)

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process or self._closed:
            self._usable()
        with self._reading, JOURNAL.explained(self.path, "read"):
            yield self._reader
