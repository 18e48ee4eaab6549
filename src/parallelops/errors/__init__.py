"""Every error that parallelops raises of its own accord.

One root, :class:`ParallelopsError`. An error that stands in for one of the
standard library's is also an instance of that one, so that code written for
``concurrent.futures`` keeps working. What a handler might want to know is a
typed attribute, not a word in the message.
"""

from __future__ import annotations

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
    "DataMismatch",
    "DeadlockError",
    "DestinationError",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "Expired",
    "FetchCancelled",
    "FetchError",
    "GroupFailed",
    "IllegalTransition",
    "ImageDataNotFound",
    "InvalidEntry",
    "KeyQuarantined",
    "KeySaturated",
    "LocationBlocked",
    "LocationRefused",
    "MissingDependency",
    "NoLocationWorked",
    "NotInCatalog",
    "NotPatched",
    "NotPicklable",
    "ParallelopsError",
    "PluginError",
    "RateLimited",
    "RestoreRefused",
    "ShutdownTimeout",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "Superseded",
    "TaskLost",
    "TransferError",
    "WorkerStartError",
]
