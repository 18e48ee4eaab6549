"""A conductor as a process of its own, one of a group.

``python conductor.py NAME URL JOURNAL LOG PARTITIONS`` takes requests for
what is its part, from the file ``LOG.todo``, until its input ends. It
appends "effect ID NAME" to ``LOG`` when something is done, and
"acknowledged ID NAME" when a request was.
"""

from __future__ import annotations

import os
import pathlib
import sys
import threading
import time

from parallelops import load_executor
from parallelops.containers import (
    Affinity,
    ContainerOperations,
    ContainerQuarantined,
    Handler,
    NotOwned,
    Rebalancer,
    SQLiteJournal,
    State,
)
from parallelops.containers.coordination import ToozMembership

LEASE = 1.0
WORK = 0.03  # seconds, so that who is killed is at something
ACTIONS = ("once", "again", "ask")


class Log:
    """What several processes append to; SIGKILL spares it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, *words):
        os.write(self.file, f"{' '.join(words)}\n".encode())

    def lines(self):
        """What is in it, in words."""
        return [line.split() for line in self.path.read_text().splitlines()]


def request(operations, todo, log, name, ended):
    """Ask for all that is to be done and is ours, over and over."""
    left = {line[0]: line for line in todo}
    while left and not ended.wait(0.02):
        for key, (_, container, action) in list(left.items()):
            if ended.is_set():
                return
            try:
                operations.submit(container, action, operation_id=key)
            except (NotOwned, ContainerQuarantined):
                continue
            log("acknowledged", key, name)
            del left[key]


def main(name, url, path, logged, partitions):
    """Live until the input ends."""
    log = Log(logged)
    todo = Log(f"{logged}.todo").lines()
    affinity = Affinity([name], partitions=int(partitions))

    def act(call):
        log("effect", call.operation, name)
        time.sleep(WORK)

    def ask(call):
        done = any(w[:2] == ["effect", call.operation] for w in log.lines())
        return State.SUCCEEDED if done else State.ACCEPTED

    ended = threading.Event()
    with (
        SQLiteJournal(path, busy_timeout=20) as journal,
        load_executor("thread", max_workers=3) as executor,
        ContainerOperations(
            executor,
            handlers={
                "once": act,
                "again": Handler(act, recovery="idempotent"),
                "ask": Handler(act, recovery="reconcile", reconcile=ask),
            },
            journal=journal,
            owner=name,
            scope_of=affinity.scope_of,
            lease_seconds=LEASE,
        ) as operations,
        Rebalancer(operations, ToozMembership(url, name), affinity),
    ):
        log("begins", name, str(os.getpid()))
        asking = threading.Thread(
            target=request, args=(operations, todo, log, name, ended)
        )
        asking.start()
        sys.stdin.read()
        ended.set()
        asking.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
