"""Claims: who works on what, and what a restore may do meanwhile."""

from __future__ import annotations

import sqlite3

import pytest

from parallelops.errors import (
    CatalogError,
    IllegalTransition,
    NotInCatalog,
    RestoreRefused,
)
from parallelops.images import Backlog, SQLiteCatalog


@pytest.fixture
def catalog(tmp_path):
    """A catalogue with three deleted images of two locations each."""
    with SQLiteCatalog(tmp_path / "catalog.sqlite") as catalog:
        for name in "abc":
            catalog.add_image(
                name, [(f"file:///{name}{n}", "s") for n in (1, 2)]
            )
            catalog.delete_image(name, now=1.0)
        yield catalog


def claim(catalog, names="abc", limit=9, now=100.0, until=160.0):
    """Claim some of the images."""
    wanted = [i for i in catalog.due(1e9, None, 9) if i.id in names]
    return catalog.claim(wanted, limit, before=1e9, now=now, until=until)


def statuses(catalog, image_id):
    """The statuses of an image's locations."""
    return [location.status.value for location in catalog.locations(image_id)]


def test_a_claim_is_for_one(catalog):
    """Another one does not get the image, and is not even told of it."""
    first = claim(catalog, "ab")
    assert [image.id for image in first.images] == ["a", "b"]
    assert first.refused == frozenset()
    assert len({image.token for image in first.images} - {0}) == 1
    second = claim(catalog)
    assert [image.id for image in second.images] == ["c"]
    assert second.refused == {"a", "b"}
    assert catalog.due(1e9, None, 9, now=100.0) == []
    assert catalog.backlog(1e9, now=100.0) == Backlog(0)
    assert catalog.backlog(1e9, now=160.0) == Backlog(3, 1.0)


def test_a_limit_leaves_the_rest_to_others(catalog):
    """It is neither claimed nor refused."""
    claimed = claim(catalog, limit=1)
    assert [image.id for image in claimed.images] == ["a"]
    assert claimed.refused == frozenset()
    assert len(catalog.due(1e9, None, 9, now=100.0)) == 2


def test_what_is_claimed_is_as_it_is_now(catalog):
    """Not as it was when it was listed."""
    listed = catalog.due(1e9, None, 9)
    one, two = listed[0].locations
    (mine,) = claim(catalog, "a").images
    catalog.settle([type(mine)("a", 1.0, (one,), mine.token)], release={"a"})
    catalog.restore("b")
    again = catalog.claim(listed, 9, before=1e9, now=1.0, until=2.0)
    assert [image.id for image in again.images] == ["a", "c"]
    assert again.refused == {"b"}
    assert again.images[0].locations == (two,)
    assert again.images[0].token > mine.token


def test_late_writes_are_refused(catalog):
    """Once the lease is over and somebody else has the image, nothing that
    the first one says is written; the other's is."""
    (old,) = claim(catalog, "a", until=160.0).images
    assert claim(catalog, "a", now=159.0).refused == {"a"}
    (new,) = claim(catalog, "a", now=160.0, until=200.0).images
    ids = {location.id for location in old.locations}
    late = catalog.settle(
        [old],
        release={"a"},
        doubtful=ids,
        parked=dict.fromkeys(ids, 1e9),
    )
    assert late.lost == {"a"}
    assert late.locations == late.images == frozenset()
    assert statuses(catalog, "a") == ["pending_delete"] * 2
    assert catalog.renew([old], 1e9) == {"a"}
    assert catalog.renew([new], 300.0) == frozenset()
    assert claim(catalog, "a", now=299.0).refused == {"a"}
    settled = catalog.settle([new], release={"a"})
    assert settled.images == {"a"}
    assert settled.lost == frozenset()


def test_a_claim_that_was_released_is_free(catalog):
    """At once, and not only after the lease."""
    claimed = claim(catalog)
    catalog.settle(
        [type(i)(i.id, i.since, (), i.token) for i in claimed.images],
        release="abc",
    )
    assert len(claim(catalog).images) == 3


def test_parked_locations_are_due_later(catalog):
    """And the catalogue counts how often that happened."""
    (image,) = claim(catalog, "a").images
    one, two = image.locations
    catalog.settle(
        [type(image)("a", 1.0, (two,), image.token)],
        release={"a"},
        parked={one.id: 500.0},
    )
    assert claim(catalog, "a", now=499.0).refused == {"a"}
    assert catalog.backlog(1e9, now=499.0) == Backlog(2, 1.0, 1)
    (image,) = claim(catalog, "a", now=500.0).images
    assert [x.parkings for x in image.locations] == [1]


