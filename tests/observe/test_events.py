"""How long tasks waited and ran, as events say it."""

from __future__ import annotations

import threading

import pytest

from parallelops import events, load_executor

LIMIT = 30


@pytest.mark.parametrize("kind", ["serial", "thread"])
def test_times_agree(kind):
    """They are the differences of the times of the events themselves."""
    seen = []
    with load_executor(kind, observers=[seen.append]) as executor:
        executor.wait([executor.submit(int) for _ in range(20)], LIMIT)
    tasks = [event for event in seen if hasattr(event, "task")]
    for number in range(1, 21):
        submitted, started, finished = (e for e in tasks if e.task == number)
        assert started.waited == started.time - submitted.time
        assert finished.ran == finished.time - started.time


def test_what_never_ran():
    """A cancelled task has no worker, and ran for no time at all."""
    seen = []
    with load_executor(
        "thread", max_workers=1, observers=[seen.append]
    ) as executor:
        begun, go_on = threading.Event(), threading.Event()
        executor.submit(lambda: (begun.set(), go_on.wait(LIMIT)))
        assert begun.wait(LIMIT)
        executor.submit(int).cancel()
        go_on.set()
    (event,) = (
        e
        for e in seen
        if isinstance(e, events.TaskFinished) and e.outcome == "cancelled"
    )
    assert (event.worker, event.ran) == (None, None)
