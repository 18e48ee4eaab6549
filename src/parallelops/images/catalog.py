"""The catalogue: which images there are, and where their data is."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from parallelops.images.location import Location, LocationStatus

__all__ = ["Backlog", "Catalog", "Claimed", "DueImage", "Settled"]


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
        token: that of the claim on it, more than that of any earlier one;
            0 when nobody claimed it.
    """

    id: str
    since: float
    locations: tuple[Location, ...]
    token: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Claimed:
    """What :meth:`Catalog.claim` did.

    Attributes:
        images: those that are the caller's now, as they are now.
        refused: ids of those that somebody else has, or that are not due
            any more.
    """

    images: tuple[DueImage, ...]
    refused: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """What :meth:`Catalog.settle` found and did.

    Attributes:
        locations: ids of those that it marked deleted.
        images: ids of the images that it marked deleted.
        refused: the status of those that it left alone, by id, since they
            were not ``pending_delete`` any more; None for one that is not
            in the catalogue.
        lost: ids of the images whose claim is somebody else's by now.
            Nothing was written of them.
    """

    locations: frozenset[int]
    images: frozenset[str]
    refused: Mapping[int, LocationStatus | None]
    lost: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be scrubbed.

    Attributes:
        images: how many are due, and nobody's.
        oldest: when the first of them went to ``pending_delete``, in
            seconds since the epoch; None if there is none.
        parked: locations that would be due, were they not parked.
    """

    images: int
    oldest: float | None = None
    parked: int = 0


class Catalog(Protocol):
    """What a scrubber needs of a catalogue.

    Only one thread of a scrubber calls it. Several processes may work on
    the same catalogue: each claims what it works on, and every write is
    conditional on the claim and on what it expects to find. What goes wrong
    is a :class:`~parallelops.errors.CatalogError`. Times are in seconds
    since the epoch, and the caller's.
    """

    def due(
        self,
        before: float,
        after: DueImage | None,
        limit: int,
        *,
        now: float = math.inf,
    ) -> Sequence[DueImage]:
        """The next page of images with data to delete, oldest first.

        With the same ``before``, and each page after the last image of the
        one before, no image comes twice, whatever is settled in between.

        Args:
            before: only locations that went to ``pending_delete`` then or
                earlier.
            after: the last image of the page before; None for the first.
            limit: images in a page, at the most. None at all is the end.
            now: leave out what is parked, or somebody's, for longer than
                that. By default nothing is.
        """

    def backlog(self, before: float, *, now: float = math.inf) -> Backlog:
        """How much :meth:`due` would list."""

    def claim(
        self,
        images: Iterable[DueImage],
        limit: int,
        *,
        before: float,
        now: float,
        until: float,
    ) -> Claimed:
        """Make some of ``images`` the caller's, in one transaction.

        An image that somebody else has claimed, and neither released nor
        renewed in time, is taken over. Then nobody knows what that one has
        deleted or still will: its locations are doubtful from now on, so
        that they are never restored.

        Args:
            images: those wanted, the most wanted first.
            limit: how many to claim, at the most; the rest is not looked at.
            before: as for :meth:`due`.
            now: the time.
            until: the end of the lease.
        """

    def renew(
        self, images: Iterable[DueImage], until: float
    ) -> frozenset[str]:
        """Put off the end of the lease of claimed images.

        Returns:
            Ids of those whose claim is somebody else's by now.
        """

    def settle(
        self,
        images: Iterable[DueImage],
        *,
        release: Collection[str] = (),
        doubtful: Collection[int] = (),
        parked: Mapping[int, float] | None = None,
    ) -> Settled:
        """Record what became of claimed images, in one transaction.

        The locations that ``images`` have here are marked deleted: their
        data is gone, for good. Only rows that are ``pending_delete`` are
        changed, and only of images whose claim has the token given. In the
        same transaction an image that is ``pending_delete`` and whose
        locations are all deleted becomes deleted. When this returns it
        survives a power cut.

        Args:
            images: with those of their locations that are deleted, which
                may be none.
            release: ids of those of ``images`` to be nobody's again.
            doubtful: ids of other locations of theirs, whose data may be
                gone or not.
            parked: ids of other locations of theirs, with the time before
                which they are not due.
        """
