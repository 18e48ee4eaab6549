"""Limits that nobody set: stores turned out to have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelops.images.keptfile import KeptFile
from parallelops.ratelimit import AdaptiveLimiter, LimiterState

if TYPE_CHECKING:
    import os

    from parallelops.runtime import Runtime

__all__ = ["Limits"]

_VERSION = 1
_EVERY = 5.0  # seconds


class Limits:
    """Limiters of the stores that said they are busy, or are likely to, and
    have none of their own. Only one thread uses it.

    Args:
        runtime: where their clocks and chance come from.
        path: a file for what they have learned; it is read at once. See
            :class:`KeptFile` for what can go wrong. None keeps nothing.
    """

    def __init__(
        self, runtime: Runtime, path: str | os.PathLike[str] | None = None
    ) -> None:
        self._runtime = runtime
        self._file = (
            None
            if path is None
            else KeptFile(path, "what was learned of the limits of stores")
        )
        self._kept_at = runtime.monotonic()
        states = self._file.read(_parsed) if self._file else None
        self._limiters: dict[str | None, AdaptiveLimiter] = {
            store: AdaptiveLimiter(state=state, runtime=runtime)
            for store, state in (states or {}).items()
        }

    def get(self, store: str | None) -> AdaptiveLimiter | None:
        """That of a store, if there is one."""
        return self._limiters.get(store)

    def make(self, store: str | None) -> AdaptiveLimiter:
        """One for a store that has just said so, or is likely to."""
        limiter = AdaptiveLimiter(runtime=self._runtime)
        self._limiters[store] = limiter
        return limiter

    def keep_now_and_then(self) -> None:
        """Write what was learned so far, for those that come after a crash,
        if that was some seconds ago."""
        if self._runtime.monotonic() - self._kept_at >= _EVERY:
            self.keep()

    def keep(self) -> None:
        """Write what was learned to the file."""
        if self._file is None or not self._limiters:
            return
        self._kept_at = self._runtime.monotonic()
        learned = [
            [store, limiter.state.rate, limiter.state.found]
            for store, limiter in self._limiters.items()
        ]
        self._file.write({"version": _VERSION, "stores": learned})


def _parsed(content: Any) -> dict[str | None, LimiterState]:
    if content["version"] != _VERSION:
        raise ValueError("another version")
    found = {}
    for store, rate, has_found in content["stores"]:
        if not isinstance(store, str | None) or type(has_found) is not bool:
            raise TypeError("no store and what was found of it")
        state = LimiterState(rate, has_found)
        AdaptiveLimiter(state=state)  # it refuses what is no rate
        found[store] = state
    return found
