"""What a trace has to be, as the format and its viewers have it."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json

import pytest

LANE_PHASES = "BEXisf"


@dataclasses.dataclass
class Trace:
    """The records of a trace, and what they say of each task."""

    records: list[dict]
    outcomes: dict[tuple[int, int], str]  # by executor and number

    def of(self, phase, **fields):
        """The records of a phase that have these fields."""
        return [
            record
            for record in self.records
            if record["ph"] == phase and fields.items() <= record.items()
        ]

    def names(self, kind):
        """The names of processes, or of threads."""
        return [r["args"]["name"] for r in self.of("M", name=f"{kind}_name")]

    def counts(self):
        """How many tasks had each outcome."""
        return collections.Counter(self.outcomes.values())


@pytest.fixture(scope="session")
def read_trace():
    """Reads a trace and sees that it keeps the rules."""
    return checked


def checked(path, *, ended=True):
    """Read a trace.

    Args:
        path: the file.
        ended: it was closed, when nothing ran any more and with nothing
            left out.
    """
    text = path.read_text()
    assert text.endswith("\n]\n") or not ended
    records = json.loads(text if text.endswith("]\n") else text + "]")
    by_lane = collections.defaultdict(list)
    for record in records:
        assert isinstance(record["pid"], int)
        assert isinstance(record["tid"], int)
        assert record["ph"] in "MC" + LANE_PHASES
        assert record["ph"] == "E" or isinstance(record["name"], str)
        if record["ph"] != "M":
            assert record["ts"] >= 0
            by_lane[record["pid"], record["tid"]].append(record)
    check_names(records)
    outcomes = {}
    for (_, tid), lane in by_lane.items():
        times = [record["ts"] for record in lane]
        assert times == sorted(times)
        if tid:
            check_nesting(lane, outcomes, ended=ended)
        else:
            assert {record["ph"] for record in lane} == {"C"}
            check_counters(lane, ended=ended)
    check_arrows(records, ended=ended)
    return Trace(records, outcomes)


def check_names(records):
    """Every process and every lane has one name, before it is used."""
    named = collections.Counter()
    for record in records:
        pid, tid = record["pid"], record["tid"]
        if record["ph"] == "M":
            if record["name"].endswith("_name"):
                named[record["name"], pid, tid] += 1
                assert record["args"]["name"]
            continue
        assert named["process_name", pid, 0]
        if record["ph"] in LANE_PHASES:
            assert named["thread_name", pid, tid]
    assert set(named.values()) <= {1}


def check_nesting(lane, outcomes, *, ended):
    """Slices of one lane lie side by side, or one in the other; each task
    has one slice, or was cancelled once."""
    stack = []
    free = 0.0
    for record in lane:
        if record["ph"] != "s":
            assert record["ts"] >= free  # a submit is over
        match record["ph"]:
            case "X":
                free = record["ts"] + record["dur"]
            case "B":
                stack.append((record["pid"], record["args"]["task"]))
            case "E":
                task = stack.pop()
                assert task not in outcomes
                outcomes[task] = record["args"]["outcome"]
            case "i":
                assert record["s"] == "t"
                if record["name"].startswith("cancelled "):
                    task = (record["pid"], record["args"]["task"])
                    assert task not in outcomes
                    outcomes[task] = "cancelled"
    assert not stack or not ended


def check_counters(lane, *, ended):
    """Nothing is ever below zero, and nothing is left at the end."""
    for record in lane:
        assert set(record["args"]) == {"queued", "running"}
        assert min(record["args"].values()) >= 0
    if ended:
        assert lane[-1]["args"] == {"queued": 0, "running": 0}


def check_arrows(records, *, ended):
    """Each arrow has a begin and an end, and slices that it binds to."""
    ends = collections.defaultdict(list)
    for before, record in itertools.pairwise(records):
        if record["ph"] not in "sf":
            continue
        assert (record["cat"], record["name"]) == ("submit", "submit")
        ends[record["id"]].append(record)
        assert before["ph"] in ("X" if record["ph"] == "s" else "Bi")
        for field in ("pid", "tid", "ts"):
            assert before[field] == record[field]
        assert record["ph"] == "s" or record["bp"] == "e"
    for arrow in ends.values():
        phases = [record["ph"] for record in arrow]
        assert phases == ["s", "f"] or (phases == ["s"] and not ended)
        assert arrow[0]["ts"] <= arrow[-1]["ts"]
