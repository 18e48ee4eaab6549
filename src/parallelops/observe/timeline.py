"""What happens in executors, in the words of the Chrome trace format.

An executor is drawn as a process, and each thread that works for it, or that
submits to it, as one of its lanes. The format is the "Trace Event Format" of
the Chromium project; its phases that occur here are

====== ==================================================================
``M``  the name of a process or of a lane, and where it is shown
``B``  a slice begins: a task began to run
``E``  the last slice of this lane that began ends
``X``  a slice that is complete: a submit
``s``  an arrow begins in the slice of this lane, at this time
``f``  an arrow ends; with ``"bp": "e"`` in the slice that it is in
``i``  something happened at this time, without a length
``C``  a counter has these values from now on
====== ==================================================================

A task is not written as one ``X``, so that what never ended can be seen.
Times are in microseconds.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from parallelops import events

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Record", "Thread", "Timeline"]

Record = dict[str, Any]
Thread = tuple[int, str]  # its identifier, and its name

# How long a submit is drawn. Viewers bind arrows to slices, not to points.
_TICK = 0.1
# Arrows are numbered across all executors; viewers read numbers up to 2**53.
_ARROWS = 1 << 32


@dataclasses.dataclass(slots=True)
class _Lane:
    """One thread in one executor.

    Attributes:
        tid: its number.
        until: what comes in this lane is no earlier.
        running: tasks that run in it, the outermost first; one that helps
            has several.
        open: how many of these have a slice that began.
    """

    tid: int
    until: float = 0.0
    running: int = 0
    open: int = 0

    def at(self, time: float) -> float:
        """When to draw what happened at ``time`` seconds."""
        self.until = max(self.until, time * 1e6)
        return self.until


@dataclasses.dataclass(slots=True)
class _Process:
    """One executor.

    Attributes:
        pid: its number.
        lanes: its threads.
        queued: tasks that wait.
        running: threads that run tasks.
        until: what its counters say from now on is no earlier.
    """

    pid: int
    lanes: dict[Thread, _Lane] = dataclasses.field(default_factory=dict)
    queued: int = 0
    running: int = 0
    until: float = 0.0


class Timeline:
    """Turns events into records. It is used by one thread at a time.

    Executors are told apart by their names. What it remembers grows with the
    executors and the threads that it has seen; workers that stopped are
    forgotten, tasks are never remembered.
    """

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}
        # Processes and lanes share their numbers: for some viewers a lane
        # with the number of its process is something special.
        self._numbers = itertools.count(1)

    def add(
        self, event: events.ExecutorEvent, thread: Thread
    ) -> Iterator[Record]:
        """What to write of an event that happened in ``thread``."""
        process = self._processes.get(event.executor)
        if process is None:
            process = _Process(next(self._numbers))
            self._processes[event.executor] = process
            yield from _named("process", process.pid, 0, event.executor)
        lane = process.lanes.get(thread)
        if lane is None:
            lane = process.lanes[thread] = _Lane(next(self._numbers))
            yield from _named("thread", process.pid, lane.tid, thread[1])
        at = lane.at(event.time)
        here = {"pid": process.pid, "tid": lane.tid, "ts": _rounded(at)}
        match event:
            case events.TaskSubmitted():
                lane.until += _TICK
                yield {
                    "ph": "X",
                    "name": f"submit {event.name}",
                    "cat": "submit",
                    "dur": _TICK,
                    "args": {"task": event.task},
                } | here
                yield _arrow("s", process, event.task) | here
                process.queued += 1
                yield _counters(process, at)
            case events.TaskStarted():
                yield {
                    "ph": "B",
                    "name": event.name,
                    "cat": "task",
                    "args": {"task": event.task},
                } | here
                yield _arrow("f", process, event.task) | here
                process.queued -= 1
                process.running += not lane.running
                lane.running += 1
                lane.open += 1
                yield _counters(process, at)
            case events.TaskFinished(worker=None):
                name = f"cancelled {event.name}"
                yield _instant(name, task=event.task) | here
                yield _arrow("f", process, event.task) | here
                process.queued -= 1
                yield _counters(process, at)
            case events.TaskFinished():
                yield _end(event) | here
                lane.open -= 1
                lane.running -= 1
                process.running -= not lane.running
                yield _counters(process, at)
            case events.Saturated():
                yield _instant("saturated", policy=event.policy) | here
            case events.WorkerStopped():
                del process.lanes[thread]

    def finish(
        self, event: events.ExecutorEvent, thread: Thread
    ) -> Iterator[Record]:
        """As :meth:`add`, but begin nothing: end what was begun."""
        process = self._processes.get(event.executor)
        if process is None:
            return
        lane = process.lanes.get(thread)
        if lane is None:
            return
        match event:
            case events.TaskStarted():
                lane.running += 1
            case events.TaskFinished(worker=str()):
                if lane.running == lane.open:
                    at = _rounded(lane.at(event.time))
                    where = {"pid": process.pid, "tid": lane.tid, "ts": at}
                    yield _end(event) | where
                    lane.open -= 1
                lane.running -= 1
            case events.WorkerStopped():
                del process.lanes[thread]


def _named(kind: str, pid: int, tid: int, name: str) -> Iterator[Record]:
    where = {"ph": "M", "pid": pid, "tid": tid}
    yield where | {"name": f"{kind}_name", "args": {"name": name}}
    # In the order in which they came.
    order = {"sort_index": tid or pid}
    yield where | {"name": f"{kind}_sort_index", "args": order}


def _arrow(phase: str, process: _Process, task: int) -> Record:
    # An arrow is known by its category, its name and its number.
    arrow = {
        "ph": phase,
        "name": "submit",
        "cat": "submit",
        "id": process.pid * _ARROWS + task,
    }
    return arrow | {"bp": "e"} if phase == "f" else arrow


def _end(event: events.TaskFinished) -> Record:
    return {"ph": "E", "args": {"outcome": event.outcome}}


def _instant(name: str, **args: Any) -> Record:
    return {"ph": "i", "s": "t", "name": name, "cat": "event", "args": args}


def _counters(process: _Process, at: float) -> Record:
    process.until = max(process.until, at)
    return {
        "ph": "C",
        "name": "tasks",
        "pid": process.pid,
        "tid": 0,
        "ts": _rounded(process.until),
        "args": {"queued": process.queued, "running": process.running},
    }


def _rounded(microseconds: float) -> float:
    return round(microseconds, 3)
