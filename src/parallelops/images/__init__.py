"""Images: where their data is, and how it is deleted when its time comes."""

from __future__ import annotations

from parallelops.images.catalog import (
    Backlog,
    Catalog,
    Claimed,
    DueImage,
    Settled,
)
from parallelops.images.classify import Kind, Verdict, classify
from parallelops.images.filestore import FileStore
from parallelops.images.location import (
    TRANSITIONS,
    Location,
    LocationStatus,
    check_transition,
)
from parallelops.images.policy import StorePolicy
from parallelops.images.report import (
    LocationResult,
    Outcome,
    Progress,
    ScrubReport,
)
from parallelops.images.scrubber import Scrubber
from parallelops.images.sqlitecatalog import ImageStatus, SQLiteCatalog
from parallelops.images.store import Store

__all__ = [
    "TRANSITIONS",
    "Backlog",
    "Catalog",
    "Claimed",
    "DueImage",
    "FileStore",
    "ImageStatus",
    "Kind",
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
    "StorePolicy",
    "Verdict",
    "check_transition",
    "classify",
]
