"""What a scrubber asks of an SQLite catalogue, in SQL.

Each function works in the transaction of its caller.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from parallelops.errors import CatalogError, RestoreRefused
from parallelops.images.catalog import Backlog, Claimed, DueImage, Settled
from parallelops.images.entry import StaticMetrics
from parallelops.images.location import Location, LocationStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "COLUMNS",
    "backlog",
    "claim",
    "due",
    "location",
    "locations",
    "renew",
    "restore",
    "settle",
]

COLUMNS = (
    "l.id, l.image_id, l.url, l.store, l.status, l.deleted_at, l.parkings,"
    " l.metrics"
)

_LOCATION_IS_DUE = """
    l.status = 'pending_delete' AND l.deleted_at <= :before
    AND l.parked_until <= :now
"""

# Of a row of images that nobody has.
_HAS_WORK = f"""
    pending_since IS NOT NULL AND pending_since <= :before
    AND (
        EXISTS (
            SELECT 1 FROM locations l
            WHERE l.image_id = images.id AND {_LOCATION_IS_DUE}
        )
        -- Whoever deleted its last location did not get to the image.
        OR (
            status = 'pending_delete' AND NOT EXISTS (
                SELECT 1 FROM locations l
                WHERE l.image_id = images.id AND l.status <> 'deleted'
            )
        )
    )
"""  # noqa: S608 - made of the constant above

_IS_DUE = f"(claim = 0 OR leased_until <= :now) AND {_HAS_WORK}"

_DUE = f"""
    SELECT page.id, page.pending_since, {COLUMNS}
    FROM (
        SELECT id, pending_since FROM images
        WHERE (pending_since, id) > (:since, :id) AND {_IS_DUE}
        ORDER BY pending_since, id LIMIT :limit
    ) page
    LEFT JOIN locations l ON l.image_id = page.id AND {_LOCATION_IS_DUE}
    ORDER BY page.pending_since, page.id, l.id
"""  # noqa: S608

_BACKLOG = f"""
    SELECT COUNT(*), MIN(pending_since) FROM images WHERE {_IS_DUE}
"""  # noqa: S608

_PARKED = """
    SELECT COUNT(*) FROM images JOIN locations l ON l.image_id = images.id
    WHERE pending_since <= :before AND l.status = 'pending_delete'
    AND l.deleted_at <= :before AND l.parked_until > :now
"""

_CLAIM = f"""
    UPDATE images SET
        fence = fence + 1, claim = fence + 1, leased_until = :until
    WHERE id = :id AND {_IS_DUE}
    RETURNING claim, pending_since
"""  # noqa: S608

_DUE_OF_IMAGE = f"""
    SELECT {COLUMNS} FROM locations l
    WHERE l.image_id = :id AND {_LOCATION_IS_DUE} ORDER BY l.id
"""  # noqa: S608

_DOUBT_ALL = """
    UPDATE locations SET doubtful = 1
    WHERE image_id = ? AND status = 'pending_delete'
"""

_RESTORE = f"""
    UPDATE locations SET
        status = 'active', deleted_at = NULL, parked_until = 0, parkings = 0
    WHERE image_id = ? AND status = 'pending_delete' AND NOT doubtful
    RETURNING {COLUMNS.replace("l.", "")}
"""  # noqa: S608

_SETTLE_IMAGE = """
    UPDATE images SET status = 'deleted'
    WHERE id = ? AND status = 'pending_delete' AND NOT EXISTS (
        SELECT 1 FROM locations
        WHERE image_id = images.id AND status <> 'deleted'
    )
"""

# Stays what it is until the last one is gone, so that a scrubber which reads
# page after page does not meet the same image again further on.
_NOTHING_PENDING = """
    UPDATE images SET pending_since = NULL
    WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM locations
        WHERE image_id = images.id AND status = 'pending_delete'
    )
