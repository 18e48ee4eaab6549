"""Glance's stores, as its configuration has them."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from parallelops.errors import (
    ConfigError,
    LocationRefused,
    MissingDependency,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import FileStore, StorePolicy
from parallelops.images.fileurl import file_path
from parallelops.integrations.glance.driver import DriverStore
from parallelops.integrations.glance.urls import UNDECRYPTABLE, UNPLACED
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from oslo_config import cfg

    from parallelops.images import Location, Store
    from parallelops.runtime import Runtime

__all__ = ["FileStores", "GlanceStores"]

_FILE_SCHEMES = frozenset({"file", "filesystem"})


class GlanceStores:
    """The stores that a Glance configuration names, and which has what.

    Those of files are :class:`~parallelops.images.FileStore`: of a file that
    is not there, glance_store can't tell a deleted one from a store that is
    not mounted. The others are glance_store's drivers.

    With ``enabled_backends`` the names are Glance's. Without, they are those
    of the drivers: ``file``, ``swift``, ``rbd``.

    Args:
        conf: from :func:`parallelops.config.glance.read`. glance_store's
            options are registered with it.
        runtime: where locks come from; by default from ``threading``.

    Attributes:
        by_name: the stores.
        sample: gives locations of the store of a name, whose data must be
            there; set it to :meth:`GlanceCatalog.sample`. By default there
            are none, and stores need not show that they are there.

    Raises:
        ConfigError: glance_store can't make a store of what is set.
        MissingDependency: glance_store is not installed.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, *, runtime: Runtime | None = None
    ) -> None:
        try:
            from parallelops.integrations.glance import drivers
        except ImportError as error:
            raise MissingDependency(
                "Glance's stores", "glance_store", "glance"
            ) from error
        self.sample: Callable[[str], Iterable[Location]] = lambda _: ()
        self._multiple = bool(conf.enabled_backends)
        self._default: str | None = None
        self.by_name: dict[str, Store] = {}
        # The names of those that take URLs of a scheme.
        self._schemes: dict[str, list[str]] = {}
        self._files: dict[str, FileStores] = {}
        loaded = drivers.load(conf)
        for name, driver in loaded.items():
            store: Store
            if _FILE_SCHEMES & set(driver.schemes):
                store = FileStores(driver.folders, runtime=runtime)
                self._files[name] = store
            else:
                store = DriverStore(
                    driver, name, lambda name: self.sample(name)
                )
            self.by_name[name] = store
            for scheme in driver.schemes:
                self._schemes.setdefault(scheme, []).append(name)
        if self._multiple:
            self._default = conf.glance_store.default_backend
            for name in conf.enabled_backends:
                if name not in self.by_name:
                    raise ConfigError(
                        "[DEFAULT] enabled_backends",
                        f"glance_store cannot use the store {name!r}; its "
                        "log says why",
                    )
        self.by_name[UNDECRYPTABLE] = _NoStore(
            "its URL cannot be decrypted; is metadata_encryption_key the one "
            "it was encrypted with?"
        )
        self.by_name[UNPLACED] = _NoStore(
            "its metadata names no store, and no store of the configuration "
            "can be told to be the one"
        )

    def policies(
        self, policies: Mapping[str, StorePolicy] | None = None
    ) -> dict[str, StorePolicy]:
        """How a scrubber is to treat each store: those that are no folders
        are shared.

        Args:
            policies: what else is to be so, by the names of stores.
        """
        found = {name: StorePolicy() for name in self.by_name}
        found |= policies or {}
        for name, store in self.by_name.items():
            if isinstance(store, DriverStore):
                found[name] = dataclasses.replace(found[name], shared=True)
        return found

    def of(self, url: str, metadata: Mapping[str, Any]) -> str:
        """The name of the store that has what is at ``url``.

        In a Glance with several stores the metadata says it. A location
        that is older than that has no such metadata: a file is in the store
        whose folder it is in; another is in the one store that takes such
        URLs, or in the default one if several do.
        """
        named = metadata.get("store")
        if self._multiple and isinstance(named, str) and named:
            return named
        scheme = url.partition(":")[0]
        names = self._schemes.get(scheme, [])
        if scheme in _FILE_SCHEMES and len(names) > 1:
            path = PurePosixPath(urlsplit(url).path)
            holding = [n for n in names if self._files[n].covers(path)]
            return holding[0] if len(holding) == 1 else UNPLACED
        if len(names) == 1:
            return names[0]
        if self._default in names:
            return str(self._default)
        return UNPLACED

    def is_there(self, location: Location) -> bool:
        """Is the data at a location there?

        Raises:
            StoreError: its store can't be asked.
        """
        store = self.by_name.get(location.store or "")
        if not isinstance(store, (DriverStore, FileStores)):
            return False
        try:
            return store.has(location.url)
        except Exception as error:
            raise StoreError(
                f"cannot look whether the data of image {location.image_id} "
                f"is there: {redact_text(str(error))}"
            ) from error


class FileStores:
    """The folders of one store of files.

    Args:
        folders: where its files are.
        runtime: where locks come from; by default from ``threading``.
    """

    def __init__(
        self, folders: Sequence[str], *, runtime: Runtime | None = None
    ) -> None:
        self._stores = [
            FileStore(folder, runtime=runtime) for folder in folders
        ]

    def __repr__(self) -> str:
        return f"FileStores({[str(store.root) for store in self._stores]})"

    def covers(self, path: PurePosixPath) -> bool:
        """Is ``path`` in one of the folders, as it is written?"""
        return any(path.is_relative_to(store.root) for store in self._stores)

    def has(self, url: str) -> bool:
        """Is the file there?"""
        path = file_path(_plain(url))
        return self.covers(path) and Path(path).is_file()

    def probe(self) -> None:
        """Return if one of the folders is there.

        A file that is not there was looked for in its own folder, which
        showed that it is.

        Raises:
            StoreUnavailable: none can show that.
        """
        error: StoreUnavailable | None = None
        for store in self._stores:
            try:
                store.probe()
            except StoreUnavailable as raised:
                error = raised
            else:
                return
        raise error or StoreUnavailable("the store has no folder")

    def delete(self, url: str) -> None:
        """See :meth:`Store.delete`."""
        url = _plain(url)
        refused: LocationRefused | None = None
        for store in self._stores:
            try:
                store.delete(url)
            except LocationRefused as error:
                refused = error  # it may be in another folder
            else:
                return
        raise refused or LocationRefused("the store has no folder")

    def sync(self) -> None:
        """See :meth:`Store.sync`."""
        for store in self._stores:
            store.sync()


def _plain(url: str) -> str:
    """The URL without Glance's second name for the scheme."""
    scheme, colon, rest = url.partition(":")
    return f"file{colon}{rest}" if scheme == "filesystem" else url


class _NoStore:
    """Has the locations that no store has, to say why."""

    def __init__(self, why: str) -> None:
        self._why = why

    def delete(self, url: str) -> None:
        raise LocationRefused(self._why)

    def sync(self) -> None:
        pass
