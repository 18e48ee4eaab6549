"""Glance's database: how it is reached, and what goes wrong there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import event, exc

from parallelops.errors import CatalogError
from parallelops.integrations.glance.locks import (
    SERVERS,
    FileLocks,
    ServerLocks,
)
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelops.integrations.glance.locks import Locks
    from parallelops.runtime import Runtime

__all__ = ["Database"]

# MySQL and MariaDB: lock wait timeout, deadlock, and what Galera refuses.
# PostgreSQL: serialization failure, deadlock, lock not available.
_AGAIN = frozenset({1205, 1213, 1047, "40001", "40P01", "55P03"})
_TRIES = 6
_BACKOFF = 0.1  # seconds


class Database:
    """Transactions in Glance's database, each tried again when it is in the
    way of another one.

    Args:
        url: as Glance has it in ``[database] connection``.
        lock_timeout: seconds to wait for a lock that another process has.
        runtime: where clocks, sleep and chance come from.

    Raises:
        CatalogError: the URL can't be used.
    """

    def __init__(
        self, url: str, *, lock_timeout: float, runtime: Runtime
    ) -> None:
        self._runtime = runtime
        try:
            parsed = sqlalchemy.make_url(url)
            self.name = parsed.render_as_string(hide_password=True)
            self.engine = sqlalchemy.create_engine(
                parsed, **_arguments(parsed, lock_timeout)
            )
        except (exc.SQLAlchemyError, ImportError) as error:
            raise CatalogError(
                f"Glance's database cannot be used: {redact_text(str(error))}"
            ) from error
        if parsed.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _leave_begin_to_us)
            event.listen(self.engine, "begin", _begin)

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        self.engine.dispose()

    def locks(self, path: str | None) -> Locks:
        """Locks on images: by a file, or by what suits the database.

        Raises:
            CatalogError: there is no way known for such a database.
        """
        url = self.engine.url
        if path is None and url.get_backend_name() in SERVERS:
            return ServerLocks(self)
        if path is None and url.get_backend_name() == "sqlite":
            path = f"{url.database}.scrub-locks"
        if path is None:
            raise CatalogError(
                f"{self.name}: scrubbers cannot claim images by such a "
                "server; name a file for it, and scrub on one machine only"
            )
        return FileLocks(path)

    def connect_apart(self) -> Any:
        """A connection outside of transactions; the caller closes it.

        Raises:
            CatalogError: there is none.
        """
        try:
            return self.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        except exc.SQLAlchemyError as error:
            raise self._error("connect", error) from error

    def ask(
        self, connection: Any, text: str, values: Mapping[str, object]
    ) -> list[Any]:
        """The one row that a statement gives on such a connection, if any.

        Raises:
            CatalogError: it fails, or the connection is lost.
        """
        try:
            result = connection.execute(sqlalchemy.text(text), values)
            return list(result.one()) if result.returns_rows else []
        except exc.SQLAlchemyError as error:
            raise self._error("lock", error) from error

    def read(self, work: Callable[[Any], Any]) -> Any:
        """What ``work`` makes of a connection; it only reads.

        Raises:
            CatalogError: the database can't be read.
        """
        return self._transaction(work, "read", write=False)

    def write(self, work: Callable[[Any], Any]) -> Any:
        """The same in a transaction that writes.

        ``work`` may be called several times, each in a new transaction.

        Raises:
            CatalogError: the database can't be written. If it was lost in
                the end of the transaction, nobody knows what became of it.
        """
        return self._transaction(work, "write", write=True)

    def _transaction(
        self, work: Callable[[Any], Any], doing: str, *, write: bool
    ) -> Any:
        tries = 0
        while True:
            try:
                with self._begun(write=write) as connection:
                    return work(connection)
            except exc.DBAPIError as error:
                tries += 1
                if tries == _TRIES or not _is_worth_another(error):
                    raise self._error(doing, error) from error
            except exc.SQLAlchemyError as error:
                raise self._error(doing, error) from error
            self._runtime.sleep(
                self._runtime.random.uniform(0, _BACKOFF * 2**tries)
            )

    def _error(self, doing: str, error: Exception) -> CatalogError:
        # The whole text has the statement and its values.
        cause = getattr(error, "orig", None) or error
        return CatalogError(
            f"{self.name}: cannot {doing}: {redact_text(str(cause))}"
        )

    @contextlib.contextmanager
    def _begun(self, *, write: bool) -> Iterator[Any]:
        with self.engine.connect() as connection:
            connection = connection.execution_options(parallelops_write=write)
            with connection.begin():
                yield connection


def _arguments(url: Any, lock_timeout: float) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": lock_timeout}}
    # One for the thread that works with it, one for its locks. One that the
    # server has forgotten is seen when it is used, and opened anew. Each
    # transaction is ended here, so that the pool need not do it once more.
    return {
        "pool_size": 2,
        "pool_recycle": 3600,
        "pool_reset_on_return": None,
    }


def _leave_begin_to_us(connection: Any, _: object) -> None:
    # The driver would begin at the first write, and by then another process
    # may have written: there is no waiting for that one.
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    write = connection.get_execution_options().get("parallelops_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _is_worth_another(error: Any) -> bool:
    if error.connection_invalidated:
        return True  # The server was restarted; a new connection may work.
    arguments = getattr(error.orig, "args", ()) or (None,)
    codes = {arguments[0], getattr(error.orig, "pgcode", None)}
    return bool(codes & _AGAIN) or "database is locked" in str(error.orig)
