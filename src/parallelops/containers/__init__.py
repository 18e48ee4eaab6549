"""Operations on containers: in order for each, durable, and recovered."""

from __future__ import annotations

from parallelops.containers.affinity import Affinity
from parallelops.containers.handlers import Call, Handler, load_engine
from parallelops.containers.journal import Journal, Lease
from parallelops.containers.live import Operation
from parallelops.containers.operation import TRANSITIONS, Entry, State
from parallelops.containers.operations import ContainerOperations
from parallelops.containers.rebalancer import Membership, Rebalancer
from parallelops.containers.recovery import RecoveryReport
from parallelops.containers.sqlitejournal import SQLiteJournal
from parallelops.containers.stats import OperationsStats
from parallelops.errors import (
    ContainerQuarantined,
    CoordinatorLost,
    DuplicateOperation,
    Fenced,
    InvalidOperation,
    JournalDamaged,
    JournalError,
    LeaseHeld,
    NotOwned,
    OperationCancelled,
    OperationDeferred,
    OperationFailed,
    OperationUnknown,
)

__all__ = [
    "TRANSITIONS",
    "Affinity",
    "Call",
    "ContainerOperations",
    "ContainerQuarantined",
    "CoordinatorLost",
    "DuplicateOperation",
    "Entry",
    "Fenced",
    "Handler",
    "InvalidOperation",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "Lease",
    "LeaseHeld",
    "Membership",
    "NotOwned",
    "Operation",
    "OperationCancelled",
    "OperationDeferred",
    "OperationFailed",
    "OperationUnknown",
    "OperationsStats",
    "Rebalancer",
    "RecoveryReport",
    "SQLiteJournal",
    "State",
    "load_engine",
]
