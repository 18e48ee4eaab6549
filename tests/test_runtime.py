"""Runtimes, and the primitives that are made of their locks."""

from __future__ import annotations

import queue
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops.runtime import Runtime, ThreadRuntime

LIMIT = 20


class MadeOfLocks(ThreadRuntime):
    """Real threads, with everything but locks made by the library."""

    rlock = Runtime.rlock
    condition = Runtime.condition
    event = Runtime.event
    queue = Runtime.queue


@pytest.fixture(params=[ThreadRuntime, MadeOfLocks])
def runtime(request):
    """A runtime on real threads."""
    return request.param()


def test_spawn(runtime):
    """A spawned thread runs under its name and does not keep the process."""
    names = []
    handle = runtime.spawn(
        lambda: names.append(runtime.thread_name()), name="one"
    )
    handle.join(LIMIT)
    assert not handle.is_alive()
    assert names == ["one"]
    assert handle.name == "one"


def test_ident(runtime):
    """Threads that live at the same time have different identities."""
    idents = [runtime.ident()]
    handle = runtime.spawn(
        lambda: idents.append(runtime.ident()), name="other"
    )
    handle.join(LIMIT)
    assert len(set(idents)) == 2
    assert idents[0] == runtime.ident()


def test_clocks(runtime):
    """The clocks are clocks, and sleeping takes its time."""
    before = runtime.monotonic()
    runtime.sleep(0.01)
    assert runtime.monotonic() >= before + 0.01
    assert runtime.time() > 1_700_000_000
    assert 0 <= runtime.random.random() < 1


def test_rlock(runtime):
    """Its owner may take it again, and others not until it is all given
    back."""
    lock = runtime.rlock()
    taken = []

    def try_it():
        got = lock.acquire(blocking=False)
        taken.append(got)
        if got:
            lock.release()

    def other():
        runtime.spawn(try_it, name="other").join(LIMIT)

    with lock, lock:
        other()
        lock.release()
        other()
        lock.acquire()
    other()
    assert taken == [False, False, True]
    with pytest.raises(RuntimeError):
        lock.release()


def test_condition_over_a_reentrant_lock(runtime):
    """Waiting gives the lock up at any depth, and takes it back."""
    condition = runtime.condition()
    state = []

    def change():
        with condition:
            state.append("changed")
            condition.notify_all()

    with condition, condition:
        handle = runtime.spawn(change, name="changer")
        assert condition.wait_for(lambda: state, LIMIT)
        assert not condition.wait(0.001)
        assert not condition.wait_for(lambda: False, 0.001)
    handle.join(LIMIT)
    assert condition.acquire(blocking=False)
    condition.release()


def test_condition_wakes_one_at_a_time(runtime):
    """notify() wakes one of those who wait, who may wake the next."""
    condition = runtime.condition(runtime.lock())
    waiting, woken = [], []

    def wait(number):
        with condition:
            waiting.append(number)
            while number != len(woken):
                condition.wait(LIMIT)
            woken.append(number)
            condition.notify_all()

    handles = [
        runtime.spawn(lambda n=n: wait(n), name=str(n)) for n in (3, 2, 1)
    ]
    with condition:
        woken.append(0)
        condition.notify_all()
        assert condition.wait_for(lambda: len(woken) == 4, LIMIT)
    for handle in handles:
        handle.join(LIMIT)
    assert woken == [0, 1, 2, 3]
    with condition:
        condition.notify()  # nobody is there


def test_event(runtime):
    """An event that is set lets all through, until it is cleared."""
    event = runtime.event()
    assert not event.wait(0.001)
    handles = [
        runtime.spawn(lambda: event.wait(LIMIT), name=str(n)) for n in range(3)
    ]
    event.set()
    for handle in handles:
        handle.join(LIMIT)
        assert not handle.is_alive()
    assert event.is_set()
    assert event.wait(0)
    event.clear()
    assert not event.wait(0)


def test_queue(runtime):
    """A queue passes things on in order, and stops at its bound."""
    passing = runtime.queue(2)
    received = []

    def receive():
        received.extend(passing.get(timeout=LIMIT) for _ in range(100))

    handle = runtime.spawn(receive, name="receiver")
    for number in range(100):
        passing.put(number, timeout=LIMIT)
    handle.join(LIMIT)
    assert received == list(range(100))
    passing.put(1)
    passing.put(2)
    assert passing.qsize() == 2
    with pytest.raises(queue.Full):
        passing.put(3, block=False)
    with pytest.raises(queue.Full):
        passing.put(3, timeout=0.001)
    assert [passing.get(), passing.get()] == [1, 2]
    with pytest.raises(queue.Empty):
        passing.get(block=False)
    with pytest.raises(queue.Empty):
        passing.get(timeout=0.001)


@given(
    st.lists(
        st.sampled_from(["acquire", "release", "put", "get", "set", "clear"]),
        max_size=40,
    )
)
def test_made_of_locks_behaves_as_the_standard_library(steps):
    """Without waiting, ours and the standard library's answer the same."""
    answers = []
    for runtime in (ThreadRuntime(), MadeOfLocks()):
        lock, event = runtime.rlock(), runtime.event()
        passing = runtime.queue(2)
        actions = {
            "acquire": lambda lock=lock: lock.acquire(blocking=False),
            "release": lock.release,
            "put": lambda passing=passing: passing.put(1, block=False),
            "get": lambda passing=passing: passing.get(block=False),
            "set": event.set,
            "clear": event.clear,
        }
        seen = []
        for step in steps:
            try:
                seen.append(actions[step]())
            except (RuntimeError, queue.Full, queue.Empty) as error:
                seen.append(type(error))
            seen.append((event.is_set(), passing.qsize()))
        answers.append(seen)
    assert answers[0] == answers[1]


def test_thread_runtime_is_the_standard_library():
    """On threads there is nothing of ours in the way."""
    runtime = ThreadRuntime()
    assert type(runtime.lock()) is type(threading.Lock())
    assert type(runtime.rlock()) is type(threading.RLock())
    assert type(runtime.condition()) is threading.Condition
    assert type(runtime.event()) is threading.Event
    assert type(runtime.queue()) is queue.Queue
