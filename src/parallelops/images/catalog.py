"""The catalogue: which images there are, and where their data is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelops.images.location import Location, LocationStatus

__all__ = ["Catalog", "DueImage", "Settled"]


@dataclasses.dataclass(frozen=True, slots=True)
class DueImage:
    """An image with data that is due to be deleted.

    Attributes:
        id: the image.
        since: when the first of its locations that still wait went to
            ``pending_delete``, in seconds since the epoch. Images come in
            this order, and ``(since, id)`` is where a page ends.
        locations: those that are due. None are, if somebody deleted them
            all and did not get to the image itself.
    """

    id: str
    since: float
    locations: tuple[Location, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """What :meth:`Catalog.settle` found and did.

    Attributes:
        locations: ids of those that it marked deleted.
        images: ids of the images that it marked deleted.
        refused: the status of those that it left alone, by id, since they
            were not ``pending_delete`` any more; None for one that is not
            in the catalogue.
    """

    locations: frozenset[int]
    images: frozenset[str]
    refused: Mapping[int, LocationStatus | None]


class Catalog(Protocol):
    """What a scrubber needs of a catalogue.

    Only one thread of a scrubber calls it. Several processes may work on
    the same catalogue: every write is conditional on what it expects to
    find. What goes wrong is a :class:`~parallelops.errors.CatalogError`.
    """

    def due(
        self, before: float, after: DueImage | None, limit: int
    ) -> Sequence[DueImage]:
        """The next page of images with data to delete, oldest first.

        With the same ``before``, and each page after the last image of the
        one before, no image comes twice, whatever is settled in between.

        Args:
            before: seconds since the epoch: only locations that went to
                ``pending_delete`` then or earlier.
            after: the last image of the page before; None for the first.
            limit: images in a page, at the most. None at all is the end.
        """

    def count_due(self, before: float) -> int:
        """How many images :meth:`due` would list; for progress bars."""

    def settle(self, images: Iterable[DueImage]) -> Settled:
        """Mark the locations of ``images`` deleted, in one transaction.

        Their data is gone, for good. Only rows that are ``pending_delete``
        are changed. In the same transaction an image that is
        ``pending_delete`` and whose locations are all deleted becomes
        deleted. When this returns it survives a power cut.
        """
