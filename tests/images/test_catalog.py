"""The embedded catalogue: what it hands out, records and refuses."""

from __future__ import annotations

import dataclasses
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.images.catalogs import add, due, execute

from parallelops.errors import (
    CatalogError,
    IllegalTransition,
    NotInCatalog,
)
from parallelops.images import (
    DueImage,
    LocationStatus,
    SelectionContext,
    SQLiteCatalog,
    StaticMetrics,
    load_strategy,
)


@pytest.fixture
def path(tmp_path):
    """Where a catalogue may be."""
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path):
    """An empty catalogue."""
    with SQLiteCatalog(path) as catalog:
        yield catalog


def statuses(catalog, image_id):
    """The statuses of an image's locations."""
    return [location.status.value for location in catalog.locations(image_id)]


def test_what_was_added_is_there(path):
    """It survives that the catalogue is closed and opened again."""
    with SQLiteCatalog(path) as catalog:
        added = catalog.add_image("i", [("file:///a", None), ("s3://b", "c")])
        catalog.add_image("none")
    with SQLiteCatalog(path) as catalog:
        assert catalog.locations("i") == added
        assert [(x.url, x.store, x.status) for x in added] == [
            ("file:///a", None, LocationStatus.ACTIVE),
            ("s3://b", "c", LocationStatus.ACTIVE),
        ]
        assert list(catalog.images()) == [("i", "active"), ("none", "active")]
        assert catalog.locations("none") == ()
        assert catalog.counts()[LocationStatus.ACTIVE] == 2


def test_weights_are_kept_with_a_location(path):
    """Whatever becomes of it; who reads chooses by them."""
    heavy = StaticMetrics(weight=2, node_weights={"n1": 0.5})
    with SQLiteCatalog(path) as catalog:
        first, second = add(catalog, "i", 2)
        catalog.weigh(second.id, heavy)
        with pytest.raises(NotInCatalog, match="999"):
            catalog.weigh(999, heavy)
    with SQLiteCatalog(path) as catalog:
        found = catalog.locations("i")
        assert [each.metrics for each in found] == [StaticMetrics(), heavy]
        ordered = load_strategy(["weight"])(found, SelectionContext())
        assert [each.id for each in ordered] == [second.id, first.id]
        catalog.delete_image("i", 1.0)
        ((due_image,),) = (due(catalog),)
        assert due_image.locations[1].metrics == heavy
        assert catalog.restore("i")[1].metrics == heavy
        catalog.weigh(second.id, StaticMetrics())
        assert catalog.locations("i")[1].metrics == StaticMetrics()


def test_an_older_catalogue_has_no_weights(path):
    """Until somebody weighs a location of it."""
    with SQLiteCatalog(path) as catalog:
        (location,) = add(catalog, "i")
    execute(
        path,
        "ALTER TABLE locations RENAME COLUMN metrics TO something_else",
        "PRAGMA user_version = 2",
    )
    with SQLiteCatalog(path) as catalog:
        assert catalog.locations("i") == (location,)
        catalog.weigh(location.id, StaticMetrics(weight=1))
        assert catalog.locations("i")[0].metrics.weight == 1
    execute(path, "UPDATE locations SET metrics = 'heavy'")
    with (
        SQLiteCatalog(path) as catalog,
        pytest.raises(CatalogError, match="metrics of location 1"),
    ):
        catalog.locations("i")


def test_active_images_are_never_due(catalog):
    """Nobody deletes what nobody deleted."""
    add(catalog, "a", 3)
    catalog.add_image("no data yet")
    assert due(catalog) == []
    assert catalog.backlog(1e9).images == 0


def test_a_deleted_image_is_due_after_its_time(catalog):
    """Not a moment before, and with all its locations."""
    add(catalog, "a", 2)
    catalog.delete_image("a", now=10.0)
    assert due(catalog, before=9.999) == []
    (image,) = due(catalog, before=10.0)
    assert image == DueImage("a", 10.0, catalog.locations("a"))
    assert {x.deleted_at for x in image.locations} == {10.0}
    assert dict(catalog.images()) == {"a": "pending_delete"}


def test_one_location_of_an_active_image_is_due_alone(catalog):
    """The image and its other locations stay as they are."""
    first, _ = add(catalog, "a", 2)
    catalog.delete_location(first.id, now=10.0)
    (image,) = due(catalog)
    assert [x.id for x in image.locations] == [first.id]
    settled = catalog.settle([image])
    assert settled.locations == {first.id}
    assert settled.images == frozenset()
    assert statuses(catalog, "a") == ["deleted", "active"]
    assert dict(catalog.images()) == {"a": "active"}
    assert due(catalog) == []


def test_with_its_last_location_goes_the_image(catalog):
    """Deleting them one by one is as deleting the image."""
    first, second = add(catalog, "a", 2)
    catalog.delete_location(first.id, now=10.0)
    catalog.delete_location(second.id, now=20.0)
    assert dict(catalog.images()) == {"a": "pending_delete"}
    (early,) = due(catalog, before=15.0)
    assert [x.id for x in early.locations] == [first.id]
    assert catalog.settle([early]).images == frozenset()
    assert due(catalog, before=15.0) == []
    (late,) = due(catalog)
    assert [x.id for x in late.locations] == [second.id]
    assert catalog.settle([late]).images == {"a"}
    assert dict(catalog.images()) == {"a": "deleted"}


def test_a_location_keeps_the_time_it_was_deleted_at(catalog):
    """Deleting the image later does not make it wait anew."""
    first, _ = add(catalog, "a", 2)
    catalog.delete_location(first.id, now=10.0)
    catalog.delete_image("a", now=20.0)
    assert [x.deleted_at for x in catalog.locations("a")] == [10.0, 20.0]


