"""How a store is to be treated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from parallelops.images.classify import Classify, classify

if TYPE_CHECKING:
    from parallelops.ratelimit import AdaptiveLimiter, RateLimiter

__all__ = ["DAY", "StorePolicy"]

DAY = 86_400.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StorePolicy:
    """How a scrubber treats a store.

    Attributes:
        limiter: how fast deletes may follow one another. One that several
            stores have is theirs together.
        shared: whether others call the store as well, over a network: it is
            likely to have a limit. Without a limiter its rate is sought from
            the first delete on, and not when it first refuses one.
        max_in_flight: deletes at once; None is as many as there are
            workers.
        delete_timeout: seconds that one delete may take; None is what the
            scrubber says.
        classify: what an error of the store means.
        probe: called to see whether the store is there, and raises if not;
            None asks the store's own ``probe``, if it has one.
        attempts: how often a delete is tried in one run, until it counts as
            failed.
        backoff: seconds; before the n-th try it waits a random part of
            ``backoff * 2**n``.
        patience: seconds for which a location is tried again when the store
            says that it is busy.
        parking: seconds until a delete that the store does not do, is tried
            again; twice as many each time, up to a day.

    Raises:
        ValueError: one of them can't work.
    """

    limiter: RateLimiter | AdaptiveLimiter | None = None
    shared: bool = False
    max_in_flight: int | None = None
    delete_timeout: float | None = None
    classify: Classify = classify
    probe: Callable[[], object] | None = None
    attempts: int = 3
    backoff: float = 0.5
    patience: float = 600.0
    parking: float = 600.0

    def __post_init__(self) -> None:
        for name in ("max_in_flight", "attempts"):
            number = getattr(self, name)
            if number is not None and (type(number) is not int or number < 1):
                raise ValueError(
                    f"{name} must be a whole number above 0, not {number!r}"
                )
        for name in ("delete_timeout", "backoff", "patience", "parking"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 < seconds < math.inf:
                raise ValueError(
                    f"{name} must be seconds above 0, not {seconds!r}"
                )