"""


def due(
    connection: sqlite3.Connection,
    before: float,
    after: DueImage | None,
    limit: int,
    now: float,
) -> list[DueImage]:
    """See :meth:`Catalog.due`."""
    rows = connection.execute(
        _DUE,
        {
            "before": before,
            "now": now,
            "since": after.since if after else float("-inf"),
            "id": after.id if after else "",
            "limit": limit,
        },
    ).fetchall()
    return [
        DueImage(
            image_id,
            since,
            tuple(location(row[2:]) for row in of_image if row[2]),
        )
        for (image_id, since), of_image in itertools.groupby(
            rows, lambda row: row[:2]
        )
    ]


def backlog(
    connection: sqlite3.Connection, before: float, now: float
) -> Backlog:
    """See :meth:`Catalog.backlog`."""
    times = {"before": before, "now": now}
    images, oldest = connection.execute(_BACKLOG, times).fetchone()
    (parked,) = connection.execute(_PARKED, times).fetchone()
    return Backlog(images, oldest, parked)


def claim(
    connection: sqlite3.Connection,
    images: Iterable[DueImage],
    limit: int,
    before: float,
    now: float,
    until: float,
) -> Claimed:
    """See :meth:`Catalog.claim`."""
    claimed: list[DueImage] = []
    refused: set[str] = set()
    for image in images:
        if len(claimed) == limit:
            break
        names = {"id": image.id, "before": before, "now": now}
        row = connection.execute(
            "SELECT claim FROM images WHERE id = ?", (image.id,)
        ).fetchone()
        taken = connection.execute(_CLAIM, names | {"until": until}).fetchone()
        if taken is None:
            refused.add(image.id)
            continue
        if row[0]:
            connection.execute(_DOUBT_ALL, (image.id,))
        token, since = taken
        rows = connection.execute(_DUE_OF_IMAGE, names).fetchall()
        claimed.append(
            DueImage(image.id, since, tuple(map(location, rows)), token)
        )
    return Claimed(tuple(claimed), frozenset(refused))


def renew(
    connection: sqlite3.Connection, images: Iterable[DueImage], until: float
) -> frozenset[str]:
    """See :meth:`Catalog.renew`."""
    return frozenset(
        image.id
        for image in images
        if not connection.execute(
            "UPDATE images SET leased_until = ? WHERE id = ? AND claim = ?",
            (until, image.id, image.token),
        ).rowcount
    )


def settle(
    connection: sqlite3.Connection,
    images: Iterable[DueImage],
    release: Collection[str],
    doubtful: Collection[int],
    parked: Mapping[int, float],
) -> Settled:
    """See :meth:`Catalog.settle`."""
    marked: set[int] = set()
    finished: set[str] = set()
    refused: dict[int, LocationStatus | None] = {}
    lost: set[str] = set()
    held: set[str] = set()
    for image in images:
        row = connection.execute(
            "SELECT claim FROM images WHERE id = ?", (image.id,)
        ).fetchone()
        if row is not None and row[0] != image.token:
            lost.add(image.id)
            continue
        held.add(image.id)
        for one in image.locations:
            if connection.execute(
                "UPDATE locations SET status = 'deleted' WHERE id = ?"
                " AND image_id = ? AND status = 'pending_delete'",
                (one.id, image.id),
            ).rowcount:
                marked.add(one.id)
            else:
                refused[one.id] = _status(connection, one)
        if connection.execute(_SETTLE_IMAGE, (image.id,)).rowcount:
            finished.add(image.id)
        connection.execute(_NOTHING_PENDING, (image.id,))
        if image.id in release:
            connection.execute(
                "UPDATE images SET claim = 0 WHERE id = ?", (image.id,)
            )
    for id_ in doubtful:
        _change(connection, id_, held, "doubtful = 1")
    for id_, until in parked.items():
        _change(
            connection,
            id_,
            held,
            "parked_until = ?, parkings = parkings + 1",
            until,
        )
    return Settled(
        frozenset(marked), frozenset(finished), refused, frozenset(lost)
    )


def restore(
    connection: sqlite3.Connection, image_id: str
) -> tuple[Location, ...]:
    """See :meth:`SQLiteCatalog.restore`."""
    (holder,) = connection.execute(
        "SELECT claim FROM images WHERE id = ?", (image_id,)
    ).fetchone()
    if holder:
        raise RestoreRefused(
            image_id,
            "a scrubber has begun with it; try again when that is done, or "
            "upload it again",
        )
    rows = connection.execute(
        _RESTORE,
        (image_id,),
    ).fetchall()
    if not rows:
        raise RestoreRefused(
            image_id, "none of its data is surely there; upload it again"
        )
    connection.execute(
        "UPDATE images SET status = 'active' WHERE id = ?", (image_id,)
    )
    connection.execute(_NOTHING_PENDING, (image_id,))
    return tuple(sorted(map(location, rows), key=lambda found: found.id))


def location(row: tuple[Any, ...]) -> Location:
    """The location of a row with ``COLUMNS``."""
    id_, image_id, url, store, status, deleted_at, parkings, metrics = row
    return Location(
        id=id_,
        image_id=image_id,
        url=url,
        store=store,
        status=LocationStatus(status),
        deleted_at=deleted_at,
        parkings=parkings,
        metrics=_metrics(id_, metrics),
    )


def _metrics(id_: int, text: str | None) -> StaticMetrics:
    if text is None:
        return StaticMetrics()
    try:
        return StaticMetrics.from_dict(json.loads(text))
    except ValueError as error:
        raise CatalogError(
            f"the metrics of location {id_} are damaged: {error}"
        ) from error


def locations(
    connection: sqlite3.Connection, image_id: str
) -> tuple[Location, ...]:
    """All locations of an image, oldest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM locations l WHERE image_id = ?"  # noqa: S608
        " ORDER BY id",
        (image_id,),
    ).fetchall()
    return tuple(map(location, rows))


def _change(
    connection: sqlite3.Connection,
    id_: int,
    held: Collection[str],
    change: str,
    *values: object,
) -> None:
    """Change a location that waits, of an image that is the caller's."""
    row = connection.execute(
        "SELECT image_id FROM locations WHERE id = ?"
        " AND status = 'pending_delete'",
        (id_,),
    ).fetchone()
    if row is not None and row[0] in held:
        connection.execute(
            f"UPDATE locations SET {change} WHERE id = ?",  # noqa: S608
            (*values, id_),
        )


def _status(
    connection: sqlite3.Connection, one: Location
) -> LocationStatus | None:
    row = connection.execute(
        "SELECT status FROM locations WHERE id = ? AND image_id = ?",
        (one.id, one.image_id),
    ).fetchone()
    return LocationStatus(row[0]) if row else None
