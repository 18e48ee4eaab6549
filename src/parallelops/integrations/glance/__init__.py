"""Glance: its database as a catalogue, its stores, and its scrubber's job.

Needs what Glance itself is installed with: SQLAlchemy, glance_store, and for
encrypted locations Glance. They are loaded when they are used.
"""

from __future__ import annotations

from parallelops.integrations.glance.catalog import (
    BATCH_SIZE,
    GlanceCatalog,
)
from parallelops.integrations.glance.driver import DriverStore
from parallelops.integrations.glance.stores import FileStores, GlanceStores
from parallelops.integrations.glance.urls import ReadURL, reader

__all__ = [
    "BATCH_SIZE",
    "DriverStore",
    "FileStores",
    "GlanceCatalog",
    "GlanceStores",
    "ReadURL",
    "reader",
]
