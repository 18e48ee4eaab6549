"""Locations, and the statuses they may go through."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import IllegalTransition
from parallelops.images import (
    TRANSITIONS,
    Location,
    LocationStatus,
    check_transition,
)
from parallelops.testing.strategies import SECRET, locations

STATUSES = st.sampled_from(LocationStatus)
ALLOWED = {
    ("pending", "active"),
    ("pending", "pending_delete"),
    ("active", "pending_delete"),
    ("pending_delete", "active"),
    ("pending_delete", "deleted"),
}


@settings(deadline=None)
@given(STATUSES, STATUSES)
def test_only_these_transitions_are_legal(old, new):
    """All others are errors that say from where to where."""
    if (old.value, new.value) in ALLOWED:
        check_transition(old, new)
    else:
        with pytest.raises(IllegalTransition) as caught:
            check_transition(old, new)
        assert (caught.value.old, caught.value.new) == (old, new)
        assert f"from {old.value} to {new.value}" in str(caught.value)


def test_the_table_has_every_status_and_stays_as_it_is():
    """It is data that nobody can change."""
    assert set(TRANSITIONS) == set(LocationStatus)
    with pytest.raises(TypeError):
        TRANSITIONS[LocationStatus.DELETED] = frozenset()


@settings(deadline=None)
@given(st.lists(STATUSES))
def test_data_is_never_deleted_unannounced(path):
    """Whatever way a location goes, it waits before it is deleted, and
    never comes back."""
    status, before = LocationStatus.PENDING, None
    for new in path:
        try:
            check_transition(status, new)
        except IllegalTransition:
            continue
        status, before = new, status
        if status == LocationStatus.DELETED:
            assert before == LocationStatus.PENDING_DELETE
    if LocationStatus.DELETED in (status, before):
        assert status == LocationStatus.DELETED


def test_its_text_has_no_secrets():
    """A location in a log or an error does not give its password away."""
    location = Location(
        id=7,
        image_id="i",
        url="s3://access:hunter2@host/bucket?sig=hunter2",
        store="fast",
        status=LocationStatus.PENDING_DELETE,
        deleted_at=5.0,
    )
    for text in (repr(location), str(location), f"{[location]}"):
        assert "hunter2" not in text
        assert "id=7" in text
        assert "s3://access:***@host/bucket?sig=***" in text


@settings(deadline=None)
@given(locations())
def test_no_location_gives_its_secret_away(location):
    """Whatever its store, its status and the form of its URL."""
    for text in (repr(location), f"{location}"):
        assert SECRET not in text
        assert f"id={location.id}" in text


def test_it_is_a_value():
    """Nobody changes a location under somebody else."""
    location = Location(id=1, image_id="i", url="file:///a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        location.status = LocationStatus.DELETED
    assert location == Location(id=1, image_id="i", url="file:///a")
    assert not hasattr(location, "__dict__")
