"""Stores that are glance_store's drivers, with one that is made up."""

from __future__ import annotations

import pytest
from glance_store import exceptions

from parallelops import load_executor
from parallelops.errors import StoreError, StoreUnavailable
from parallelops.images import (
    Kind,
    Location,
    Outcome,
    Scrubber,
    SQLiteCatalog,
    classify,
)
from parallelops.integrations.glance import DriverStore

ALIVE = Location(id=1, image_id="alive", url="made-up://alive", store="x")


class Driver:
    """A store that has some URLs, as drivers show it."""

    def __init__(self, *urls):
        self.urls = set(urls)
        self.error = None

    def delete(self, url):
        if self.error:
            raise self.error
        self.size(url)
        self.urls.remove(url)

    def size(self, url):
        if url not in self.urls:
            raise exceptions.NotFound(image=url)
        return 4


def store(driver, *active):
    """It, with locations that must be there."""
    return DriverStore(driver, "x", lambda _: active)


def test_it_shows_that_it_is_there_by_an_active_image():
    """Or has none to show it by."""
    store(Driver(ALIVE.url), ALIVE).probe()
    store(Driver()).probe()
    with pytest.raises(StoreUnavailable, match="active, such as alive"):
        store(Driver(), ALIVE).probe()


def test_it_tells_whether_data_is_there():
    """What is no answer to that comes out."""
    driver = Driver(ALIVE.url)
    assert store(driver).has(ALIVE.url)
    assert not store(driver).has("made-up://gone")
    driver.size = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        store(driver).has(ALIVE.url)


@pytest.mark.parametrize("right", [True, False])
def test_a_store_of_something_else_deletes_nothing(right, tmp_path):
    """When much is gone, it is asked for what must be there."""
    driver = Driver(*[ALIVE.url] if right else [])
    with (
        SQLiteCatalog(tmp_path / "catalog") as catalog,
        load_executor("thread", max_workers=4) as executor,
    ):
        for n in range(60):
            catalog.add_image(f"i{n}", [(f"made-up://{n}", "x")])
            catalog.delete_image(f"i{n}", 1.0)
        report = Scrubber(
            executor, catalog=catalog, store={"x": store(driver, ALIVE)}
        ).run_once()
    assert report.counts[Outcome.GONE] == (60 if right else 0)
    assert report.ok is right


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NotFound(image="x"), Kind.GONE),
        (exceptions.Forbidden(), Kind.BLOCKED),
        (exceptions.InUseByStore(), Kind.BLOCKED),
        (exceptions.HasSnapshot(), Kind.BLOCKED),
        (exceptions.StoreDeleteNotSupported(), Kind.UNSUPPORTED),
        (exceptions.UnknownScheme(scheme="x"), Kind.UNSUPPORTED),
        (exceptions.BadStoreUri(uri="x"), Kind.UNSUPPORTED),
        (exceptions.TimeoutError(timeout=1), Kind.UNKNOWN),
        (exceptions.RemoteServiceUnavailable(), Kind.RETRY),
    ],
)
def test_its_real_errors_mean_what_they_say(error, kind):
    """By the names of glance_store's own classes."""
    driver = Driver()
    driver.error = error
    with pytest.raises(type(error)) as raised:
        store(driver).delete("made-up://x")
    assert classify(raised.value).kind == kind


def test_a_store_that_cannot_be_asked_is_told(glance):
    """Before an image is restored."""
    from parallelops.integrations.glance import GlanceStores

    stores = GlanceStores(glance.conf())
    driver = Driver()
    driver.size = lambda _: 1 / 0
    stores.by_name["x"] = store(driver)
    with pytest.raises(StoreError, match="cannot look whether"):
        stores.is_there(ALIVE)
    assert not stores.is_there(
        Location(id=1, image_id="i", url="x://y", store="retired")
    )


def test_samples_are_active_and_of_the_store(make):
    """They are what a store shows itself by."""
    glance = make(several=True)
    glance.deleted()
    image_id = glance.add()
    glance.add(metadata={"store": "slow"})
    with glance.catalog() as catalog:
        (sample,) = catalog.sample("fast")
    assert sample.image_id == image_id
