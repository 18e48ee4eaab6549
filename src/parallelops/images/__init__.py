"""Images: where their data is, and how it is deleted when its time comes."""

from __future__ import annotations

from parallelops.images.catalog import Catalog, DueImage, Settled
from parallelops.images.entry import LocationEntry, StaticMetrics
from parallelops.images.filestore import FileStore
from parallelops.images.location import (
    TRANSITIONS,
    Location,
    LocationStatus,
    check_transition,
)
from parallelops.images.metrics import LocationMetrics, SourceStatistics
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
    "TRANSITIONS",
    "Catalog",
    "DueImage",
    "FileStore",
    "ImageStatus",
    "Location",
    "LocationResult",
    "LocationStatus",
    "Outcome",
    "Progress",
    "SQLiteCatalog",
    "ScrubReport",
    "Scrubber",
    "Settled",
    "Store",
    "check_transition",
]
