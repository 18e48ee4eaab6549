"""One who operates on containers, and what is left when it dies.

``python lives.py kill FOLDER POINT...`` lives once for each point, in a
process that dies at that write, sync, link or removal (0: never), and then
once more to the end. It prints what came of it, a line of JSON each.

``python lives.py record FOLDER`` lives once and prints, as JSON, the
requests, their effects and what was written to the disk, in one list.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
import sys
import threading

from tests.containers import disk

from parallelops import load_executor
from parallelops.containers import ContainerOperations, Handler, SQLiteJournal
from parallelops.containers.operation import State

OPERATIONS = 50
CONTAINERS = 5
ACTIONS = ("once", "again", "ask")


class Engine:
    """Its effects outlive it: they are appended to a file."""

    def __init__(self, tell):
        self.tell = tell
        self.effects = set()
        self.handlers = {
            "once": self.act,
            "again": Handler(self.act, recovery="idempotent"),
            "ask": Handler(self.act, recovery="reconcile", reconcile=self.ask),
        }

    def act(self, call):
        self.tell("effect", call.operation)

    def ask(self, call):
        done = call.operation in self.effects
        return State.SUCCEEDED if done else State.ACCEPTED


def requests(first=0):
    """What is requested: container, action and id, over and over."""
    for number in range(first, first + OPERATIONS):
        yield f"c{number % CONTAINERS}", ACTIONS[number % 3], f"o{number:03}"


def live(path, tell, kind="thread", pages=1000):
    """Request them all, from two threads, and see them done. The log begins
    anew after that many pages."""
    engine = Engine(tell)
    with (
        SQLiteJournal(path) as journal,
        load_executor(kind, max_workers=3) as executor,
        ContainerOperations(
            executor, handlers=engine, journal=journal, owner="first"
        ) as operations,
    ):
        journal._writer.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        operations.recover()
        todo = list(requests())

        def request(part):
            for container, action, name in part:
                operations.submit(container, action, operation_id=name)
                tell("acknowledged", name)

        halves = [
            [r for r in todo if (int(r[0][1:]) < 2) == low]
            for low in (True, False)
        ]
        threads = [
            threading.Thread(target=request, args=(half,)) for half in halves
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def live_again(path, effects):
    """Recover what is there, and do it; what there is then."""
    again = []
    engine = Engine(lambda kind, name: again.append(name))
    engine.effects = set(effects)
    states = []
    for _ in range(2):  # the second time there is nothing left to do
        with (
            SQLiteJournal(path) as journal,
            load_executor("serial") as executor,
            ContainerOperations(
                executor, handlers=engine, journal=journal, owner="second"
            ) as operations,
        ):
            operations.recover()
            operations.shutdown(cancel_futures=True)
            states.append([entry.as_dict() for entry in journal.entries()])
    return {"again": again, "entries": states[0], "same": states[1]}


def check(acknowledged, effects, result):
    """No acknowledged operation is lost, none that must not be is done
    twice, the order is kept, and recovering again changes nothing."""
    entries = {entry["id"]: entry for entry in result["entries"]}
    assert result["same"] == result["entries"]
    assert set(acknowledged) <= set(entries)
    assert set(effects) <= set(entries), "an effect that nobody knows of"
    all_effects = [*effects, *result["again"]]
    unknown = {
        entry["container"]
        for entry in entries.values()
        if entry["state"] == "unknown"
    }
    for name, entry in entries.items():
        times = all_effects.count(name)
        if entry["action"] != "again":
            assert times <= 1, f"{name} was done twice"
        match entry["state"]:
            case "succeeded":
                assert times
            case "unknown":
                assert entry["action"] == "once"
            case "accepted":
                assert entry["container"] in unknown, f"{name} was forgotten"
                assert not times
            case other:
                raise AssertionError(f"{name} is {other}")
    for number in range(CONTAINERS):
        mine = [
            entries[name]["sequence"]
            for name in all_effects
            if entries[name]["container"] == f"c{number}"
        ]
        assert mine == sorted(mine), "out of order"


class Log:
    """What was acknowledged and what had an effect; SIGKILL spares it."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, kind, name):
        os.write(self.file, f"{kind} {name}\n".encode())


def kill(folder, points):
    """Die at each of the points."""
    for point in points:
        place = folder / str(point)
        place.mkdir()
        child = os.fork()
        if not child:
            die_at(point, place)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        log = (place / "log").read_text() if (place / "log").exists() else ""
        lines = [line.split() for line in log.splitlines()]
        came = {
            kind: [name for k, name in lines if k == kind]
            for kind in ("acknowledged", "effect", "events")
        }
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            left = live_again(place / "journal", came["effect"])
            with os.fdopen(writer, "w") as out:
                json.dump(left, out)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as incoming:
            left = json.loads(incoming.read() or "null")
        os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        result = {"point": point, "killed": killed, "left": left} | came
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


def die_at(point, place):
    """Live until that event."""
    log = Log(place / "log")
    lock = threading.Lock()
    count = [0]

    def event(*what):
        with lock:
            count[0] += 1
            if count[0] == point:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(function):
        def call(*args, **kwargs):
            event()
            return function(*args, **kwargs)

        return call

    for name in ("fsync", "link", "unlink"):
        setattr(os, name, before(getattr(os, name)))
    disk.watch(event)
    live(place / "journal", log)
    log("events", str(count[0]))


def record(folder):
    """Live once, and tell all that happened."""
    path = folder / "journal"
    SQLiteJournal(path).close()
    base = path.read_bytes()
    events = []

    def tell(kind, name, offset=0, data=b""):
        # One step in CPython.
        events.append(
            (
                kind,
                pathlib.Path(name).name,
                offset,
                base64.b64encode(data).decode(),
            )
        )

    disk.watch(tell)
    live(path, tell, pages=16)
    json.dump(
        {"base": base64.b64encode(base).decode(), "events": events},
        sys.stdout,
    )


if __name__ == "__main__":
    what, folder, *points = sys.argv[1:]
    if what == "kill":
        kill(pathlib.Path(folder), [int(point) for point in points])
    else:
        record(pathlib.Path(folder))
