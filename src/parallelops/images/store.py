"""Stores: what holds the data of images, and deletes it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Store"]


class Store(Protocol):
    """What a scrubber needs of a store; called from several threads.

    A store may have ``probe()`` as well, which returns if the store is there
    and raises if not. When much is said not to be there, the scrubber asks.
    """

    def delete(self, url: str) -> None:
        """Delete the data at ``url``.

        Once more is no harm: a delete may be repeated when nobody knows
        what became of it.

        Raises:
            ImageDataNotFound: the store is there, and the data is not.
                Never raise it for a store that can't be asked: it counts
                as deleted.
            LocationBlocked: somebody uses the data, or forbids the delete.
            LocationRefused: the store never touches such a location.
            StoreBusy: it wants to be called less often.
            StoreUnavailable: the store can't be asked.
            StoreError: it failed otherwise; the data may still be there.
        """

    def sync(self) -> None:
        """Return when all that was deleted, or seen not to be there,
        before this call stays so even after a power cut.

        A store whose deletes are durable by themselves does nothing.

        Raises:
            StoreError: that is not known.
        """
