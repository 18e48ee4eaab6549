"""The fair queue: what holds whoever submits, and in whatever order."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops import load_executor
from parallelops.backends.fair import FairQueue
from parallelops.runtime import ThreadRuntime

LIMIT = 20


@dataclasses.dataclass(frozen=True)
class Task:
    """Stands in for a future, in order of arrival."""

    submitter: str
    number: int


class Line:
    """A fair queue, and what was put into it and not yet taken out."""

    def __init__(self):
        self.submitter = ""
        self.queue = FairQueue(
            ThreadRuntime(), lambda: self.submitter, threading.RLock()
        )
        self.inside = []
        self.numbers = itertools.count()

    def append(self, submitter):
        """Put one in."""
        self.submitter = submitter
        task = Task(submitter, next(self.numbers))
        self.inside.append(task)
        self.queue.append(task)
        return task

    def popleft(self):
        """Take one out, if there is one."""
        if not self.inside:
            with pytest.raises(IndexError):
                self.queue.popleft()
            return None
        task = self.queue.popleft()
        self.inside.remove(task)
        return task

    def remove(self, place):
        """Take out one in the midst, if there is one."""
        if self.inside:
            self.queue.remove(self.inside.pop(place % len(self.inside)))

    def clear(self):
        """Take all out."""
        self.queue.clear()
        self.inside.clear()

    def drain(self):
        """Take all out, one after the other."""
        return [self.popleft() for _ in self.inside.copy()]


steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from("abc")),
    st.tuples(st.just("append"), st.sampled_from("abc")),
    st.tuples(st.just("popleft")),
    st.tuples(st.just("remove"), st.integers(0, 50)),
    st.tuples(st.just("clear")),
)


@st.composite
def lines(draw):
    """A line to which things have happened."""
    line = Line()
    for name, *args in draw(st.lists(steps, max_size=40)):
        getattr(line, name)(*args)
    return line


@given(lines())
def test_it_holds_what_was_put_in(line):
    """Length and iteration tell what is there, in the order to come."""
    assert len(line.queue) == len(line.inside)
    expected = list(line.queue)
    assert collections.Counter(expected) == collections.Counter(line.inside)
    assert line.drain() == expected
    assert len(line.queue) == 0
    line.popleft()


@given(lines())
def test_each_submitter_is_served_in_order(line):
    """Of one submitter, first in is first out."""
    drained = line.drain()
    for submitter in "abc":
        own = [task.number for task in drained if task.submitter == submitter]
        assert own == sorted(own)


@given(lines(), st.integers(1, 4))
def test_who_is_new_waits_for_one_turn_of_each(line, tasks):
    """Before the n-th task of who comes anew, each other submitter is served
    n times at the most."""
    for _ in range(tasks):
        line.append("new")
    turn = 1
    served = collections.Counter()
    while turn <= tasks:
        task = line.popleft()
        if task.submitter == "new":
            turn += 1
        else:
            served[task.submitter] += 1
            assert served[task.submitter] <= turn


@given(lines(), st.sampled_from("abc"))
def test_nobody_is_held_up_by_those_who_come_later(line, submitter):
    """Between two turns of who is waiting, each other has two at the most,
    the rest of one round and the beginning of the next."""
    line.append(submitter)
    waiting = sum(task.submitter == submitter for task in line.inside)
    served = collections.Counter()
    while waiting:
        for other in "abc":
            if other != submitter:
                line.append(other)
        task = line.popleft()
        if task.submitter == submitter:
            waiting -= 1
            served.clear()
        else:
            served[task.submitter] += 1
            assert served[task.submitter] <= 2


@given(lines())
def test_what_is_not_there_cannot_be_removed(line):
    """It is an error, and changes nothing."""
    before = list(line.queue)
    with pytest.raises(ValueError):
        line.queue.remove(Task("stranger", -1))
    assert list(line.queue) == before


def test_who_cancels_loses_no_turn():
    """What was taken out of the queue is not counted against its
    submitter."""
    line = Line()
    for who in "aaaabbbb":
        line.append(who)
    for _ in range(3):
        line.remove(0)
    line.append("a")
    assert "".join(task.submitter for task in line.drain()) == "abbabb"


def test_submitters_are_forgotten():
    """The queue does not grow with those who were served long ago."""
    who = "busy"
    queue = FairQueue(ThreadRuntime(), lambda: who, threading.RLock())
    queue.append(who)
    for number in range(5000):
        for who in ("busy", f"submitter {number}"):
            queue.append(who)
        for _ in range(2):
            queue.popleft()
    assert len(queue) == 1
    assert len(queue._last) <= 1001
    queue.clear()
    assert not queue._last


def test_by_thread():
    """Threads take turns, if nothing else is said."""
    order = []
    with load_executor("thread", max_workers=1, fair=True) as executor:
        begun, gate = threading.Event(), threading.Event()
        executor.submit(lambda: begun.set() or gate.wait(LIMIT))
        assert begun.wait(LIMIT)

        def submit(who, times):
            for _ in range(times):
                executor.submit(order.append, who)

        submit("much", 3)
        thread = threading.Thread(target=submit, args=("late", 1))
        thread.start()
        thread.join(LIMIT)
        gate.set()
    assert order == ["much", "late", "much", "much"]


def test_a_submitter_that_cannot_be_told():
    """What cannot be a key is an error of submit, and takes no room."""
    with load_executor(
        "thread",
        max_workers=1,
        max_queue=0,
        on_saturation="reject",
        fair=list,
    ) as executor:
        for _ in range(3):
            with pytest.raises(TypeError, match="unhashable"):
                executor.submit(int)
        assert executor.stats().queued == 0


def test_wrap_carries_a_thread_local_there_and_back():
    """wrap takes what the submitting thread has to the worker, and brings
    back what the task leaves there."""
    local = threading.local()

    def carry(fn):
        bag = local.bag

        def call(*args, **kwargs):
            local.bag = bag
            try:
                return fn(*args, **kwargs)
            finally:
                del local.bag

        return call

    def task():
        local.bag.append("there")

    def has_bag():
        return hasattr(local, "bag")

    with load_executor("thread", max_workers=1, wrap=carry) as executor:
        local.bag = bag = ["here"]
        executor.submit(task).result(LIMIT)
        assert bag == ["here", "there"]
        assert executor.submit(has_bag).result(LIMIT)
    with pytest.raises(TypeError, match="wrap must be a callable"):
        load_executor("thread", wrap=1)


def test_wrap_that_fails():
    """What wrap raises is what submit raises, and takes no room."""

    def fail(fn):
        raise LookupError

    with load_executor("thread", max_workers=1, max_queue=0, wrap=fail) as ex:
        for _ in range(3):
            with pytest.raises(LookupError):
                ex.submit(int)
