"""Images: where their data is, how it is fetched, and how it is deleted."""

from __future__ import annotations

from parallelops.images.catalog import (
    Backlog,
    Catalog,
    Claimed,
    DueImage,
    Settled,
)
from parallelops.images.classify import Kind, Verdict, classify
from parallelops.images.destination import Destination
from parallelops.images.entry import LocationEntry, StaticMetrics
from parallelops.images.fetch import (
    Attempt,
    Fetcher,
    FetchResult,
    load_handlers,
)
from parallelops.images.filestore import FileStore
from parallelops.images.group import FetchProgress, GroupMember, ImageGroup
from parallelops.images.handler import (
    FetchContext,
    FetchOptions,
    Handled,
    Handler,
    NotForMe,
    Wanted,
)
from parallelops.images.location import (
    TRANSITIONS,
    Location,
    LocationStatus,
    check_transition,
)
from parallelops.images.metrics import LocationMetrics, SourceStatistics
from parallelops.images.policy import StorePolicy
from parallelops.images.report import (
    LocationResult,
    Outcome,
    Progress,
    ScrubReport,
)
from parallelops.images.scrubber import Scrubber
from parallelops.images.sqlitecatalog import SQLiteCatalog
from parallelops.images.status import DERIVATION, ImageStatus, image_status
from parallelops.images.store import Store
from parallelops.images.strategy import (
    Chain,
    Selectable,
    SelectionContext,
    Strategy,
    load_strategy,
)

__all__ = [
    "DERIVATION",
    "TRANSITIONS",
    "Attempt",
    "Backlog",
    "Catalog",
    "Chain",
    "Claimed",
    "Destination",
    "DueImage",
    "FetchContext",
    "FetchOptions",
    "FetchProgress",
    "FetchResult",
    "Fetcher",
    "FileStore",
    "GroupMember",
    "Handled",
    "Handler",
    "ImageGroup",
    "ImageStatus",
    "Kind",
    "Location",
    "LocationEntry",
    "LocationMetrics",
    "LocationResult",
    "LocationStatus",
    "NotForMe",
    "Outcome",
    "Progress",
    "SQLiteCatalog",
    "ScrubReport",
    "Scrubber",
    "Selectable",
    "SelectionContext",
    "Settled",
    "SourceStatistics",
    "StaticMetrics",
    "Store",
    "StorePolicy",
    "Strategy",
    "Verdict",
    "Wanted",
    "check_transition",
    "classify",
    "image_status",
    "load_handlers",
    "load_strategy",
]
