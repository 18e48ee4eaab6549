"""The file of an SQLite catalogue: what is in it."""

from __future__ import annotations

from parallelops.errors import CatalogError
from parallelops.sqlitefile import Kind

__all__ = ["CATALOG"]

_SCHEMA = """
    CREATE TABLE images (
        id TEXT PRIMARY KEY NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('active', 'pending_delete', 'deleted')),
        -- When the first location that still waits went to pending_delete.
        pending_since REAL
    ) WITHOUT ROWID;
    CREATE INDEX images_pending ON images (pending_since, id)
        WHERE pending_since IS NOT NULL;
    CREATE TABLE locations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        image_id TEXT NOT NULL REFERENCES images (id),
        url TEXT NOT NULL,
        store TEXT,
        status TEXT NOT NULL CHECK (
            status IN ('pending', 'active', 'pending_delete', 'deleted')
        ),
        deleted_at REAL
            CHECK (status <> 'pending_delete' OR deleted_at IS NOT NULL)
    );
    CREATE INDEX locations_of_image ON locations (image_id, status);
"""

CATALOG = Kind(
    name="catalogue",
    application_id=int.from_bytes(b"POic", "big"),
    version=1,
    schema=lambda: _SCHEMA,
    error=lambda message, code: CatalogError(message),
)
