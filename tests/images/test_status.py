"""The status of an image, from those of its locations."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import IllegalTransition
from parallelops.images import (
    DERIVATION,
    FileStore,
    ImageStatus,
    Location,
    LocationStatus,
    Scrubber,
    image_status,
)

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/locations.md"
STATUSES = st.lists(st.sampled_from(LocationStatus), max_size=6)
RECORDED = st.none() | st.sampled_from(ImageStatus)


@settings(deadline=None)
@given(STATUSES, RECORDED, st.randoms(use_true_random=False))
def test_it_is_total_and_the_order_does_not_matter(
    statuses, recorded, randomly
):
    """Every combination has an answer, whatever order it is given in."""
    answer = image_status(statuses, recorded=recorded)
    assert answer is None or answer in ImageStatus
    mixed = list(statuses)
    randomly.shuffle(mixed)
    assert image_status(mixed, recorded=recorded) is answer
    assert image_status(iter(statuses + mixed), recorded=recorded) is answer


@settings(deadline=None)
@given(STATUSES, RECORDED)
def test_it_never_says_of_data_what_is_not_so(statuses, recorded):
    """Active means that something can be read, and deleted that nothing is
    left, unless somebody recorded it of an image without locations."""
    answer = image_status(statuses, recorded=recorded)
    if recorded is ImageStatus.KILLED:
        assert answer is ImageStatus.KILLED
        return
    if answer in (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED):
        assert LocationStatus.ACTIVE in statuses
    elif LocationStatus.ACTIVE in statuses:
        pytest.fail(f"{answer} with data to be read")
    if answer is ImageStatus.DELETED:
        assert set(statuses) <= {LocationStatus.DELETED}
        assert statuses or recorded is ImageStatus.DELETED
    if answer is None:
        assert not statuses


@settings(deadline=None)
@given(STATUSES.filter(len))
def test_what_cannot_be_derived_is_never_guessed(statuses):
    """Without a record it is one of four, and one location more or less of
    a status that another one has changes nothing."""
    answer = image_status(statuses)
    assert answer in {derived for _, derived in DERIVATION}
    assert image_status([*statuses, statuses[0]]) is answer


def test_locations_do_as_well_as_their_statuses():
    """It takes what a catalogue has."""
    location = Location(
        id=1, image_id="i", url="file:///a", status=LocationStatus.PENDING
    )
    assert image_status([location]) is ImageStatus.SAVING
    assert image_status([]) is None
    assert image_status(["active"]) is ImageStatus.ACTIVE
    assert image_status(["active"], recorded="killed") is ImageStatus.KILLED
    with pytest.raises(ValueError, match="gone"):
        image_status(["gone"])
    with pytest.raises(ValueError, match="lost"):
        image_status([], recorded="lost")


def documented():
    """The truth table of the documentation, as rows of cells."""
    text = PAGE.read_text()
    table = re.search(r"\| locations .*?\n\n", text, re.DOTALL).group()
    for line in table.replace("`", "").strip().splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def rows():
    """The truth table as the code has it.

    Statuses of locations, then without a record, and with each one that
    makes a difference.
    """
    for size in range(5):
        for statuses in itertools.combinations(LocationStatus, size):
            yield [
                ", ".join(statuses) or "none",
                *(
                    str(image_status(statuses, recorded=recorded) or "—")
                    for recorded in (None, *ImageStatus)
                ),
            ]


def test_the_documentation_has_the_truth_table():
    """All of it, as the code has it."""
    assert list(documented()) == list(rows())


def test_the_catalogue_agrees_with_it(place):
    """Whatever is deleted and scrubbed, in any order."""
    chance = random.Random(1)
    place.add("image", 4, deleted_at=None)
    scrubbed = set()
    while len(scrubbed) < 4:
        location = chance.choice(place.catalog.locations("image"))
        try:
            place.catalog.delete_location(location.id, 1.0)
        except IllegalTransition:
            due = place.catalog.due(2.0, None, 10)
            place.catalog.settle(due[:1])
            scrubbed |= {location.id}
        (recorded,) = [s for i, s in place.catalog.images() if i == "image"]
        assert image_status(place.catalog.locations("image")) == recorded


def test_deleting_one_of_several_marks_only_that_one(place, executor):
    """The scrubber takes it, and the image stays active."""
    locations = place.add("image", 3, deleted_at=None)
    place.catalog.delete_location(locations[1].id, 1.0)
    assert place.statuses("image") == ["active", "pending_delete", "active"]
    scrubber = Scrubber(
        executor, catalog=place.catalog, store=FileStore(place.root)
    )
    report = scrubber.run_once()
    assert [each.location.id for each in report.results] == [locations[1].id]
    assert place.statuses("image") == ["active", "deleted", "active"]
    assert place.files() == {"image.0", "image.2"}
    assert image_status(place.catalog.locations("image")) is ImageStatus.ACTIVE
