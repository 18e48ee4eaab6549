"""One call that an adaptive limiter lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from parallelops.ratelimit.adaptive import AdaptiveLimiter
    from parallelops.ratelimit.bucket import Reservation

__all__ = ["Call"]


class Call:
    """One call that an adaptive limiter lets through, and what came of it.

    As a context manager it is accepted at the end of the block, unless
    something else was said before, or an error came out of the block, which
    says nothing about the rate.

    Attributes:
        place: its place in the line.
        epoch: that in which it was let through; None before.
        ended: what came of it was said.
    """

    __slots__ = ("_limiter", "ended", "epoch", "place")

    def __init__(self, limiter: AdaptiveLimiter, place: Reservation) -> None:
        self._limiter = limiter
        self.place = place
        self.epoch: int | None = None
        self.ended = False

    def claim(self) -> float:
        """Pass, if its time has come.

        Returns:
            0 if it was let through, which it is once. Otherwise the seconds
            after which to ask again.

        Raises:
            RuntimeError: it was let through before, or has ended.
        """
        return self._limiter.claim(self)

    def accepted(self) -> None:
        """It has ended, and the store did not say "slow down"."""
        self._limiter.end(self, "accepted")

    def throttled(self, retry_after: float | None = None) -> None:
        """It has ended: the store said "slow down".

        Args:
            retry_after: the seconds that the store asks to wait; None, or
                0, if it does not say.
        """
        self._limiter.end(self, "throttled", retry_after)

    def cancel(self) -> None:
        """It has ended in a way that tells nothing of the rate, or will not
        be made."""
        self._limiter.end(self, "other")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.accepted()
        else:
            self.cancel()
