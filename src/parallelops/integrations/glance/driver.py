"""A driver of glance_store as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors import StoreUnavailable
from parallelops.images import Kind, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.images import Location
    from parallelops.integrations.glance.drivers import Driver

__all__ = ["DriverStore"]


class DriverStore:
    """Deletes by a driver of glance_store, and raises what that raises.

    What it means, :func:`~parallelops.images.classify` tells.

    Args:
        driver: the driver.
        name: of the store.
        sample: gives locations of the store whose data must be there, by
            which it can show that it is there itself.
    """

    def __init__(
        self,
        driver: Driver,
        name: str,
        sample: Callable[[str], Iterable[Location]],
    ) -> None:
        self._driver = driver
        self._name = name
        self._sample = sample

    def __repr__(self) -> str:
        return f"DriverStore({self._name!r})"

    def delete(self, url: str) -> None:
        """See :meth:`Store.delete`."""
        self._driver.delete(url)

    def sync(self) -> None:
        """See :meth:`Store.sync`; what such stores delete is deleted."""

    def has(self, url: str) -> bool:
        """Is the data there? Other errors come out as they are."""
        try:
            self._driver.size(url)
        except Exception as error:
            if classify(error).kind == Kind.GONE:
                return False
            raise
        return True

    def probe(self) -> None:
        """Return if an active image is found in it, or it has none.

        A server that answers "not found" is there; this tells whether it is
        the one that has Glance's images.

        Raises:
            StoreUnavailable: active images are not there either.
        """
        active = list(self._sample(self._name))
        if active and not any(self.has(each.url) for each in active):
            raise StoreUnavailable(
                f"the store {self._name} does not have images that are "
                f"active, such as {active[0].image_id}: is it the right one?"
            )
