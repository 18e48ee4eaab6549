"""The scrubber: what it deletes and reports."""

from __future__ import annotations

import json
import sqlite3
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.images.scrubs import (
    LIMIT,
    Faults,
    Scrubber,
    check_books,
    failing,
    outcomes,
)

from parallelops import load_executor
from parallelops.errors import (
    ImageDataNotFound,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import FileStore, Outcome

# -- when all goes well


def test_everything_that_is_due_is_deleted(place, executor):
    """Files, rows and images; and what is not due stays."""
    for n in range(10):
        place.add(f"due{n}", 1 + n % 3)
    place.add("active", 2, deleted_at=None)
    place.add("late", 2, deleted_at=1e12)
    kept = {"active.0", "active.1", "late.0", "late.1"}
    assert place.files() > kept
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert report.ok
    assert report.failures == ()
    assert set(outcomes(report).values()) == {"deleted"}
    assert report.counts[Outcome.DELETED] == len(report.results) == 19
    assert sorted(report.images) == [f"due{n}" for n in range(10)]
    assert place.files() == kept
    assert place.statuses("active") == ["active"] * 2
    check_books(place, report)
    again = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert again.results == ()
    assert again.ok


def test_images_in_parallel_and_locations_in_turn(place):
    """Four images meet in their first delete; no image has two under way."""
    for n in range(4):
        place.add(f"i{n}", 3)
    meeting = threading.Barrier(4, timeout=LIMIT)
    under_way, overlaps = set(), []

    class Meeting(Faults):
        def delete(self, url):
            image, _, number = url.rpartition("/")[2].partition(".")
            if image in under_way:
                overlaps.append(url)
            under_way.add(image)
            if number == "0":
                meeting.wait()
            super().delete(url)
            under_way.discard(image)

    with load_executor("thread", max_workers=4) as executor:
        report = Scrubber(
            executor, catalog=place.catalog, store=Meeting(place.store)
        ).run_once()
    assert report.ok, report.summary()
    assert overlaps == []


def test_grace_is_how_long_it_waits(place, executor):
    """What was deleted less than that ago is left alone."""
    now = executor.runtime.time()
    place.add("old", deleted_at=now - 1000)
    place.add("young", deleted_at=now - 10)
    scrubber = Scrubber(
        executor, catalog=place.catalog, store=place.store, grace=500.0
    )
    assert outcomes(scrubber.run_once()) == {"old.0": "deleted"}
    assert place.files() == {"young.0"}


def test_a_limit_takes_the_oldest(place, executor):
    """And the next run goes on from there."""
    for n in range(5):
        place.add(f"i{n}", deleted_at=10.0 - n)
    scrubber = Scrubber(executor, catalog=place.catalog, store=place.store)
    assert set(outcomes(scrubber.run_once(2))) == {"i4.0", "i3.0"}
    assert set(outcomes(scrubber.run_once(2))) == {"i2.0", "i1.0"}
    assert set(outcomes(scrubber.run_once(2))) == {"i0.0"}


def test_more_images_than_a_page(place, executor):
    """They are read page by page, and none is left out or done twice."""
    for n in range(450):
        place.catalog.add_image(f"i{n}", [(f"file://{place.root}/{n}", None)])
        place.catalog.delete_image(f"i{n}", 1.0 + n % 7)
    store = Faults(place.store)
    report = Scrubber(executor, catalog=place.catalog, store=store).run_once()
    assert report.counts[Outcome.GONE] == 450
    assert len(set(store.deleted)) == len(store.deleted) == 450
    assert len(report.images) == 450


def test_a_dry_run_touches_nothing(place, executor):
    """It says what would be deleted, and what could not be."""
    place.add("i", 2, store="here")
    place.add("lost", store="elsewhere")
    scrubber = Scrubber(
        executor, catalog=place.catalog, store={"here": place.store}
    )
    report = scrubber.run_once(dry_run=True)
    assert report.dry_run
    assert outcomes(report) == {
        "i.0": "would_delete",
        "i.1": "would_delete",
        "lost.0": "failed",
    }
    assert report.images == ()
    assert place.files() == {"i.0", "i.1", "lost.0"}
    assert place.statuses("i") == ["pending_delete"] * 2
    assert "dry run" in report.summary()[0]


def test_a_leftover_of_a_crash_is_finished(place, executor):
    """An image whose data is gone, but which nobody marked deleted."""
    place.add("i")
    place.catalog.add_image("never had any")
    place.catalog.delete_image("never had any", 1.0)
    connection = sqlite3.connect(place.path)
    with connection:
        connection.execute("UPDATE locations SET status = 'deleted'")
    connection.close()
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    assert report.results == ()
    assert sorted(report.images) == ["i", "never had any"]
    assert set(dict(place.catalog.images()).values()) == {"deleted"}


# -- stores by name


def test_each_location_goes_to_its_store(place, executor, tmp_path):
    """By the name in the catalogue; the report counts by store."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").touch()
    place.add("here", store="a")
    place.catalog.add_image("there", [((other / "x").as_uri(), "b")])
    place.catalog.delete_image("there", 1.0)
    stores = {"a": Faults(place.store), "b": Faults(FileStore(other))}
    report = Scrubber(executor, catalog=place.catalog, store=stores).run_once()
    assert outcomes(report) == {"here.0": "deleted", "x": "deleted"}
    assert [len(store.deleted) for store in stores.values()] == [1, 1]
    assert report.stores["a"][Outcome.DELETED] == 1
    assert report.stores["b"][Outcome.DELETED] == 1
    assert "store b: 1 deleted" in report.summary()


def test_a_store_that_nobody_knows_is_a_failure(place, executor):
    """It names the store and those that are known."""
    place.add("i", store="cpeh")
    place.add("j", store=None)
    stores = {"ceph": place.store, "file": place.store}
    report = Scrubber(executor, catalog=place.catalog, store=stores).run_once()
    reasons = [result.reason for result in report.failures]
    assert "no store called 'cpeh'; known: 'ceph', 'file'" in reasons
    assert any("does not say which store" in reason for reason in reasons)
    assert place.files() == {"i.0", "j.0"}
    check_books(place, report)


# -- options and reports


@pytest.mark.parametrize(
    "option",
    [
        {"grace": -1.0},
        {"grace": float("nan")},
        {"delete_timeout": 0.0},
        {"delete_timeout": float("inf")},
        {"batch_size": 0},
        {"batch_seconds": 0.0},
        {"batch_seconds": float("nan")},
    ],
)
def test_bad_options_are_refused_at_once(place, executor, option):
    """The error names the option."""
    with pytest.raises(ValueError, match=next(iter(option))):
        Scrubber(executor, catalog=place.catalog, store=place.store, **option)


def test_a_limit_has_to_be_a_number_of_images(place, executor):
    """None at all would be no run."""
    scrubber = Scrubber(executor, catalog=place.catalog, store=place.store)
    with pytest.raises(ValueError, match="limit"):
        scrubber.run_once(0)


def test_the_tasks_have_to_share_memory(place, executor):
    """On another machine nobody would see how far a delete has come."""

    class Remote(type(executor)):
        traits = type(executor.traits)(shared_memory=False)

    with Remote() as remote, pytest.raises(ValueError, match="share memory"):
        Scrubber(remote, catalog=place.catalog, store=place.store)


def test_a_report_is_json_and_lines(place, executor):
    """Without secrets, and with the first failures by name."""
    place.catalog.add_image(
        "i", [(f"s3://access:hunter2@host/{n}", None) for n in range(5)]
    )
    place.catalog.delete_image("i", 1.0)
    report = Scrubber(
        executor, catalog=place.catalog, store=place.store
    ).run_once()
    text = json.dumps(report.as_dict())
    assert "hunter2" not in text
    assert json.loads(text)["counts"]["unsupported"] == 5
    assert json.loads(text)["ok"] is False
    assert len(json.loads(text)["results"]) == 5
    lines = report.summary(failures=3)
    assert len(lines) == 5
    assert "5 unsupported" in lines[0]
    name = "image i, location 1 (s3://access:***@host/0): unsupported"
    assert name in lines[1]
    assert lines[-1] == "and 2 more"
    assert "hunter2" not in "\n".join(lines)


# -- whatever happens

FAULTS = {
    "works": None,
    "missing": None,
    "not there": ImageDataNotFound("not there"),
    "fails": StoreError("no"),
    "refuses": LocationRefused("no"),
    "is away": StoreUnavailable("no"),
    "is broken": RuntimeError("bug"),
    "exits": SystemExit(3),
}
IMAGES = st.lists(
    st.tuples(
        st.sampled_from(["due", "late", "active"]),
        st.lists(st.sampled_from(sorted(FAULTS)), max_size=4),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    images=IMAGES,
    kind=st.sampled_from(["serial", "thread"]),
    batch_size=st.integers(1, 6),
    workers=st.integers(1, 4),
    max_queue=st.sampled_from([0, 1, 100]),
)
def test_the_report_the_catalogue_and_the_disk_agree(
    tmp_path_factory, place_at, images, kind, batch_size, workers, max_queue
):
    """For any images and faults: one result for each location that is due,
    none for any other, and each true."""
    with place_at(tmp_path_factory.mktemp("place")) as place:
        store = Faults(place.store)
        expected = {}
        for n, (state, faults) in enumerate(images):
            name = f"i{n:02}"
            times = {"due": 1.0, "late": 1e12, "active": None}
            place.add(name, len(faults), deleted_at=times[state])
            for number, fault in enumerate(faults):
                file = f"{name}.{number}"
                if FAULTS[fault] is not None:
                    store.at[file.replace(".", "_")] = failing(FAULTS[fault])
                if fault in ("missing", "not there"):
                    (place.root / file).unlink()
                if state == "due":
                    expected[file] = {
                        "works": "deleted",
                        "missing": "gone",
                        "not there": "gone",
                        "refuses": "unsupported",
                    }.get(fault, "failed")
        files = place.files()
        with load_executor(
            kind, max_workers=workers, max_queue=max_queue
        ) as executor:
            report = Scrubber(
                executor,
                catalog=place.catalog,
                store=store,
                batch_size=batch_size,
            ).run_once()
        assert outcomes(report) == expected
        gone = {
            file
            for file, outcome in expected.items()
            if outcome in ("deleted", "gone")
        }
        assert place.files() == files - gone
        check_books(place, report)
        assert set(report.images) == {
            f"i{n:02}"
            for n, (state, faults) in enumerate(images)
            if state == "due"
            and not any(
                expected[f"i{n:02}.{number}"] in ("failed", "unsupported")
                for number in range(len(faults))
            )
        }
        left = {image.id for image in place.catalog.due(1e9, None, 100)}
        assert left == {x.location.image_id for x in report.failures}
