"""Groups and metrics under many schedules, in virtual time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from parallelops.errors import GroupFailed, TransferError
from parallelops.images import (
    Fetcher,
    GroupMember,
    Handled,
    ImageGroup,
    LocationEntry,
    LocationMetrics,
    SelectionContext,
)
from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(
    max(SCHEDULES // 5, 20),
    preempt=["parallelops/images/group.py", "parallelops/images/metrics.py"],
)


def entry(name):
    """A location of that name."""
    return LocationEntry(url=f"http://host-{name}/{name}")


@explored
def test_all_or_nothing(sim):
    """One fails at any moment: then nothing is there, and else all is; and
    what is shared is fetched once."""
    asked = []

    def handler(location, destination, context):
        name = location.url[-1]
        asked.append(name)
        for size in range(3):
            context.runtime.sleep(1)
            context.advance(size)
        if name == "b" and sim.seed % 2:
            raise TransferError("no")
        os.write(destination.create(), name.encode())
        return Handled("x")

    members = {
        name: GroupMember((entry(name[0]),)) for name in ("a", "a2", "b", "c")
    }
    told = []
    context = SelectionContext(runtime=sim.runtime)
    fetcher = Fetcher(handlers=[("x", handler)], context=context)
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "template"
        failures = {}
        with sim.executor(2) as executor:
            try:
                ImageGroup(members).fetch(
                    executor, fetcher, to, progress=told.append
                )
            except GroupFailed as error:
                failures = error.failures
        assert set(failures) == ({"b"} if sim.seed % 2 else set())
        found = {
            str(path.relative_to(folder)): path.read_text()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
    if failures:
        assert not found
    else:
        assert found == {
            "template/a": "a",
            "template/a2": "a",
            "template/b": "b",
            "template/c": "c",
        }
        assert sorted(asked) == ["a", "b", "c"]
    assert sorted(each.done for each in told) == [each.done for each in told]


@explored
def test_metrics_of_several_threads(sim):
    """Nothing measured is lost, and nothing stays in use."""
    metrics = LocationMetrics(runtime=sim.runtime, max_sources=2)
    locations = [entry("a"), entry("b")]

    def read():
        for _ in range(2):
            first = metrics.order(locations)[0]
            with metrics.measure(first) as measurement:
                sim.runtime.sleep(1)
                measurement.size = 100

    sim.together(read, read)
    found = metrics.statistics().values()
    assert round(sum(each.weight for each in found), 3) == 4
    assert not any(s.pending for s in metrics._sources.values())
