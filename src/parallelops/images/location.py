"""Where the data of an image is, and what may become of it."""

from __future__ import annotations

import dataclasses
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from parallelops.errors import IllegalTransition
from parallelops.images.entry import StaticMetrics
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRANSITIONS", "Location", "LocationStatus", "check_transition"]


class LocationStatus(enum.StrEnum):
    """What is known of the data at a location."""

    PENDING = "pending"
    """It is on its way there, and not to be read yet."""
    ACTIVE = "active"
    """It is there, and may be read."""
    PENDING_DELETE = "pending_delete"
    """It is not to be read any more, and waits to be deleted."""
    DELETED = "deleted"
    """It is gone."""


TRANSITIONS: Mapping[LocationStatus, frozenset[LocationStatus]] = (
    MappingProxyType(
        {
            LocationStatus.PENDING: frozenset(
                {LocationStatus.ACTIVE, LocationStatus.PENDING_DELETE}
            ),
            LocationStatus.ACTIVE: frozenset({LocationStatus.PENDING_DELETE}),
            # Back to active is a restore.
            LocationStatus.PENDING_DELETE: frozenset(
                {LocationStatus.ACTIVE, LocationStatus.DELETED}
            ),
            LocationStatus.DELETED: frozenset(),
        }
    )
)
"""The statuses that each status may change to. Data is deleted only after
it was marked ``pending_delete``, so that no row says less than is true."""


def check_transition(old: LocationStatus, new: LocationStatus) -> None:
    """Raise unless a location may go from ``old`` to ``new``.

    Raises:
        IllegalTransition: it may not; to stay as it is is no transition.
    """
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(old, new)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One place that the data of an image is at.

    Its text hides the secrets in the URL; the attribute has them.

    Attributes:
        id: the catalogue's number for it, never used again.
        image_id: the image.
        url: where the data is, in the words of its store.
        store: the name of the store; None if that was not recorded.
        status: what is known of the data.
        deleted_at: when it went to ``pending_delete``, in seconds since the
            epoch; None if it never did.
        parkings: how many times it was parked, since its store would not
            delete it.
        metrics: what an operator says of it, for those who read from it.
    """

    id: int
    image_id: str
    url: str
    store: str | None = None
    status: LocationStatus = LocationStatus.ACTIVE
    deleted_at: float | None = None
    parkings: int = 0
    metrics: StaticMetrics = dataclasses.field(default_factory=StaticMetrics)

    def __repr__(self) -> str:
        return (
            f"Location(id={self.id}, image_id={self.image_id!r}, "
            f"url={redact_url(self.url)!r}, store={self.store!r}, "
            f"status={self.status.value!r}, deleted_at={self.deleted_at})"
        )
