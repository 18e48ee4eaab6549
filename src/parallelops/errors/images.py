"""Errors of catalogues, stores, locations and fetching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors.root import ParallelopsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ArchiveRefused",
    "CatalogError",
    "DataMismatch",
    "DestinationBusy",
    "DestinationError",
    "FetchCancelled",
    "FetchError",
    "GroupFailed",
    "IllegalTransition",
    "ImageDataNotFound",
    "InvalidEntry",
    "LocationBlocked",
    "LocationRefused",
    "NoLocationWorked",
    "NotInCatalog",
    "RestoreRefused",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "TransferError",
]


class IllegalTransition(ParallelopsError, ValueError):
    """A location or image was asked for a status that it cannot reach.

    Attributes:
        old: the status it has.
        new: the status that was asked for.
    """

    def __init__(self, old: str, new: str, what: str = "a location") -> None:
        super().__init__(f"{what} cannot go from {old} to {new}")
        self.old = old
        self.new = new


class CatalogError(ParallelopsError):
    """A catalogue cannot be read or written, or is not a catalogue."""


class NotInCatalog(CatalogError, LookupError):
    """The catalogue has no such image or location."""


class RestoreRefused(CatalogError):
    """An image can't be restored: its data may be gone, or will be.

    Attributes:
        image_id: the image.
    """

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f"image {image_id!r} cannot be restored: {reason}")
        self.image_id = image_id


class StoreError(ParallelopsError):
    """A store could not do what it was asked. The data may still be there."""


class ImageDataNotFound(StoreError):
    """The store is there and answers that the data is not."""


class LocationBlocked(StoreError):
    """The data may not be deleted now: somebody uses it, or forbids it."""


class LocationRefused(StoreError):
    """The store will not touch such a location, now or later."""


class StoreUnavailable(StoreError):
    """The store cannot be reached: nothing it says is to be believed."""


class StoreBusy(StoreError):
    """The store asks to be called less often. It did nothing.

    Attributes:
        retry_after: the seconds that it asks to wait; None if it does not
            say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidEntry(ParallelopsError, ValueError):
    """The entry of a location, or its metrics, cannot be what it is.

    Attributes:
        field: the field, as "metrics.node-weights"; a value is never in it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"location entry, {field}: {reason}")
        self.field = field


class FetchError(ParallelopsError):
    """An image, or its data at one location, could not be fetched."""


class TransferError(FetchError):
    """A location did not give its data, or not all of it."""


class DataMismatch(FetchError):
    """The data is not what was asked for.

    Attributes:
        what: "size" or "digest".
        expected: what was asked for.
        actual: what came.
    """

    def __init__(
        self, what: str, expected: str, actual: str, of: str = "the data"
    ) -> None:
        super().__init__(f"the {what} of {of} is {actual}, not {expected}")
        self.what = what
        self.expected = expected
        self.actual = actual


class ArchiveRefused(FetchError):
    """A package is hostile, damaged or of a kind that is not taken.

    Attributes:
        member: the file in it that is at fault; empty for the package.
        reason: what is wrong.
    """

    def __init__(self, reason: str, member: str = "") -> None:
        where = f"{member!r} in the package" if member else "the package"
        super().__init__(f"{where} is refused: {reason}")
        self.member = member
        self.reason = reason


class DestinationError(FetchError):
    """The place where data is to go does not take it.

    Attributes:
        path: that place.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot write {path}: {reason}")
        self.path = path


class DestinationBusy(DestinationError):
    """Somebody else is making the same file, or shares what was made."""


class FetchCancelled(FetchError):
    """Somebody called the fetch off. Nothing is left of it."""


class NoLocationWorked(FetchError):
    """No location of an image gave its data.

    Attributes:
        reasons: why each attempt failed, in words without secrets; or, if
            none was made, why not.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "no location gave the data: "
            + ("; ".join(reasons) or "there is none")
        )
        self.reasons = tuple(reasons)


class GroupFailed(FetchError):
    """A group of images was not fetched, and nothing of it is there.

    Attributes:
        failures: why, by the name of the image.
    """

    def __init__(self, failures: Mapping[str, BaseException]) -> None:
        super().__init__(
            "nothing of the group was kept: "
            + "; ".join(f"{name}: {why}" for name, why in failures.items())
        )
        self.failures = dict(failures)
