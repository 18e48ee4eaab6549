"""Claims on images, outside of Glance's rows.

Glance has no column for them, and its own scrubber passes by a status that
it does not know. So each image that a scrubber works on is a lock that goes
when its owner dies: on one machine a byte of a file, among machines a lock
of the database server.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import logging
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from parallelops.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from parallelops.integrations.glance.database import Database

__all__ = ["SERVERS", "FileLocks", "Locks", "Server", "ServerLocks"]

_log = logging.getLogger(__name__)

# Seconds for which a server may be told to wait: in milliseconds, 31 bits.
_LONGEST = 2_000_000

# struct flock, as C lays it out: type, whence, start, length, process.
_FLOCK = "hhqqi4x"


class Locks(Protocol):
    """Locks on images. One thread uses them.

    Attributes:
        generation: counts up when all that were held are lost, so that
            whoever remembers it knows whether theirs were among them.
        held: ids of the images that are the caller's.
    """

    generation: int
    held: set[str]

    def take(self, ids: Iterable[str], lease: float) -> frozenset[str]:
        """Take those that nobody has, without waiting.

        Args:
            ids: of images; those that are held already are refused.
            lease: seconds after which they are free again, unless they are
                kept; where the owner's end is always noticed, never.

        Returns:
            Those that were free, and are the caller's now.
        """

    def keep(self, lease: float) -> None:
        """Put off the end of all that are held; see ``generation``."""

    def release(self, ids: Collection[str]) -> None:
        """Let go of some."""

    def close(self) -> None:
        """Let go of all; a second time does nothing."""


class FileLocks:
    """Locks among the processes of one machine: each a byte of a file.

    The kernel lets go of them when a process ends, however it ends. A
    process that is stopped keeps its own.

    Args:
        path: the file; made if there is none, and never deleted. It stays
            empty.

    Raises:
        CatalogError: the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file: int | None = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise CatalogError(
                f"cannot lock by {path}: {error.strerror}; scrubbers on the "
                "same database need a place for it that all may write"
            ) from error
        self.generation = 1
        self.held: set[str] = set()

    def take(self, ids: Iterable[str], lease: float) -> frozenset[str]:
        """See :meth:`Locks.take`; a lease has no end here."""
        taken = {
            id_
            for id_ in ids
            if id_ not in self.held and self._set(id_, fcntl.F_WRLCK)
        }
        self.held |= taken
        return frozenset(taken)

    def keep(self, lease: float) -> None:
        """See :meth:`Locks.keep`; there is no end to put off."""

    def release(self, ids: Collection[str]) -> None:
        """See :meth:`Locks.release`."""
        for id_ in self.held.intersection(ids):
            self._set(id_, fcntl.F_UNLCK)
        self.held.difference_update(ids)

    def close(self) -> None:
        """See :meth:`Locks.close`."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self.held.clear()

    def _set(self, id_: str, kind: int) -> bool:
        """Lock or unlock a byte; False if somebody else has it."""
        if self._file is None:
            return False
        # Two images with the same byte would only wait for one another.
        start = _number(id_) >> 2
        try:
            fcntl.fcntl(
                self._file,
                # Belongs to this opening of the file, not to the process.
                fcntl.F_OFD_SETLK,
                struct.pack(_FLOCK, kind, os.SEEK_SET, start, 1, 0),
            )
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise CatalogError(
                f"cannot lock image {id_}: {error.strerror}"
            ) from error
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """How locks are asked for, in the words of a kind of server.

    Attributes:
        take: takes the lock of a name, if nobody has it.
        release: lets go of it.
        lease: ends a connection that says nothing for so many seconds.
        name: makes the name of a lock out of a text.
    """

    take: str
    release: str
    lease: str
    name: Callable[[str], str | int]


SERVERS = {
    "mysql": Server(
        take="GET_LOCK(:{}, 0)",
        release="RELEASE_LOCK(:{})",
        lease="SET SESSION wait_timeout = :seconds",
        name=str,
    ),
    "postgresql": Server(
        take="pg_try_advisory_lock(:{})",
        release="pg_advisory_unlock(:{})",
        lease="SELECT set_config("
        "'idle_session_timeout', CONCAT(:seconds, 's'), false)",
        name=lambda text: _number(text) - 2**63,
    ),
}
SERVERS["mariadb"] = SERVERS["mysql"]


class ServerLocks:
    """Locks of a database server, on a connection of their own.

    The server lets go of them when the connection ends, or says nothing for
    as long as the lease is. They are the server's: scrubbers that reach
    several servers of one cluster do not see each other's.

    Args:
        database: where; its server is one of ``SERVERS``.
    """

    def __init__(self, database: Database) -> None:
        self.generation = 1
        self._database = database
        self._server = SERVERS[database.engine.url.get_backend_name()]
        self._connection: Any = None
        self._seconds: int | None = None
        self.held: set[str] = set()
        name = database.engine.url.database or ""
        self._prefix = f"parallelops:{_number(name) >> 32:08x}:"

    def take(self, ids: Iterable[str], lease: float) -> frozenset[str]:
        """See :meth:`Locks.take`.

        Raises:
            CatalogError: there is no connection to be had.
        """
        wanted = [id_ for id_ in ids if id_ not in self.held]
        if not wanted:
            return frozenset()
        if self._connection is None:
            self._connection = self._database.connect_apart()
            try:
                self._set_lease(lease)
            except CatalogError:
                self._end()
                raise
        answers = self._ask(self._server.take, wanted, lease)
        if not answers:
            return frozenset()  # It was lost; the next time is on a new one.
        taken = {id_ for id_, got in zip(wanted, answers, strict=True) if got}
        self.held |= taken
        return frozenset(taken)

    def keep(self, lease: float) -> None:
        """See :meth:`Locks.keep`."""
        if self._connection is not None:
            self._ask("1", ["any"], lease)

    def release(self, ids: Collection[str]) -> None:
        """See :meth:`Locks.release`."""
        letting_go = sorted(self.held.intersection(ids))
        if letting_go:
            self._ask(self._server.release, letting_go, None)
        self.held.difference_update(ids)

    def close(self) -> None:
        """See :meth:`Locks.close`."""
        # The server takes a moment to notice that a connection has ended.
        self.release(tuple(self.held))
        self._end()

    def _end(self) -> None:
        """End the connection, and with it all that is held."""
        self.held.clear()
        connection, self._connection = self._connection, None
        self._seconds = None
        if connection is not None:
            self.generation += 1
            # Not back to a pool: another user would have the locks.
            connection.invalidate()
            connection.close()

    def _ask(
        self, call: str, ids: list[str], lease: float | None
    ) -> list[Any]:
        """Make a call for each; nothing comes back if the connection was
        lost, and all locks with it."""
        if self._connection is None:
            return []
        names = {
            f"n{n}": self._server.name(self._prefix + id_)
            for n, id_ in enumerate(ids)
        }
        calls = ", ".join(map(call.format, names))
        try:
            if lease is not None:
                self._set_lease(lease)
            return self._database.ask(
                self._connection, f"SELECT {calls}", names
            )
        except CatalogError as error:
            _log.warning("the locks on images are lost: %s", error)
            self._end()
            return []

    def _set_lease(self, lease: float) -> None:
        seconds = min(max(round(lease), 1), _LONGEST)
        if seconds != self._seconds:
            self._database.ask(
                self._connection, self._server.lease, {"seconds": seconds}
            )
            self._seconds = seconds


def _number(text: str) -> int:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big")
