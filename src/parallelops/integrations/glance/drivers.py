"""glance_store's drivers, made as it makes them.

Its own functions for it look into the global configuration. The drivers
themselves take the one that they are given.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import glance_store
from glance_store import capabilities, location

from parallelops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oslo_config import cfg

__all__ = ["Driver", "load"]


@dataclasses.dataclass(frozen=True, slots=True)
class Driver:
    """A driver of one store.

    Attributes:
        instance: the driver.
        schemes: of the URLs that it takes.
        folders: where its files are, if it is a store of files.
        backend: its name in ``enabled_backends``; None if there is none.
        tokens: of a Swift: the URL and the token of each who signed in.
    """

    instance: Any
    schemes: tuple[str, ...]
    folders: tuple[str, ...] = ()
    backend: str | None = None
    tokens: dict[Any, tuple[Any, Any]] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def delete(self, url: str) -> None:
        """Delete what is at ``url``; it raises what the driver raises."""
        store = self._ready()
        where = self._where(store, url)
        if not self._is_swift:
            store.delete(where, context=None)
            return
        with self._swift_connection(store, where) as connection:
            store.delete(where, connection=connection, context=None)

    def size(self, url: str) -> int:
        """How many bytes are at ``url``; it raises what the driver raises."""
        store = self._ready()
        where = self._where(store, url)
        if not self._is_swift:
            return int(store.get_size(where, context=None))
        # This driver would say 0, whatever goes wrong.
        with self._swift_connection(store, where) as connection:
            place = where.store_location
            headers = connection.head_object(place.container, place.obj)
            return int(headers["content-length"])

    @property
    def _is_swift(self) -> bool:
        return "swift" in self.schemes

    @contextlib.contextmanager
    def _swift_connection(self, store: Any, where: Any) -> Iterator[Any]:
        """A connection of Swift's client that does not try again by itself,
        and goes on with the token of an earlier one.

        It would hold its worker for up to a minute, and hide that Swift says
        "slow down". Only when a token is not taken any more it signs in anew.
        """
        made = store.get_connection(where.store_location, context=None)
        made.retries = made.starting_backoff = 0
        # A place says who signs in where; what it has else is the driver's.
        who = made.authurl, made.user, made.key, repr(made.os_options)
        made.url, made.token = self.tokens.get(who, (made.url, made.token))
        with contextlib.closing(made):
            try:
                yield made
            finally:
                # After a refusal it has none.
                self.tokens[who] = made.url, made.token

    def _ready(self) -> Any:
        store = self.instance
        if not store.is_capable(capabilities.BitMasks.DRIVER_REUSABLE):
            # It keeps the state of a call, so that each has one of its own.
            store = type(store)(store.conf, backend=self.backend)
            store.configure()
        return store

    def _where(self, store: Any, url: str) -> Any:
        if self.backend is None:
            return location.get_location_from_uri(url, conf=store.conf)
        return location.get_location_from_uri_and_backend(
            url, self.backend, conf=store.conf
        )


def load(conf: cfg.ConfigOpts) -> dict[str, Driver]:
    """The drivers of the stores that ``conf`` names, configured.

    Args:
        conf: with ``enabled_backends``; the other options are registered.

    Raises:
        ConfigError: glance_store can't.
    """
    try:
        if conf.enabled_backends:
            return _several(conf)
        return _one_of_each(conf)
    except glance_store.exceptions.GlanceStoreException as error:
        raise ConfigError("[glance_store]", str(error)) from error


def _several(conf: cfg.ConfigOpts) -> dict[str, Driver]:
    glance_store.register_store_opts(conf)
    glance_store.create_multi_stores(conf)
    found: dict[str, Driver] = {}
    for name in conf.enabled_backends:
        known = {
            scheme: backends[name]["store"]
            for scheme, backends in location.SCHEME_TO_CLS_BACKEND_MAP.items()
            if name in backends and backends[name]["store"].conf is conf
        }
        if known:
            instance = next(iter(known.values()))
            found[name] = Driver(
                instance, tuple(known), _folders(conf[name]), name
            )
    return found


def _one_of_each(conf: cfg.ConfigOpts) -> dict[str, Driver]:
    glance_store.register_opts(conf)
    glance_store.create_stores(conf)
    found: dict[str, Driver] = {}
    entries: dict[str, dict[str, Any]] = {}
    for scheme, known in location.SCHEME_TO_CLS_MAP.items():
        if known["store"].conf is conf:
            entries.setdefault(known["store_entry"], {})[scheme] = known
    for name, schemes in entries.items():
        instance = next(iter(schemes.values()))["store"]
        found[name] = Driver(
            instance, tuple(schemes), _folders(conf.glance_store)
        )
    return found


def _folders(options: Any) -> tuple[str, ...]:
    """The folders that a group of options has; each may have a priority."""
    if "filesystem_store_datadir" not in options:
        return ()
    several = options.filesystem_store_datadirs or ()
    folders = [folder.partition(":")[0] for folder in several]
    if options.filesystem_store_datadir and not folders:
        folders = [options.filesystem_store_datadir]
    return tuple(folder.strip() for folder in folders)
