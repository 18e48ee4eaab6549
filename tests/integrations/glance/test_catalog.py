"""Scrubbing a real Glance's database, as its own scrubber would or better."""

from __future__ import annotations

import pytest
from glance.db.sqlalchemy import api
from tests.integrations.glance.world import ADMIN

from parallelops.errors import CatalogError, IllegalTransition, NotInCatalog
from parallelops.images import Outcome


def test_deleted_images_are_scrubbed(glance):
    """Files, locations and images are deleted; nothing else is touched."""
    kept = glance.add(2)
    ids = glance.deleted(5, locations=2)
    report = glance.scrub()
    assert report.ok, report.summary()
    assert report.counts[Outcome.DELETED] == 10
    assert sorted(report.images) == sorted(ids)
    for image_id in ids:
        assert glance.status(image_id) == ("deleted", ["deleted"] * 2)
    assert glance.status(kept) == ("active", ["active"] * 2)
    assert glance.files() == {f"{kept}.0", f"{kept}.1"}


def test_it_writes_what_glance_writes(glance):
    """No column differs from what Glance's own scrubber leaves."""
    (theirs,) = glance.deleted()
    glance.glance_scrub()
    (ours,) = glance.deleted()
    assert glance.scrub().ok
    (left, left_location), (right, right_location) = [
        [
            *glance.rows("images", id=image_id),
            *glance.rows("image_locations", image_id=image_id),
        ]
        for image_id in (ours, theirs)
    ]
    for mine, its in ((left, right), (left_location, right_location)):
        assert {name for name in mine if mine[name] != its[name]} <= {
            *("id", "image_id", "value"),
            *("created_at", "updated_at", "deleted_at"),
        }
        for name in ("updated_at", "deleted_at"):
            assert type(mine[name]) is type(its[name])


def test_an_image_that_lost_its_locations_before_is_finished(glance):
    """Glance's scrubber, when it is killed there, leaves it for ever."""
    (image_id,) = glance.deleted()
    (row,) = glance.rows("image_locations", image_id=image_id)
    api.image_location_delete(ADMIN, image_id, row["id"], "deleted")
    report = glance.scrub()
    assert report.images == (image_id,)
    assert glance.status(image_id) == ("deleted", ["deleted"])


def test_a_location_removed_from_an_active_image_is_scrubbed(glance):
    """And the image stays, with its others."""
    image_id = glance.add(3)
    glance.remove_locations(image_id, slice(1, 2))
    report = glance.scrub()
    assert report.counts[Outcome.DELETED] == 1
    assert report.images == ()
    statuses = ["active", "deleted", "active"]
    assert glance.status(image_id) == ("active", statuses)
    assert glance.files() == {f"{image_id}.0", f"{image_id}.2"}


def test_what_was_removed_before_its_image_went_is_scrubbed(glance):
    """Though Glance marks such an image deleted without delayed delete."""
    image_id = glance.add(2)
    glance.remove_locations(image_id, slice(1, 2))
    api.image_update(ADMIN, image_id, {"status": "deleted"})
    api.image_destroy(ADMIN, image_id)
    assert glance.status(image_id)[1] == ["deleted", "pending_delete"]
    assert glance.scrub().counts[Outcome.DELETED] == 1
    assert glance.status(image_id) == ("deleted", ["deleted", "deleted"])


def test_an_image_that_is_being_deleted_is_left_alone(glance):
    """Its locations are marked before the image itself is."""
    image_id = glance.add(2)
    glance.remove_locations(image_id)
    assert glance.scrub().results == ()
    with glance.catalog() as catalog:
        assert catalog.revive() == ()
    assert glance.status(image_id) == ("active", ["pending_delete"] * 2)


def test_an_image_of_no_size_is_scrubbed(glance):
    """Its data is a file like others."""
    (image_id,) = glance.deleted(size=0)
    assert glance.scrub().ok
    assert glance.status(image_id) == ("deleted", ["deleted"])
    assert glance.files() == set()


def test_an_image_waits_for_its_time(glance):
    """scrub_time counts from the deletion."""
    glance.deleted()
    assert glance.scrub(grace=3600).results == ()
    assert len(glance.scrub().results) == 1


def test_pages_are_complete(glance, monkeypatch):
    """However they are cut, and although rows are settled in between."""
    monkeypatch.setattr("parallelops.integrations.glance.catalog._LISTED", 4)
    ids = glance.deleted(11)
    with glance.catalog() as catalog:
        assert catalog.count_due(2**33) == 11
        seen = []
        last = None
        while page := catalog.due(2**33, last, 3):
            last = page[-1]
            seen += [image.id for image in page]
            catalog.settle(page[:2])
        assert sorted(seen) == sorted(ids)
        assert len(catalog.due(2**33, None, 100)) == 11 - 8


def test_what_somebody_else_settled_is_told(glance):
    """A row is only changed from pending_delete, and the rest is named."""
    first, second, third = glance.deleted(3)
    with glance.catalog() as catalog:
        due = {image.id: image for image in catalog.due(2**33, None, 10)}
        glance.glance_restore(first)
        catalog.revive()
        catalog.settle([due[second]])
        settled = catalog.settle(due.values())
    assert settled.images == {third}
    assert settled.locations == {due[third].locations[0].id}
    assert settled.refused == {
        due[first].locations[0].id: "active",
        due[second].locations[0].id: "deleted",
    }
    assert glance.status(first) == ("active", ["active"])


# -- restore


def test_what_glance_restored_can_be_read_again(glance):
    """Glance itself leaves an active image of no bytes."""
    (image_id,) = glance.deleted(locations=2)
    glance.glance_restore(image_id)
    assert glance.downloadable(image_id) == []
    assert glance.scrub().results == ()
    with glance.catalog() as catalog:
        assert catalog.revive() == (image_id,)
        assert catalog.revive() == ()
    assert len(glance.downloadable(image_id)) == 2
    assert glance.status(image_id) == ("active", ["active"] * 2)
    assert glance.scrub().results == ()
    assert len(glance.files()) == 2


def test_restored_and_deleted_again_it_is_scrubbed(glance):
    """A restore leaves nothing that a later deletion would trip over."""
    (image_id,) = glance.deleted(locations=2)
    with glance.catalog() as catalog:
        assert catalog.restore(image_id) == 2
        glance.remove_locations(image_id)
        assert catalog.revive() == ()
    glance.delete(image_id)
    assert glance.scrub().counts[Outcome.DELETED] == 2
    assert glance.status(image_id) == ("deleted", ["deleted"] * 2)


def test_restored_between_the_page_and_the_delete(glance):
    """The next page does not have it."""
    glance.deleted(3)
    with glance.catalog() as catalog:
        (first,) = catalog.due(2**33, None, 1)
        rest = catalog.due(2**33, None, 3)[1:]
        catalog.due(2**33, None, 1)
        catalog.restore(rest[0].id)
        assert [i.id for i in catalog.due(2**33, first, 5)] == [rest[1].id]


def test_an_image_without_data_is_not_restored(glance):
    """It would be active, and empty."""
    (image_id,) = glance.deleted()
    (row,) = glance.rows("image_locations", image_id=image_id)
    api.image_location_delete(ADMIN, image_id, row["id"], "deleted")
    with glance.catalog() as catalog:
        with pytest.raises(CatalogError, match="none of its data"):
            catalog.restore(image_id)
        with pytest.raises(IllegalTransition, match="from active"):
            catalog.restore(glance.add())
        with pytest.raises(NotInCatalog, match="no image 'none'"):
            catalog.restore("none")
    assert glance.status(image_id)[0] == "pending_delete"
