"""The scripts that draw the pictures of the documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.test_project import FLOORS, SOURCE

from parallelops import load_executor
from parallelops.observe import ChromeTrace

pytestmark = pytest.mark.once

LIMIT = 60
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def run(script, *arguments):
    """Run one of the scripts."""
    subprocess.run(
        [sys.executable, "-W", "error", PICTURES / script, *arguments],
        timeout=LIMIT,
        check=True,
    )


def shapes(picture):
    """The elements of a picture, by class."""
    found = {}
    for element in ET.parse(picture).iter():
        found.setdefault(element.get("class"), []).append(element)
    return found


def titles(picture):
    """What is said of the shapes of a picture."""
    return [
        element.text
        for element in ET.parse(picture).iter()
        if element.tag.endswith("title")
    ]


def test_a_scrub_is_recorded_and_drawn(tmp_path):
    """It shows each delete; so does the picture that is kept."""
    # Of 40 images with one, two or three locations; and each of the two
    # stores is asked whether it is there.
    tasks = sum(1 + n % 3 for n in range(40)) + 2
    trace, picture = tmp_path / "trace.json", tmp_path / "picture.svg"
    run("record.py", trace)
    run("timeline.py", trace, picture)
    for file in (picture, PICTURES / "scrub-timeline.svg"):
        found = shapes(file)
        # The legend has one of each.
        assert len(found["slice"]) == tasks + 1
        assert len(found["mark"]) == tasks + 1
        assert len(found["arrow"]) == tasks + 1
        said = f"scrub: {tasks} tasks in 4 threads, "
        assert titles(file)[0].startswith(said)


def test_all_that_can_happen_is_drawn(tmp_path):
    """Failed, cancelled, nested, refused, and never ended."""
    trace, picture = tmp_path / "trace.json", tmp_path / "picture.svg"
    begun, go_on = threading.Event(), threading.Event()
    writer = ChromeTrace(trace)
    with load_executor(
        "thread",
        name="<&>",
        max_workers=1,
        max_queue=1,
        on_saturation="caller_runs",
        observers=[writer],
    ) as executor:
        nested = executor.submit(lambda: executor.submit(int).result(LIMIT))
        assert nested.result(LIMIT) == 0
        assert executor.submit(int, "x").exception(LIMIT)
        executor.submit(lambda: (begun.set(), go_on.wait(LIMIT)))
        assert begun.wait(LIMIT)
        waiting = executor.submit(int)
        executor.submit(int)
        waiting.cancel()
        writer.close()
        # As if the process had been killed.
        trace.write_text(trace.read_text().removesuffix("\n]\n"))
        go_on.set()
    run("timeline.py", trace, picture)
    said = titles(picture)
    assert said[0].startswith("<&>: 5 tasks in 2 threads, ")
    assert {"saturated", "cancelled builtins.int"} < set(said)
    ends = [text.rpartition(", ")[2] for text in said if "task " in text]
    assert sorted(ends) == ["failed", "not ended"] + 3 * ["succeeded"]


def test_an_empty_trace_is_drawn(tmp_path):
    """Nothing happened, and the picture says so."""
    trace, picture = tmp_path / "trace.json", tmp_path / "picture.svg"
    ChromeTrace(trace).close()
    run("timeline.py", trace, picture)
    assert titles(picture)[0].startswith("nothing: 0 tasks")


def names_of_rooms(picture):
    """What is written in its boxes."""
    texts = [e for e in ET.parse(picture).iter() if e.tag.endswith("text")]
    return {e.text for e in texts if e.get("class") is None}


def test_the_house_has_each_room(tmp_path):
    """In the picture that is kept too; the page has the floors."""
    picture = tmp_path / "house.svg"
    run("house.py", SOURCE / "parallelops", picture)
    rooms = set().union(*FLOORS) - {"__main__"}
    for file in (picture, PICTURES / "house.svg"):
        assert names_of_rooms(file) == rooms, "run: nox -s pictures"
    assert "executor uses watching" in titles(picture)
    assert "images uses download" not in titles(picture)
    page = (PICTURES.parent / "explanation" / "design.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.*?);? ?[^|`]*\|$", page, re.MULTILINE)
    told = {int(n) - 1: set(re.findall(r"`(\w+)`", text)) for n, text in rows}
    assert told == {n: x - {"__main__"} for n, x in enumerate(FLOORS)}


def test_rooms_that_use_each_other_are_on_one_floor(tmp_path):
    """And an import for types only is no use of a room."""
    for name, text in (
        ("a", "import house.b"),
        ("b", "from house import a, c"),
        ("c", "if TYPE_CHECKING:\n    import house.a"),
    ):
        (tmp_path / "house").mkdir(exist_ok=True)
        (tmp_path / "house" / f"{name}.py").write_text(text + "\n")
    run("house.py", tmp_path / "house", tmp_path / "house.svg")
    assert titles(tmp_path / "house.svg") == [
        "3 rooms on 2 floors",
        "a uses b",
        "b uses a",
        "b uses c",
    ]


def test_ratios_are_drawn(tmp_path):
    """One bar for each, to the right of 1 where ours costs less."""
    base = {"other": "<x>", "unit": "us", "theirs": 2.0, "ours": 1.0}
    results = [
        base | {"what": "more", "ratio": 2.0, "low": 1.5, "high": 3.0},
        base | {"what": "less", "ratio": 0.5, "low": 0.5, "high": 0.5},
    ]
    lines = [json.dumps(result | {"rounds": 3}) for result in results]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    run("ratios.py", tmp_path / "r.jsonl", tmp_path / "r.svg")
    more, less = shapes(tmp_path / "r.svg")["bar"]
    end = float(less.get("x")) + float(less.get("width"))
    assert abs(end - float(more.get("x"))) < 0.2
    assert "2 and 1 us, 3 rounds" in titles(tmp_path / "r.svg")


def test_a_herd_is_recorded_and_drawn(tmp_path):
    """Most comes from others; in the picture that is kept, too."""
    pytest.importorskip("libtorrent")
    results, picture = tmp_path / "herd.jsonl", tmp_path / "herd.svg"
    run("recordherd.py", results, "2", "1")
    head, *_, (_, has, read) = map(
        json.loads, results.read_text().splitlines()
    )
    assert head[:2] == [2, 1_000_000]
    assert (has, 0 < read <= has) == (2_000_000, True)
    run("herd.py", results, picture)
    for file, agents in ((picture, 2), (PICTURES / "herd.svg", 8)):
        found = shapes(file)
        assert len(found["swarm"]) == len(found["origin"]) == 1
        assert titles(file)[0].startswith(f"{agents} agents have ")
