"""What a scrubber asks of Glance's two tables.

Only the columns that a scrubber needs are named here. They are as they have
been since 2014; Glance's own models need its global configuration, and load
all of Glance. Each function works in the transaction of its caller.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    DateTime,
    Integer,
    String,
    Text,
    and_,
    column,
    exists,
    func,
    or_,
    select,
    table,
    tuple_,
    union_all,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "IMAGES",
    "LOCATIONS",
    "active",
    "backlog",
    "listed",
    "lock",
    "pending",
    "restored",
    "revive",
    "rows_due",
    "seconds",
    "settle",
    "status",
    "utc",
]

IMAGES = table(
    "images",
    column("id", String),
    column("status", String),
    column("updated_at", DateTime),
    column("deleted_at", DateTime),
    column("deleted", Boolean),
)
LOCATIONS = table(
    "image_locations",
    column("id", Integer),
    column("image_id", String),
    column("value", Text),
    column("meta_data", Text),
    column("status", String),
    column("updated_at", DateTime),
    column("deleted_at", DateTime),
    column("deleted", Boolean),
)

_I, _L = IMAGES.c, LOCATIONS.c
_PENDING = "pending_delete"
_OTHER = LOCATIONS.alias("other")
_NEWEST = 1000

_HAS_ACTIVE = exists().where(
    _OTHER.c.image_id == _I.id, _OTHER.c.status == "active"
)
_HAS_LEFT = exists().where(
    _OTHER.c.image_id == _I.id, _OTHER.c.status != "deleted"
)
_HAS_PENDING = exists().where(
    _OTHER.c.image_id == _I.id, _OTHER.c.status == _PENDING
)

# A location that was removed from an image which stays. One whose image is
# active and has no other was never removed: its image is being deleted at
# this moment, or was restored.
_WAS_REMOVED = and_(
    _I.status != _PENDING,
    or_(_I.status.not_in(("active", "deactivated")), _HAS_ACTIVE),
)

# Glance's restore leaves the time of the deletion, and the locations, as
# they are. Of an image that is deleted right now, they are newer.
_WAS_RESTORED = and_(
    _I.status.in_(("active", "deactivated")),
    _I.deleted.is_(False),
    _L.status == _PENDING,
    _L.deleted_at <= _I.deleted_at,
    ~_HAS_ACTIVE,
)


def utc(seconds: float) -> datetime:
    """A time as Glance's columns have it."""
    return datetime.fromtimestamp(max(seconds, 0.0), UTC).replace(tzinfo=None)


def seconds(time: datetime) -> float:
    """A time in seconds since the epoch."""
    return time.replace(tzinfo=UTC).timestamp()


def _listing(before: datetime) -> Any:
    images = select(_I.id, _I.deleted_at.label("since")).where(
        _I.status == _PENDING,
        _I.deleted.is_(True),
        _I.deleted_at <= before,
        # Nothing is known of one that has a location in another status.
        or_(_HAS_PENDING, ~_HAS_LEFT),
    )
    removed = (
        select(_I.id, func.min(_L.deleted_at).label("since"))
        .where(
            _L.image_id == _I.id,
            _L.status == _PENDING,
            _L.deleted.is_(True),
            _L.deleted_at <= before,
            _WAS_REMOVED,
        )
        .group_by(_I.id)
    )
    return union_all(images, removed).subquery("listed")


