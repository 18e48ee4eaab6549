"""The stores of a scrubber, and how each is to be treated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from parallelops.errors import StoreError
from parallelops.images.policy import StorePolicy

if TYPE_CHECKING:
    from parallelops.images.location import Location
    from parallelops.images.store import Store

__all__ = ["Stores"]


class Stores:
    """Finds the store of a location.

    Args:
        stores: one store for all locations, whatever they say, or stores by
            the names that locations have.
        policies: one for all stores, or by name; a store without one has
            the default.
    """

    def __init__(
        self,
        stores: Store | Mapping[str, Store],
        policies: StorePolicy | Mapping[str, StorePolicy] | None = None,
    ) -> None:
        self._stores = stores
        self._policies = policies
        if isinstance(policies, Mapping):
            known = stores if isinstance(stores, Mapping) else {}
            for name in policies:
                if name not in known:
                    raise ValueError(
                        f"there is a policy for a store {name!r}, and no "
                        "such store"
                    )

    def __len__(self) -> int:
        return len(self._stores) if isinstance(self._stores, Mapping) else 1

    def key(self, location: Location) -> str | None:
        """What tells the store of ``location`` from others."""
        return location.store if isinstance(self._stores, Mapping) else None

    def of(self, location: Location) -> Store:
        """The store of ``location``.

        Raises:
            StoreError: there is none of that name.
        """
        if not isinstance(self._stores, Mapping):
            return self._stores
        name = location.store
        known = ", ".join(map(repr, self._stores)) or "none"
        if name is None:
            raise StoreError(
                "the catalogue does not say which store it is in; known: "
                f"{known}"
            )
        if name not in self._stores:
            raise StoreError(f"no store called {name!r}; known: {known}")
        return self._stores[name]

    def policy(self, key: str | None) -> StorePolicy:
        """How the store of that key is to be treated."""
        if isinstance(self._policies, Mapping):
            return self._policies.get(key or "") or StorePolicy()
        return self._policies or StorePolicy()
