"""Scrubbing a real Glance's database, as its own scrubber would or better."""

from __future__ import annotations

import dataclasses

import pytest
from glance.db.sqlalchemy import api
from glance.db.sqlalchemy.models import ImageLocation
from tests.integrations.glance.world import ADMIN, World

from parallelops.errors import (
    IllegalTransition,
    NotInCatalog,
    RestoreRefused,
)
from parallelops.images import Outcome

LOCATIONS = ImageLocation.__table__


def claimed(catalog, images):
    """They are ours now, all of them."""
    found = catalog.claim(images, 1000, before=2**33, now=0, until=60)
    assert not found.refused
    return found.images


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
        assert catalog.revive(glance.is_there) == ()
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
    monkeypatch.setattr("parallelops.integrations.glance.listing._LISTED", 4)
    ids = glance.deleted(11)
    with glance.catalog() as catalog:
        assert catalog.backlog(2**33).images == 11
        seen = []
        last = None
        while page := catalog.due(2**33, last, 3):
            last = page[-1]
            seen += [image.id for image in page]
            catalog.settle(claimed(catalog, page[:2]))
        assert sorted(seen) == sorted(ids)
        assert len(catalog.due(2**33, None, 100)) == 11 - 8


def test_what_somebody_else_settled_is_told(glance):
    """A row is only changed from pending_delete, and the rest is named."""
    first, second, third = glance.deleted(3)
    with glance.catalog() as catalog:
        page = catalog.due(2**33, None, 10)
        due = {image.id: image for image in claimed(catalog, page)}
        catalog.settle([due[second]])
        with glance.engine.begin() as connection:
            connection.execute(
                LOCATIONS.update()
                .where(LOCATIONS.c.image_id == first)
                .values(status="active")
            )
        settled = catalog.settle(due.values())
    assert settled.images == {third}
    assert settled.locations == {due[third].locations[0].id}
    assert settled.refused == {
        due[first].locations[0].id: "active",
        due[second].locations[0].id: "deleted",
    }


def test_an_image_is_claimed_by_one(glance):
    """Until it is released, or its owner is gone."""
    glance.deleted(3)
    times = {"before": 2**33, "now": 0.0, "until": 60.0}
    with glance.catalog() as theirs:
        with glance.catalog() as ours:
            page = ours.due(2**33, None, 10)
            mine = ours.claim(page, 2, **times)
            assert [i.id for i in mine.images] == [i.id for i in page[:2]]
            assert mine.images[0].token
            rest = theirs.claim(page, 3, **times)
            assert rest.images[0].id == page[2].id
            assert rest.refused == {i.id for i in page[:2]}
            ours.settle(mine.images[:1], release=[mine.images[0].id])
            again = theirs.claim(page, 3, **times)
            assert again.images == ()  # it is deleted by now
            assert ours.renew(mine.images[1:], 2**33) == set()
        assert len(theirs.claim(page[1:2], 3, **times).images) == 1


def test_who_lost_a_claim_writes_nothing(make, mariadb, tmp_path):
    """The server ended the connection that held it."""
    glance = World(mariadb, tmp_path)
    (image_id,) = glance.deleted()
    with glance.catalog() as catalog:
        (image,) = claimed(catalog, catalog.due(2**33, None, 1))
        catalog._locks._connection.invalidate()
        settled = catalog.settle([image], release=[image_id])
        assert settled.lost == {image_id}
        assert glance.status(image_id)[1] == ["pending_delete"]
        assert catalog.renew([image], 2**33) == {image_id}
        (image,) = claimed(catalog, catalog.due(2**33, None, 1))
        assert catalog.settle([image]).images == {image_id}
    glance.close()


def test_a_run_that_failed_keeps_no_claims(glance):
    """The next one of the same process begins anew."""
    glance.deleted()
    with glance.catalog() as catalog:
        for _ in range(2):
            claimed(catalog, catalog.due(2**33, None, 1))


