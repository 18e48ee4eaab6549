"""What a worker runs, and what it does when nobody waits for it any more."""

from __future__ import annotations

import pytest

from parallelops.images import DueImage, Location, Outcome
from parallelops.images.deletion import ImageDeletion, Stores, explain
from parallelops.runtime import ThreadRuntime


class Store:
    """Calls back on each delete."""

    def __init__(self, called):
        self.called = called

    def delete(self, url):
        self.called(url)

    def sync(self):
        """Nothing to do."""


@pytest.fixture
def deletion():
    """A deletion of two locations; its store does as the test says."""

    def called(url):
        deletion.called(url)

    image = DueImage(
        "i",
        1.0,
        tuple(Location(id=n, image_id="i", url=f"x://{n}") for n in (1, 2)),
    )
    deletion = ImageDeletion(image, Stores(Store(called)), ThreadRuntime())
    return deletion


def outcomes(deletion):
    """The outcomes that nobody has taken yet."""
    return [result.outcome for result in deletion.take()]


def test_results_are_taken_once(deletion):
    """Also while it is running."""
    seen = []
    deletion.called = lambda url: seen.append(outcomes(deletion))
    deletion()
    assert seen == [[], [Outcome.DELETED]]
    assert outcomes(deletion) == [Outcome.DELETED]
    assert outcomes(deletion) == []


def test_closed_in_the_middle_it_begins_nothing_more(deletion):
    """What was running is unknown for good, however it ends."""
    calls = []

    def called(url):
        calls.append(url)
        deletion.close("enough")
        assert outcomes(deletion) == [Outcome.UNKNOWN, Outcome.SKIPPED]

    deletion.called = called
    deletion()
    deletion()
    assert calls == ["x://1"]
    assert outcomes(deletion) == []
    deletion.close("again")
    assert outcomes(deletion) == []


def test_closed_before_it_begins_it_does_nothing(deletion):
    """A worker may come for it later than it was given up."""
    deletion.called = pytest.fail
    deletion.close_if_waiting("no worker")
    deletion()
    assert outcomes(deletion) == [Outcome.SKIPPED] * 2


def test_what_has_begun_does_not_wait(deletion):
    """It is not given up for want of a worker, nor before its time."""

    def called(_):
        deletion.close_if_waiting("no worker")
        deletion.close_if_overdue(1000.0)

    deletion.called = called
    deletion()
    assert outcomes(deletion) == [Outcome.DELETED] * 2
    deletion.close_if_overdue(0.0)  # nothing is running
    assert not deletion.closed


def test_an_interrupt_comes_out(deletion):
    """It is for the whole run, and not for one location."""

    def called(_):
        raise KeyboardInterrupt

    deletion.called = called
    with pytest.raises(KeyboardInterrupt):
        deletion()
    deletion.close("interrupted")
    assert outcomes(deletion) == [Outcome.UNKNOWN, Outcome.SKIPPED]


def test_errors_are_short_and_name_their_kind():
    """On one line, without secrets."""
    assert explain(KeyError("a")) == "KeyError: 'a'"
    assert explain(ValueError()) == "ValueError"
    assert explain(OSError("a\nb")) == "OSError: a b"
    assert len(explain(RuntimeError("x" * 10**6))) < 1100
    assert "hunter2" not in explain(RuntimeError("https://u:hunter2@h"))
