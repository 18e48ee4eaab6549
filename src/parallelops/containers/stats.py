"""What container operations count."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from parallelops.containers.live import Live
    from parallelops.keyed import KeyedStats

__all__ = ["OperationsStats"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperationsStats:
    """One look at container operations; exact when nothing is going on.

    Attributes:
        live: operations of this process that have not ended.
        quarantined: containers in quarantine.
        blocking: blocking operations that are being done.
        accepted: operations that the journal took.
        succeeded: those that were done.
        failed: those that failed.
        cancelled: those that never began, and never will.
        unknown: those of which nobody can tell.
        deferred: those that were left to the next recovery.
        caller_runs: requests that did their operation themselves, for want
            of room.
        lines: of the keyed executor underneath.
    """

    live: int
    quarantined: int
    blocking: int
    accepted: int
    succeeded: int
    failed: int
    cancelled: int
    unknown: int
    deferred: int
    caller_runs: int
    lines: KeyedStats

    @classmethod
    def of(cls, live: Live, lines: KeyedStats, blocking: int) -> Self:
        """What they are now."""
        with live.lock:
            counts = live.counts
            return cls(
                live=len(live.operations),
                quarantined=len(live.holds),
                blocking=blocking,
                caller_runs=lines.caller_runs,
                lines=lines,
                **{
                    name: counts[name]
                    for name in (
                        *("accepted", "succeeded", "failed"),
                        *("cancelled", "unknown", "deferred"),
                    )
                },
            )