def test_what_is_parked_is_not_due(glance):
    """Of an image whose locations are all parked, nothing is."""
    glance.deleted(2, locations=2)
    with glance.catalog() as catalog:
        first, second = claimed(catalog, catalog.due(2**33, None, 9))
        catalog.settle(
            [dataclasses.replace(i, locations=()) for i in (first, second)],
            parked={
                first.locations[0].id: 500.0,
                second.locations[0].id: 500.0,
                second.locations[1].id: 500.0,
            },
            release=[first.id, second.id],
        )
        (page,) = catalog.due(2**33, None, 9, now=499.0)
        assert page.locations == first.locations[1:]
        assert catalog.backlog(2**33, now=499.0).parked == 3
        assert catalog.due(2**33, page, 9, now=499.0) == []
        later = catalog.due(2**33, None, 9, now=501.0)
        counts = [[x.parkings for x in i.locations] for i in later]
        assert counts == [[1, 0], [1, 1]]


# -- restore


def test_what_glance_restored_can_be_read_again(glance):
    """Glance itself leaves an active image of no bytes."""
    (image_id,) = glance.deleted(locations=2)
    glance.glance_restore(image_id)
    assert glance.downloadable(image_id) == []
    assert glance.scrub().results == ()
    with glance.catalog() as catalog:
        assert catalog.revive(glance.is_there) == (image_id,)
        assert catalog.revive(glance.is_there) == ()
    assert len(glance.downloadable(image_id)) == 2
    assert glance.status(image_id) == ("active", ["active"] * 2)
    assert glance.scrub().results == ()
    assert len(glance.files()) == 2


def test_restored_and_deleted_again_it_is_scrubbed(glance):
    """A restore leaves nothing that a later deletion would trip over."""
    (image_id,) = glance.deleted(locations=2)
    with glance.catalog() as catalog:
        assert len(catalog.restore(image_id, glance.is_there)) == 2
        glance.remove_locations(image_id)
        assert catalog.revive(glance.is_there) == ()
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
        catalog.restore(rest[0].id, glance.is_there)
        assert [i.id for i in catalog.due(2**33, first, 5)] == [rest[1].id]


def test_an_image_without_data_is_not_restored(glance):
    """It would be active, and empty."""
    (image_id,) = glance.deleted()
    (row,) = glance.rows("image_locations", image_id=image_id)
    api.image_location_delete(ADMIN, image_id, row["id"], "deleted")
    with glance.catalog() as catalog:
        with pytest.raises(RestoreRefused, match="none of its data"):
            catalog.restore(image_id, glance.is_there)
        with pytest.raises(IllegalTransition, match="from active"):
            catalog.restore(glance.add(), glance.is_there)
        with pytest.raises(NotInCatalog, match="no image 'none'"):
            catalog.restore("none", glance.is_there)
    assert glance.status(image_id)[0] == "pending_delete"


def test_who_works_on_an_image_is_not_disturbed_by_a_restore(glance):
    """It is refused, or waits for the next run."""
    first, second = glance.deleted(2)
    with glance.catalog() as ours, glance.catalog() as theirs:
        claimed(ours, ours.due(2**33, None, 2))
        with pytest.raises(RestoreRefused, match="a scrubber has it"):
            theirs.restore(first, glance.is_there)
        glance.glance_restore(second)
        assert theirs.revive(glance.is_there) == ()
        ours.due(2**33, None, 1)
        assert theirs.revive(glance.is_there) == (second,)


def test_only_data_that_is_there_is_restored(glance):
    """A scrubber that was killed may have deleted it, and told nobody."""
    first, second = glance.deleted(2, locations=2)
    (glance.root / f"{first}.0").unlink()
    for n in range(2):
        (glance.root / f"{second}.{n}").unlink()
    with glance.catalog() as catalog:
        catalog.restore(first, glance.is_there)
        with pytest.raises(RestoreRefused, match="none of its data"):
            catalog.restore(second, glance.is_there)
    assert glance.status(first) == ("active", ["pending_delete", "active"])
    assert glance.status(second)[0] == "pending_delete"
    assert glance.scrub().ok
    assert glance.status(first) == ("active", ["deleted", "active"])
