"""A driver of glance_store as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors import (
    ImageDataNotFound,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from parallelops.integrations.glance.drivers import Driver

__all__ = ["DriverStore"]

# glance_store's errors, by their names.
_MEANINGS: dict[str, type[StoreError]] = {
    "NotFound": ImageDataNotFound,
    "BadStoreUri": LocationRefused,
    "StoreDeleteNotSupported": LocationRefused,
    "UnknownScheme": LocationRefused,
    "UnsupportedBackend": LocationRefused,
    "RemoteServiceUnavailable": StoreUnavailable,
    "TimeoutError": StoreUnavailable,
}


class DriverStore:
    """Deletes by a driver of glance_store.

    What the driver says is not there counts as deleted.

    Args:
        driver: the driver.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __repr__(self) -> str:
        return f"DriverStore({self._driver.backend or self._driver.schemes})"

    def delete(self, url: str) -> None:
        """See :meth:`Store.delete`."""
        try:
            self._driver.delete(url)
        except Exception as error:
            meaning = _MEANINGS.get(type(error).__name__)
            if meaning is None:
                raise
            raise meaning(f"{type(error).__name__}: {error}") from error

    def sync(self) -> None:
        """See :meth:`Store.sync`; what such stores delete is deleted."""
