"""The strategies make what is valid, and get to what is interesting."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import Phase, find, given, settings

from parallelops.images import LocationStatus
from parallelops.testing import Fault, WriteFault
from parallelops.testing import strategies as ours

URLS = ["a1", "a2", "b1"]
quick = settings(deadline=None, max_examples=50)


@quick
@given(ours.locations())
def test_locations_are_valid(location):
    """Their status and their time of deletion do not contradict."""
    assert "://" in location.url
    assert location.id > 0
    if location.status == LocationStatus.PENDING:
        assert location.deleted_at is None
    if location.status in (
        LocationStatus.PENDING_DELETE,
        LocationStatus.DELETED,
    ):
        assert location.deleted_at is not None


@quick
@given(
    ours.locations(statuses=[LocationStatus.ACTIVE], stores=["fast"]),
)
def test_locations_can_be_chosen(location):
    """By status and by store."""
    assert (location.status, location.store) == ("active", "fast")


@quick
@given(ours.images(max_images=3, max_locations=2))
def test_images_are_valid(images):
    """No URL is that of two locations."""
    assert len(images) <= 3
    urls = [url for found in images.values() for url in found]
    assert len(set(urls)) == len(urls)
    assert all(len(found) <= 2 for found in images.values())


@quick
@given(ours.operations(keys=["k"], submitters=2, max_size=5))
def test_operations_are_valid(operations):
    """Keys, modes, outcomes and submitters are those that were asked for."""
    assert len(operations) <= 5
    for operation in operations:
        assert operation.key == "k"
        assert operation.mode in get_args(ours.Mode)
        assert operation.outcome in get_args(ours.OperationOutcome)
        assert operation.submitter in (0, 1)


@quick
@given(ours.store_faults(URLS, max_calls=2), ours.write_faults(max_calls=3))
def test_plans_are_valid(store, writes):
    """They end with a fault, and have none of another kind."""
    for url, calls in store.items():
        assert url in URLS
        assert len(calls) <= 2
        assert set(calls) <= {None, *get_args(Fault)}
        assert calls[-1:] != [None]
    assert len(writes) <= 3
    assert set(writes) <= {None, *get_args(WriteFault)}


INTERESTING = {
    "a restored location": (
        ours.locations(),
        lambda found: found.status == "active" and found.deleted_at,
    ),
    "a location of no known store": (
        ours.locations(),
        lambda found: found.store is None,
    ),
    "a password": (
        ours.urls(),
        lambda found: f":{ours.SECRET}@" in found,
    ),
    "a signature": (
        ours.urls(),
        lambda found: f"sig={ours.SECRET}" in found,
    ),
    "an image without a location": (
        ours.images(),
        lambda found: [] in found.values(),
    ),
    "an image with several": (
        ours.images(),
        lambda found: any(len(urls) > 1 for urls in found.values()),
    ),
    "two who work on one key": (
        ours.operations(),
        lambda found: len({o.submitter for o in found if o.key == "a"}) > 1,
    ),
    "one alone after one that shares": (
        ours.operations(keys="a"),
        lambda found: [o.mode for o in found] == ["shared", "exclusive"],
    ),
    "one after one that failed": (
        ours.operations(),
        lambda found: (
            [o.outcome for o in found if o.key == "b"][:2]
            == ["raises", "returns"]
        ),
    ),
    "a delete that was done and answered with a time-out": (
        ours.store_faults(URLS),
        lambda found: found.get("a1") == ["lost_answer"],
    ),
    "and then the store is away": (
        ours.store_faults(URLS),
        lambda found: (
            found.get("a1", [])[:2] == ["lost_answer", "unavailable"]
        ),
    ),
    "a fault after a call that went well": (
        ours.store_faults(URLS),
        lambda found: found.get("b1") == [None, "fail"],
    ),
    "a write that was done and answered with an error": (
        ours.write_faults(),
        lambda found: found == ["lost_answer"],
    ),
    "no fault at all": (ours.write_faults(), lambda found: not found),
}


@pytest.mark.parametrize("what", INTERESTING)
def test_what_is_interesting_comes(what):
    """Within the examples that a test of somebody's may have."""
    strategy, is_it = INTERESTING[what]
    find(
        strategy,
        is_it,
        settings=settings(
            deadline=None,
            max_examples=20_000,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
        ),
    )


def test_nothing_can_go_wrong_with_nothing():
    """Plans for no URL, and of no kind."""
    assert find(ours.store_faults([]), lambda _: True) == {}
    assert find(ours.write_faults(kinds=[]), lambda _: True) == []


WITHOUT = """
import sys
sys.modules["hypothesis"] = None
import parallelops.testing
try:
    import parallelops.testing.strategies
except parallelops.MissingDependency as error:
    print(error, error.name)
"""


def test_without_hypothesis():
    """The rest is there; this says what is missing."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == (
        "parallelops.testing.strategies needs hypothesis: install hypothesis "
        "hypothesis\n"
    )