def listed(
    connection: Any,
    before: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[tuple[datetime, str]]:
    """When and which images became due, oldest first."""
    rows = _listing(before)
    query = select(rows.c.since, rows.c.id)
    if after is not None:
        query = query.where(tuple_(rows.c.since, rows.c.id) > after)
    query = query.order_by(rows.c.since, rows.c.id).limit(limit)
    return [(since, id_) for since, id_ in connection.execute(query)]


def backlog(connection: Any, before: datetime) -> tuple[int, datetime | None]:
    """How many images are due, and since when the first of them is."""
    rows = _listing(before)
    number, oldest = connection.execute(
        select(func.count(), func.min(rows.c.since)).select_from(rows)
    ).one()
    return int(number), oldest


def rows_due(
    connection: Any, ids: Collection[str], before: datetime
) -> dict[str, list[Any]]:
    """Of ``ids``, the images that are still due, with rows of locations.

    A row is id, URL, metadata, and when it went to ``pending_delete``.
    """
    waiting = and_(_L.image_id == _I.id, _L.status == _PENDING)
    query = (
        select(_I.id, _L.id, _L.value, _L.meta_data, _L.deleted_at)
        .select_from(IMAGES.outerjoin(LOCATIONS, waiting))
        .where(
            _I.id.in_(ids),
            or_(
                and_(_I.status == _PENDING, _I.deleted.is_(True)),
                and_(
                    _L.deleted.is_(True),
                    _L.deleted_at <= before,
                    _WAS_REMOVED,
                ),
            ),
        )
        .order_by(_I.id, _L.id)
    )
    found: dict[str, list[Any]] = {}
    for image_id, *row in connection.execute(query):
        rows = found.setdefault(image_id, [])
        if row[0] is not None:
            rows.append(row)
    return found


def settle(
    connection: Any,
    locations: Sequence[tuple[int, str]],
    images: Iterable[str],
    now: datetime,
) -> tuple[set[int], set[str], dict[int, str]]:
    """Mark locations deleted, and images of which nothing is left.

    Returns:
        Ids of both, and the status of the other locations by id.
    """
    marked, others = _mark_deleted(connection, locations, now)
    return marked, _finish(connection, images, now), others


def _mark_deleted(
    connection: Any, locations: Sequence[tuple[int, str]], now: datetime
) -> tuple[set[int], dict[int, str]]:
    """Mark the locations, each with its image, that still wait.

    Returns:
        Ids of those that are marked, and the status of the others that are
        there, by id.
    """
    lock(connection, {image_id for _, image_id in locations})
    rows = connection.execute(
        select(_L.id, _L.image_id, _L.status)
        .where(_L.id.in_([id_ for id_, _ in locations]))
        .order_by(_L.id)
        .with_for_update()
    )
    wanted = dict(locations)
    statuses = {
        id_: status
        for id_, image_id, status in rows
        if wanted[id_] == image_id
    }
    marked = {id_ for id_, status in statuses.items() if status == _PENDING}
    if marked:
        connection.execute(
            update(LOCATIONS)
            .where(_L.id.in_(marked), _L.status == _PENDING)
            .values(
                status="deleted", deleted=True, updated_at=now, deleted_at=now
            )
        )
    others = {i: status for i, status in statuses.items() if i not in marked}
    return marked, others


def _finish(connection: Any, ids: Iterable[str], now: datetime) -> set[str]:
    """Mark the images deleted of which nothing is left; which were it?"""
    query = select(_I.id).where(
        _I.id.in_(list(ids)), _I.status == _PENDING, ~_HAS_LEFT
    )
    finished = set(connection.execute(query).scalars())
    if finished:
        connection.execute(
            update(IMAGES)
            .where(_I.id.in_(finished), _I.status == _PENDING)
            .values(status="deleted", updated_at=now)
        )
    return finished


def restored(connection: Any, image_id: str | None = None) -> list[str]:
    """Images that Glance restored, and that have no location since.

    Args:
        connection: the connection.
        image_id: ask of this one only.
    """
    query = select(_I.id).where(_L.image_id == _I.id, _WAS_RESTORED).distinct()
    if image_id is not None:
        query = query.where(_I.id == image_id)
    return list(connection.execute(query).scalars())


def status(connection: Any, image_id: str) -> str | None:
    """The status of an image; None if there is no such image."""
    query = select(_I.status).where(_I.id == image_id)
    found: str | None = connection.execute(query).scalar()
    return found


def pending(connection: Any, image_id: str) -> list[Any]:
    """Rows of the locations of an image that wait, as of :func:`rows_due`."""
    query = (
        select(_L.id, _L.value, _L.meta_data, _L.deleted_at)
        .where(_L.image_id == image_id, _L.status == _PENDING)
        .order_by(_L.id)
    )
    return [tuple(row) for row in connection.execute(query)]


def active(connection: Any) -> list[Any]:
    """Rows of locations that were made last, each with its image first."""
    query = (
        select(_L.image_id, _L.id, _L.value, _L.meta_data, _L.deleted_at)
        .where(_L.status == "active", _L.deleted.is_(False))
        .order_by(_L.id.desc())
        .limit(_NEWEST)
    )
    return [tuple(row) for row in connection.execute(query)]


def revive(
    connection: Any, image_id: str, ids: Collection[int], now: datetime
) -> list[int]:
    """Make an image active, with those of its locations that still wait.

    An image that is being deleted, or is deleted, is left as it is.

    Returns:
        Ids of the locations.
    """
    lock(connection, [image_id])
    found = status(connection, image_id)
    if found != _PENDING and not restored(connection, image_id):
        return []
    query = (
        select(_L.id)
        .where(_L.image_id == image_id, _L.id.in_(ids), _L.status == _PENDING)
        .order_by(_L.id)
        .with_for_update()
    )
    waiting = list(connection.execute(query).scalars())
    if waiting:
        connection.execute(
            update(LOCATIONS)
            .where(_L.id.in_(waiting), _L.status == _PENDING)
            .values(
                status="active",
                deleted=False,
                updated_at=now,
                deleted_at=None,
            )
        )
        connection.execute(
            update(IMAGES)
            .where(_I.id == image_id)
            .values(
                status="active" if found == _PENDING else found,
                deleted=False,
                updated_at=now,
                deleted_at=None,
            )
        )
    return waiting


def lock(connection: Any, ids: Iterable[str]) -> None:
    """Images before locations, as Glance does, so that nobody waits in a
    circle."""
    connection.execute(
        select(_I.id)
        .where(_I.id.in_(sorted(ids)))
        .order_by(_I.id)
        .with_for_update()
    )
