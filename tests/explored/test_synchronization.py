"""Primitives that are made of a runtime's locks, under many schedules."""

from __future__ import annotations

import os
import queue

from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(SCHEDULES, preempt=["parallelops/synchronization.py"])


@explored
def test_rlock(sim):
    """One thread at a time, at any depth."""
    lock = sim.runtime.rlock()
    inside = []

    def enter():
        for _ in range(2):
            with lock, lock:
                inside.append(1)
                sim.runtime.sleep(0)
                assert len(inside) == 1
                inside.pop()

    sim.together(enter, enter, enter)


@explored
def test_queue(sim):
    """Everything that goes in comes out, once, and in order."""
    passing = sim.runtime.queue(2)
    received = []

    def put(name):
        for n in range(3):
            passing.put((name, n))

    def get():
        for _ in range(3):
            received.append(passing.get())

    sim.together(lambda: put("a"), lambda: put("b"), get, get)
    assert sorted(received) == [(x, n) for x in "ab" for n in range(3)]


@explored
def test_queue_in_time(sim):
    """A get that gives up takes nothing with it."""
    passing = sim.runtime.queue(1)
    received = []

    def get():
        try:
            received.append(passing.get(timeout=1))
        except queue.Empty:
            received.append(None)

    def put():
        sim.runtime.sleep(1)
        passing.put("it")

    sim.together(get, get, put)
    left = passing.qsize()
    assert received.count("it") + left == 1


@explored
def test_condition(sim):
    """notify() wakes one that waits, if there is one."""
    condition = sim.runtime.condition()
    tickets = []
    served = []

    def wait():
        with condition:
            assert condition.wait_for(lambda: tickets, 10)
            served.append(tickets.pop())

    def wake():
        for n in range(2):
            with condition:
                tickets.append(n)
                condition.notify()

    sim.together(wait, wait, wake)
    assert sorted(served) == [0, 1]


@explored
def test_event(sim):
    """Whoever waits sees it, whenever it is set."""
    event = sim.runtime.event()

    def wait():
        assert event.wait()
        assert event.is_set()

    sim.together(wait, event.set, wait)
