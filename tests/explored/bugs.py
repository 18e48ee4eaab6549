"""Six bugs that are easy to make and hard to see.

Each is a function of a ``Sim``, or of something else that has a ``runtime``
and runs functions ``together``.
"""

from __future__ import annotations


def lost_update(sim):
    """Two calls, each with the lock: what is read is old when it is
    written."""
    lock = sim.runtime.lock()
    balance = [0]

    def read():
        with lock:
            return balance[0]

    def write(value):
        with lock:
            balance[0] = value

    def deposit():
        write(read() + 1)

    sim.together(deposit, deposit)
    assert balance[0] == 2


def lock_order(sim):
    """Two locks, taken in different orders."""
    one, two = sim.runtime.lock(), sim.runtime.lock()

    def forth():
        with one, two:
            pass

    def back():
        with two, one:
            pass

    sim.together(forth, back)


def lost_wake_up(sim):
    """The look at the condition is outside of the lock that guards it."""
    condition = sim.runtime.condition()
    ready = []

    def wait():
        if not ready:
            with condition:
                condition.wait()

    def wake():
        ready.append(1)
        with condition:
            condition.notify()

    sim.together(wait, wake)


def map_of_busy_containers(sim):
    """Whoever finds a container busy waits; two who wait go on together."""
    lock = sim.runtime.lock()
    busy = {}
    inside = []

    def operate():
        with lock:
            before = busy.get("container")
        if before is not None:
            before.wait()
        done = sim.runtime.event()
        with lock:
            busy["container"] = done
        inside.append(1)
        sim.runtime.sleep(0)
        assert len(inside) == 1, "two operations on one container"
        inside.pop()
        done.set()

    sim.together(operate, operate, operate)


def unlocked(sim):
    """No lock at all."""
    n = 0

    def add():
        nonlocal n
        v = n
        n = v + 1

    sim.together(add, add)
    assert n == 2


def restore_racing_a_scrub(sim):
    """The scrubber looks, and then deletes; meanwhile it was restored."""
    lock = sim.runtime.lock()
    status = {"image": "pending_delete"}
    data = {"image": b"data"}

    def scrub():
        with lock:
            due = status["image"] == "pending_delete"
        if due:
            data.pop("image")
            with lock:
                if status["image"] == "pending_delete":
                    status["image"] = "deleted"

    def restore():
        with lock:
            if status["image"] == "pending_delete":
                status["image"] = "active"

    sim.together(scrub, restore)
    assert status["image"] == "deleted" or "image" in data


BUGS = (
    lost_update,
    lock_order,
    lost_wake_up,
    map_of_busy_containers,
    unlocked,
    restore_racing_a_scrub,
)
# The one without a lock has no seams but its lines.
PREEMPT = {unlocked: ["explored/bugs.py"]}
