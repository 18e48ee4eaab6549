"""The status of an image, computed from those of its locations."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from parallelops.images.location import Location, LocationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["DERIVATION", "ImageStatus", "image_status"]


class ImageStatus(enum.StrEnum):
    """What is known of an image as a whole; the words are Glance's."""

    QUEUED = "queued"
    """It is announced, and has no data yet."""
    SAVING = "saving"
    """Its data is on its way, and is nowhere to be read."""
    ACTIVE = "active"
    """Its data can be read."""
    DEACTIVATED = "deactivated"
    """Its data is there, and an operator has shut it off."""
    KILLED = "killed"
    """Its upload failed; what is left of it is not to be read."""
    PENDING_DELETE = "pending_delete"
    """It is deleted for its users; its data waits to be."""
    DELETED = "deleted"
    """All of its data is gone."""


DERIVATION: Sequence[tuple[LocationStatus, ImageStatus]] = (
    (LocationStatus.ACTIVE, ImageStatus.ACTIVE),
    (LocationStatus.PENDING, ImageStatus.SAVING),
    (LocationStatus.PENDING_DELETE, ImageStatus.PENDING_DELETE),
    (LocationStatus.DELETED, ImageStatus.DELETED),
)
"""The first line whose status any location has says what the image is."""

# What says of an image without a location where data is would not be true.
_WITHOUT_DATA = frozenset(
    {
        ImageStatus.QUEUED,
        ImageStatus.KILLED,
        ImageStatus.PENDING_DELETE,
        ImageStatus.DELETED,
    }
)


def image_status(
    locations: Iterable[Location | LocationStatus],
    *,
    recorded: ImageStatus | None = None,
) -> ImageStatus | None:
    """The status of an image with these locations, in any order.

    The locations alone say ``active``, ``saving``, ``pending_delete`` or
    ``deleted``, by :data:`DERIVATION`. Three things they cannot say, so that
    somebody has to record them:

    - ``killed``: its data looks like that of an image which was deleted, or
      is being saved. What is recorded as killed stays so.
    - ``deactivated``: its data looks like that of an active image. What is
      recorded so stays so for as long as it would be active otherwise.
    - ``queued``: an image without any location may as well be deleted.

    Args:
        locations: all locations of the image, or their statuses.
        recorded: what somebody recorded of the image; None if nobody did.

    Returns:
        The status; None when it cannot be derived: there is no location,
        and nothing is recorded, or something that needs data to be true.

    Raises:
        ValueError: one of the statuses is none.
    """
    if recorded is not None:
        recorded = ImageStatus(recorded)  # it may be the word, from a row
    found = {
        each.status if isinstance(each, Location) else LocationStatus(each)
        for each in locations
    }
    if recorded is ImageStatus.KILLED:
        return recorded
    for status, derived in DERIVATION:
        if status in found:
            shut_off = recorded is ImageStatus.DEACTIVATED
            if derived is ImageStatus.ACTIVE and shut_off:
                return recorded
            return derived
    return recorded if recorded in _WITHOUT_DATA else None
