"""Every error that parallelops raises of its own accord.

One root, :class:`ParallelopsError`. An error that stands in for one of the
standard library's is also an instance of that one, so that code written for
``concurrent.futures`` keeps working. What a handler might want to know is a
typed attribute, not a word in the message.
"""

from __future__ import annotations

from parallelops.errors.containers import (
    ContainerQuarantined,
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
from parallelops.errors.download import SwarmError, TorrentRefused
from parallelops.errors.executors import (
    DeadlockError,
    ExecutorBroken,
    ExecutorSaturated,
    ExecutorShutdown,
    Expired,
    KeyQuarantined,
    KeySaturated,
    NotPatched,
    NotPicklable,
    RateLimited,
    ShutdownTimeout,
    Superseded,
    TaskLost,
    WorkerStartError,
)
from parallelops.errors.images import (
    ArchiveRefused,
    CatalogError,
    DataMismatch,
    DestinationError,
    FetchCancelled,
    FetchError,
    GroupFailed,
    IllegalTransition,
    ImageDataNotFound,
    InvalidEntry,
    LocationBlocked,
    LocationRefused,
    NoLocationWorked,
    NotInCatalog,
    RestoreRefused,
    StoreBusy,
    StoreError,
    StoreUnavailable,
    TransferError,
)
from parallelops.errors.root import (
    ParallelopsError,
)
from parallelops.errors.setup import (
    ConfigError,
    MissingDependency,
    PluginError,
)

__all__ = [
    "ArchiveRefused",
    "CatalogError",
    "ConfigError",
    "ContainerQuarantined",
    "DataMismatch",
    "DeadlockError",
    "DestinationError",
    "DuplicateOperation",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "Expired",
    "Fenced",
    "FetchCancelled",
    "FetchError",
    "GroupFailed",
    "IllegalTransition",
    "ImageDataNotFound",
    "InvalidEntry",
    "InvalidOperation",
    "JournalDamaged",
    "JournalError",
    "KeyQuarantined",
    "KeySaturated",
    "LeaseHeld",
    "LocationBlocked",
    "LocationRefused",
    "MissingDependency",
    "NoLocationWorked",
    "NotInCatalog",
    "NotOwned",
    "NotPatched",
    "NotPicklable",
    "OperationCancelled",
    "OperationDeferred",
    "OperationFailed",
    "OperationUnknown",
    "ParallelopsError",
    "PluginError",
    "RateLimited",
    "RestoreRefused",
    "ShutdownTimeout",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "Superseded",
    "SwarmError",
    "TaskLost",
    "TorrentRefused",
    "TransferError",
    "WorkerStartError",
]
