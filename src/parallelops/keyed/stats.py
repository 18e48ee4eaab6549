"""What a keyed executor tells of itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelops.keyed.operation import RUNNING

if TYPE_CHECKING:
    from parallelops.keyed.ledger import Ledger

__all__ = ["KeyedStats", "stats_of"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStats:
    """One look at a keyed executor; exact when nothing is going on.

    Attributes:
        keys: how many have an operation that has not ended.
        pending: operations that have not ended.
        running: of those, the ones that have begun.
        quarantined: keys in quarantine.
        succeeded: operations that returned.
        failed: those that raised, or that nobody could run any more.
        cancelled: those that were cancelled before they began.
        expired: those whose turn came too late.
        superseded: those that gave way to a later one.
        refused: those that the executor refused.
        deduplicated: submits that were given the future of another.
        blocked: submits that had to wait for room.
        rejected: submits that were refused for want of room.
        caller_runs: submits whose operation the caller ran.
    """

    keys: int
    pending: int
    running: int
    quarantined: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    superseded: int
    refused: int
    deduplicated: int
    blocked: int
    rejected: int
    caller_runs: int


def stats_of(ledger: Ledger) -> KeyedStats:
    """One look at a ledger."""
    with ledger.lock:
        counts = ledger.counts.copy()
        operations = ledger.everything()
        return KeyedStats(
            keys=len(ledger.entries),
            pending=len(operations),
            running=sum(op.state == RUNNING for op in operations),
            quarantined=len(ledger.held),
            succeeded=ledger.succeeded,
            failed=ledger.failed + counts["failed"],
            cancelled=counts["cancelled"],
            expired=counts["expired"],
            superseded=counts["superseded"],
            refused=counts["refused"],
            deduplicated=counts["deduplicated"],
            blocked=counts["block"],
            rejected=counts["reject"],
            caller_runs=counts["caller_runs"],
        )
