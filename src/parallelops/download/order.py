"""Which pieces are asked of others first, for who reads while they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelops.download.member import MemberView
    from parallelops.runtime import Runtime

__all__ = ["Order"]

# With more than so many who have all of it for each other one who wants it,
# for so many seconds, nobody needs what the others want to have first.
_SERVED, _SERVED_FOR = 2, 0.5


class Order:
    """The first pieces first, or the rarest.

    Those who take the same pieces first have nothing to give each other. So
    it takes enough who have all of it; and a moment, in which those who want
    it are found.

    Args:
        runtime: where the clock comes from.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._unserved = runtime.monotonic()

    def look(self, view: MemberView) -> bool:
        """Whether the first pieces may come first, as the swarm is now."""
        now = self._runtime.monotonic()
        complete = sum(peer.complete for peer in view.peers)
        if complete <= _SERVED * (len(view.peers) - complete):
            self._unserved = now
        return now - self._unserved >= _SERVED_FOR
