"""What a worker runs, and what it does when nobody waits for it any more."""

from __future__ import annotations

import types

import pytest

from parallelops import load_executor
from parallelops.images.attempt import Attempt, explain
from parallelops.images.overdue import Overdue
from parallelops.runtime import ThreadRuntime


def attempt(call):
    """An attempt at ``call``."""
    return Attempt(call, ThreadRuntime())


def test_what_the_store_says_is_kept():
    """And how long it took; nothing comes out of it."""
    error = ValueError("no")

    def call():
        assert made.since is not None
        assert made.seconds is None
        raise error

    made = attempt(call)
    made()
    assert made.error is error
    assert made.seconds >= 0
    assert not made.give_up()


def test_given_up_in_the_middle_it_has_begun():
    """However it ends, that changes nothing."""

    def call():
        assert made.give_up()
        raise ValueError

    made = attempt(call)
    made()
    assert made.error is None
    assert made.seconds is None


def test_given_up_before_it_never_begins():
    """A worker may come for it later."""
    made = attempt(pytest.fail)
    assert not made.give_up()
    made()
    assert made.since is None


def test_an_interrupt_comes_out():
    """It is for the whole run, and not for one location."""

    def call():
        raise KeyboardInterrupt

    made = attempt(call)
    with pytest.raises(KeyboardInterrupt):
        made()
    assert made.give_up()


def test_errors_are_short_and_name_their_kind():
    """On one line, without secrets."""
    assert explain(KeyError("a")) == "KeyError: 'a'"
    assert explain(ValueError()) == "ValueError"
    assert explain(OSError("a\nb")) == "OSError: a b"
    assert len(explain(RuntimeError("x" * 10**6))) < 1100
    assert "hunter2" not in explain(RuntimeError("https://u:hunter2@h"))


@pytest.mark.parametrize("ended", [True, False])
def test_what_has_just_ended_is_not_given_up(ended):
    """It may end while somebody makes up their mind: then it counts, or its
    image could be restored without its data."""
    told = []
    others = types.SimpleNamespace(
        answer=lambda job, attempt: told.append("answer"),
        finish=lambda job, outcome, *_, **__: told.append(outcome.value),
    )
    made = attempt(lambda: None)
    if ended:
        made()
    with load_executor("serial") as executor:
        overdue = Overdue(
            executor, others, others, delete_timeout=1, pause=1, hung={}
        )
        overdue.close(types.SimpleNamespace(attempt=made), "time is up")
    assert told == ["answer" if ended else "skipped"]