def test_settling_changes_only_what_is_pending_delete(catalog, path):
    """A row that somebody else changed is left alone, and named."""
    active, restored, done, mine = add(catalog, "a", 4)
    for location in (restored, done, mine):
        catalog.delete_location(location.id, now=1.0)
    (image,) = due(catalog)
    execute(
        path,
        f"UPDATE locations SET status = 'active' WHERE id = {restored.id}",
        f"UPDATE locations SET status = 'deleted' WHERE id = {done.id}",
    )
    lost = dataclasses.replace(mine, id=99)
    settled = catalog.settle([image, DueImage("b", 1.0, (active, lost))])
    assert settled.locations == {mine.id}
    assert settled.images == frozenset()
    assert settled.refused == {
        restored.id: "active",
        done.id: "deleted",
        active.id: "active",
        99: None,
    }
    assert statuses(catalog, "a") == [
        "active",
        "active",
        "deleted",
        "deleted",
    ]
    assert catalog.settle([image]).locations == frozenset()


def test_settling_is_all_or_nothing(catalog, path):
    """If one row can't be written, no row is."""
    for name in "ab":
        add(catalog, name)
        catalog.delete_image(name, 1.0)
    execute(
        path,
        "CREATE TRIGGER fault BEFORE UPDATE ON locations"
        " WHEN NEW.image_id = 'b' BEGIN SELECT RAISE(ABORT, 'fault'); END",
    )
    with pytest.raises(CatalogError, match="fault"):
        catalog.settle(due(catalog))
    assert statuses(catalog, "a") == ["pending_delete"]
    assert len(due(catalog)) == 2


@pytest.mark.parametrize("locations", [0, 2])
def test_what_a_crash_left_over_is_finished(catalog, path, locations):
    """An image whose data is all gone, but which nobody marked deleted, is
    due without locations, and settling it finishes it."""
    add(catalog, "a", locations)
    catalog.delete_image("a", 5.0)
    execute(path, "UPDATE locations SET status = 'deleted'")
    assert due(catalog, before=4.0) == []
    (image,) = due(catalog)
    assert image == DueImage("a", 5.0, ())
    assert catalog.backlog(1e9).images == 1
    settled = catalog.settle([image])
    assert (settled.locations, settled.images) == (frozenset(), {"a"})
    assert dict(catalog.images()) == {"a": "deleted"}
    assert due(catalog) == []


@settings(deadline=None)
@given(
    times=st.lists(st.integers(1, 4), max_size=12),
    page=st.integers(1, 5),
    failing=st.sets(st.integers(0, 11)),
)
def test_pages_hold_every_image_once(tmp_path_factory, times, page, failing):
    """Oldest first, whatever the size of a page, while what was read is
    settled in part: no image comes twice, and none is left out."""
    path = tmp_path_factory.mktemp("pages") / "catalog.sqlite"
    with SQLiteCatalog(path) as catalog:
        for n, time in enumerate(times):
            first, _ = add(catalog, f"i{n:02}", 2)
            catalog.delete_location(first.id, time)
            catalog.delete_image(f"i{n:02}", time + 0.5)
        seen, last = [], None
        while images := catalog.due(3.5, last, page):
            seen += images
            last = images[-1]
            catalog.settle(
                DueImage(
                    image.id,
                    image.since,
                    image.locations[
                        : 1 if int(image.id[1:]) in failing else 2
                    ],
                )
                for image in images
            )
        expected = [
            (time, f"i{n:02}") for n, time in enumerate(times) if time <= 3.5
        ]
        assert [(image.since, image.id) for image in seen] == sorted(expected)
        left = {image.id for image in due(catalog, 3.5)}
        assert left == {
            name for _, name in expected if int(name[1:]) in failing
        }


def test_impossible_requests_are_refused(catalog):
    """With an error of ours, and nothing is changed."""
    (location,) = add(catalog, "a")
    with pytest.raises(CatalogError, match="already"):
        add(catalog, "a", 5)
    with pytest.raises(NotInCatalog, match="'b'"):
        catalog.delete_image("b", 1.0)
    with pytest.raises(NotInCatalog, match="'b'"):
        catalog.locations("b")
    with pytest.raises(NotInCatalog, match="99"):
        catalog.delete_location(99, 1.0)
    with pytest.raises(CatalogError, match="CHECK"):
        catalog.delete_image("a", float("nan"))
    assert statuses(catalog, "a") == ["active"]
    catalog.delete_image("a", 1.0)
    with pytest.raises(IllegalTransition, match="an image"):
        catalog.delete_image("a", 2.0)
    with pytest.raises(IllegalTransition, match="a location"):
        catalog.delete_location(location.id, 2.0)
    assert len(due(catalog)) == 1


def test_a_pending_upload_is_deleted_with_its_image(catalog, path):
    """What is half there has to go as well."""
    add(catalog, "a")
    execute(path, "UPDATE locations SET status = 'pending'")
    catalog.delete_image("a", 1.0)
    assert statuses(catalog, "a") == ["pending_delete"]


def test_many_images_are_read_as_you_go(catalog):
    """More than one page of them, each once, while the table changes."""
    names = [f"i{n:04}" for n in range(1100)]
    for name in names:
        add(catalog, name, 0)
    seen = []
    for name, _ in catalog.images():
        seen.append(name)
        if name == names[0]:
            catalog.delete_image(names[-1], 1.0)
    assert seen == names


def test_it_is_private_and_durable(catalog, path):
    """URLs may have secrets, and a row that is written stays."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = catalog._connection
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert (synchronous, journal) == (2, "wal")
