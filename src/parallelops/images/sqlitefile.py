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
        pending_since REAL,
        -- The token of the last claim, and of the one that holds, or 0.
        fence INTEGER NOT NULL DEFAULT 0,
        claim INTEGER NOT NULL DEFAULT 0,
        leased_until REAL NOT NULL DEFAULT 0
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
            CHECK (status <> 'pending_delete' OR deleted_at IS NOT NULL),
        -- Nobody knows whether its data is there: it is never restored.
        doubtful INTEGER NOT NULL DEFAULT 0,
        -- It is not due before then.
        parked_until REAL NOT NULL DEFAULT 0,
        parkings INTEGER NOT NULL DEFAULT 0,
        -- What an operator says of it, in JSON, if anything.
        metrics TEXT
    );
    CREATE INDEX locations_of_image ON locations (image_id, status);
"""

# What each form lacks that the next one has. Whoever worked on the first one
# was no scrubber with claims, and may have begun anything.
_MIGRATIONS = {
    1: """
        ALTER TABLE images ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE images ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE images ADD COLUMN leased_until REAL NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN parked_until REAL NOT NULL DEFAULT 0;
        ALTER TABLE locations ADD COLUMN parkings INTEGER NOT NULL DEFAULT 0;
        UPDATE locations SET doubtful = 1 WHERE status = 'pending_delete'
    """,
    2: "ALTER TABLE locations ADD COLUMN metrics TEXT",
}

CATALOG = Kind(
    name="catalogue",
    application_id=int.from_bytes(b"POic", "big"),
    version=3,
    schema=lambda: _SCHEMA,
    migrations=_MIGRATIONS,
    error=lambda message, code: CatalogError(message),
)
