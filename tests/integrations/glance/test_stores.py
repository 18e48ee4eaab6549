"""Where locations are, and what becomes of those that are nowhere."""

from __future__ import annotations

import pytest
from glance.common import crypt

from parallelops.errors import ConfigError, LocationRefused
from parallelops.images import Outcome
from parallelops.integrations.glance import GlanceStores
from parallelops.integrations.glance import stores as stores_module
from parallelops.integrations.glance.drivers import load

KEY = "0123456789abcdef"


@pytest.fixture
def url(tmp_path, migrated):
    """One kind of database will do."""
    path = tmp_path / "glance.sqlite"
    path.write_bytes(migrated.read_bytes())
    return f"sqlite:///{path}"


def test_a_store_that_is_not_mounted_leaks_nothing(glance):
    """Glance's scrubber marks all fifty deleted, and their files stay."""
    ids = glance.deleted(50)
    away = glance.root.with_name("away")
    glance.root.rename(away)
    glance.root.mkdir()
    report = glance.scrub()
    assert len(report.failures) == 50
    assert report.counts[Outcome.GONE] == report.counts[Outcome.DELETED] == 0
    assert "mount it" in report.closed["file"]
    assert {glance.status(image_id)[0] for image_id in ids} == {
        "pending_delete"
    }
    glance.root.rmdir()
    away.rename(glance.root)
    assert glance.scrub().counts[Outcome.DELETED] == 50
    assert glance.files() == set()


def test_what_is_gone_counts_as_deleted(glance):
    """In a store that is seen to be there."""
    (image_id,) = glance.deleted()
    (glance.root / f"{image_id}.0").unlink()
    report = glance.scrub()
    assert report.ok
    assert report.counts[Outcome.GONE] == 1
    assert glance.status(image_id) == ("deleted", ["deleted"])


def test_a_store_that_can_delete_nothing_is_reported(glance):
    """Glance's scrubber tries for ever, and says 0."""
    (image_id,) = glance.deleted(urls=["http://example.invalid/image"])
    report = glance.scrub()
    (failure,) = report.failures
    assert "StoreDeleteNotSupported" in failure.reason
    assert glance.status(image_id)[0] == "pending_delete"


def test_files_outside_of_the_store_are_left_alone(glance, tmp_path):
    """Whatever a location says."""
    precious = tmp_path / "precious"
    precious.write_text("not an image")
    glance.deleted(urls=[precious.as_uri()])
    glance.deleted(urls=[f"file://{glance.root}/../precious"])
    assert len(glance.scrub().failures) == 2
    assert precious.exists()


def test_each_store_has_its_own(make):
    """As the metadata says; the second name of the scheme is known too."""
    glance = make(several=True)
    (first,) = glance.deleted()
    path = glance.slow / "image"
    path.write_text("data")
    (second,) = glance.deleted(
        urls=[f"filesystem://{path}"], metadata={"store": "slow"}
    )
    report = glance.scrub()
    assert report.ok, report.summary()
    assert set(report.stores) == {"fast", "slow"}
    assert sorted(report.images) == sorted([first, second])
    assert glance.files() == set()


def test_a_location_without_a_store_is_found(make):
    """Glance's scrubber gets UnknownScheme, for ever."""
    glance = make(several=True)
    path = glance.slow / "image"
    path.write_text("data")
    (image_id,) = glance.deleted(urls=[path.as_uri()], metadata={})
    report = glance.scrub()
    assert report.ok
    assert report.results[0].location.store == "slow"
    assert glance.status(image_id) == ("deleted", ["deleted"])


def test_a_location_that_no_store_may_have_is_told(make):
    """With what is missing; so is one whose store is gone."""
    glance = make(several=True)
    glance.deleted(urls=["rbd://fsid/pool/image/snap"], metadata={})
    glance.deleted(metadata={"store": "retired"})
    reasons = {result.reason for result in glance.scrub().failures}
    assert any("names no store" in reason for reason in reasons)
    assert any("no store called 'retired'" in reason for reason in reasons)


def test_encrypted_locations_are_read(make):
    """By Glance's own code; one of another key is told, and left."""
    glance = make(metadata_encryption_key=KEY)
    paths = [glance.root / name for name in ("one", "other")]
    for path in paths:
        path.write_text("data")
    urls = [
        crypt.urlsafe_encrypt(key, path.as_uri())
        for key, path in zip((KEY, KEY[::-1]), paths, strict=True)
    ]
    one, other = (glance.deleted(urls=[each])[0] for each in urls)
    report = glance.scrub()
    assert report.images == (one,)
    (failure,) = report.failures
    assert failure.location.image_id == other
    assert "cannot be decrypted" in failure.reason
    assert glance.files() == {"other"}


def test_damaged_metadata_harms_nobody(glance):
    """It is read as none."""
    (image_id,) = glance.deleted()
    with glance.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE image_locations SET meta_data='['")
    assert glance.scrub().images == (image_id,)


def test_several_folders_are_one_store(glance):
    """A file is deleted from the one that it is in."""
    glance.config.write_text(
        glance.config.read_text().replace(
            f"filesystem_store_datadir = {glance.root}",
            f"filesystem_store_datadirs = {glance.root}:200\n"
            f"filesystem_store_datadirs = {glance.slow}:100",
        )
    )
    path = glance.slow / "image"
    path.write_text("data")
    glance.deleted(urls=[path.as_uri()])
    glance.deleted()
    assert glance.scrub().counts[Outcome.DELETED] == 2
    assert glance.files() == set()


@pytest.mark.parametrize("several", [False, True])
def test_a_driver_deletes_as_glance_has_it(make, monkeypatch, several):
    """The path that stores other than those of files take."""
    monkeypatch.setattr(stores_module, "_FILE_SCHEMES", frozenset())
    glance = make(several=several)
    ids = glance.deleted(3, locations=2)
    (glance.root / f"{ids[0]}.0").unlink()
    report = glance.scrub()
    assert report.counts[Outcome.DELETED] == 5, report.summary()
    assert report.counts[Outcome.GONE] == 1
    assert glance.files() == set()


def test_a_driver_that_keeps_state_is_made_anew(glance, monkeypatch):
    """For each delete, as glance_store does."""
    driver = load(glance.conf())["file"]
    made = []
    kind = type(driver.instance)
    original = kind.__init__
    monkeypatch.setattr(
        kind,
        "__init__",
        lambda self, *a, **k: (made.append(self), original(self, *a, **k))[1],
    )
    monkeypatch.setattr(
        driver.instance, "is_capable", lambda *_: False, raising=False
    )
    path = glance.root / "image"
    path.write_text("data")
    driver.delete(path.as_uri())
    assert not path.exists()
    assert len(made) == 1


def test_a_store_that_cannot_be_made_is_named(make):
    """Before anything is deleted."""
    glance = make(several=True)
    glance.extra["enabled_backends"] = "fast:file,odd:nothing"
    glance.write_config()
    with pytest.raises(ConfigError, match="cannot use the store 'odd'"):
        GlanceStores(glance.conf())


def test_a_file_store_without_folders_refuses():
    """It has nothing."""
    with pytest.raises(LocationRefused, match="no folder"):
        stores_module.FileStores([]).delete("file:///image")