def test_restore(catalog):
    """The image and its locations are as before."""
    first, second = catalog.restore("a")
    assert (first.status, first.deleted_at) == ("active", None)
    assert statuses(catalog, "a") == ["active", "active"]
    assert dict(catalog.images())["a"] == "active"
    assert [image.id for image in catalog.due(1e9, None, 9)] == ["b", "c"]
    with pytest.raises(IllegalTransition, match="an image"):
        catalog.restore("a")
    with pytest.raises(NotInCatalog):
        catalog.restore("x")
    catalog.delete_image("a", 2.0)
    assert second.id == catalog.locations("a")[1].id


def test_restore_is_refused_while_a_scrubber_has_it(catalog):
    """Also when its lease is over: it may still delete."""
    (image,) = claim(catalog, "a", until=0.0).images
    with pytest.raises(RestoreRefused, match="a scrubber has begun") as error:
        catalog.restore("a")
    assert error.value.image_id == "a"
    assert statuses(catalog, "a") == ["pending_delete"] * 2
    catalog.settle([type(image)("a", 1.0, (), image.token)], release={"a"})
    assert len(catalog.restore("a")) == 2


def test_restore_after_a_takeover_is_refused(catalog):
    """The first one may wake up at any time, and delete what it had."""
    claim(catalog, "a", until=0.0)
    (image,) = claim(catalog, "a", now=1.0).images
    catalog.settle([type(image)("a", 1.0, (), image.token)], release={"a"})
    with pytest.raises(RestoreRefused, match="none of its data"):
        catalog.restore("a")


def test_restore_revives_only_what_is_surely_there(catalog):
    """The rest stays what it was, and is scrubbed."""
    (image,) = claim(catalog, "a").images
    one, two = image.locations
    catalog.settle(
        [type(image)("a", 1.0, (), image.token)],
        release={"a"},
        doubtful=[one.id],
    )
    assert [x.id for x in catalog.restore("a")] == [two.id]
    assert statuses(catalog, "a") == ["pending_delete", "active"]
    (due,) = [i for i in catalog.due(1e9, None, 9) if i.id == "a"]
    assert [x.id for x in due.locations] == [one.id]


def test_a_pending_upload_is_not_restored(catalog, tmp_path):
    """Half of the data is no data."""
    catalog.add_image("u", [("file:///u", "s")])
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    with connection:
        connection.execute(
            "UPDATE locations SET status = 'pending' WHERE image_id = 'u'"
        )
    connection.close()
    catalog.delete_image("u", 2.0)
    with pytest.raises(RestoreRefused):
        catalog.restore("u")


OLD_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA application_id = 1347381603;
    PRAGMA user_version = 1;
    CREATE TABLE images (
        id TEXT PRIMARY KEY NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('active', 'pending_delete', 'deleted')),
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
    INSERT INTO images VALUES ('kept', 'active', NULL);
    INSERT INTO images VALUES ('gone', 'pending_delete', 1.0);
    INSERT INTO locations VALUES (1, 'kept', 'file:///1', 's', 'active', NULL);
    INSERT INTO locations
        VALUES (2, 'gone', 'file:///2', 's', 'pending_delete', 1.0);
"""


@pytest.fixture
def old(tmp_path):
    """The path of a catalogue that a version without claims has written."""
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(OLD_SCHEMA)
    connection.close()
    return path


def test_an_old_catalogue_is_brought_up_to_date(old):
    """Nothing is lost; what an old scrubber may have begun is in doubt."""
    for _ in range(2):
        with SQLiteCatalog(old) as catalog:
            assert dict(catalog.images()) == {
                "kept": "active",
                "gone": "pending_delete",
            }
            with pytest.raises(RestoreRefused):
                catalog.restore("gone")
    with SQLiteCatalog(old) as catalog:
        catalog.delete_image("kept", 5.0)
        assert len(catalog.restore("kept")) == 1
        (image,) = claim(catalog, ["gone"]).images
        assert catalog.settle([image], release={"gone"}).images == {"gone"}


def test_an_update_that_fails_leaves_it_as_it_was(old):
    """It is all done, or nothing; another try does it."""
    connection = sqlite3.connect(old)
    with connection:
        connection.execute("ALTER TABLE locations ADD COLUMN parkings REAL")
    with pytest.raises(CatalogError, match="duplicate column"):
        SQLiteCatalog(old)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert version == 1
    columns = connection.execute("PRAGMA table_info(images)").fetchall()
    assert len(columns) == 3
    with connection:
        connection.execute("ALTER TABLE locations DROP COLUMN parkings")
    connection.close()
    SQLiteCatalog(old).close()
