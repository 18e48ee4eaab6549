"""The reference of events and metrics has all of them, and no others."""

from __future__ import annotations

import dataclasses
import re
import types
from pathlib import Path

import pytest

from parallelops import events, observe

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/events.md"


def rows(heading):
    """The rows of the first table below a heading, without their marks."""
    part = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")
    lines = [x for x in part[0].splitlines() if x.startswith("| `")]
    return [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in lines
    ]


@pytest.mark.parametrize(
    ("heading", "base"),
    [
        ("Events of executors", events.ExecutorEvent),
        ("Events of scrubbers", events.ScrubEvent),
    ],
)
def test_each_event_is_there(heading, base):
    """With the fields that it has besides those of its base."""
    inherited = {field.name for field in dataclasses.fields(base)}
    expected = {
        kind.__name__: ", ".join(
            field.name
            for field in dataclasses.fields(kind)
            if field.name not in inherited
        )
        for kind in base.__subclasses__()
    }
    assert {row[0]: row[1] for row in rows(heading)} == expected
    assert set(expected) <= set(events.__all__)


def test_each_metric_of_prometheus_is_there():
    """With its kind, and what it says of itself."""
    client = pytest.importorskip("prometheus_client")
    registry = client.CollectorRegistry()
    observe.prometheus(registry)
    expected = {
        metric.name + "_total" * (metric.type == "counter"): (
            metric.type,
            metric.documentation,
        )
        for metric in registry.collect()
    }
    assert {row[0]: (row[2], row[4]) for row in rows("Metrics")} == expected


def test_each_metric_of_opentelemetry_is_there():
    """Beside that of Prometheus."""
    pytest.importorskip("opentelemetry.metrics")
    made = []

    def create(name, **_):
        made.append(name)
        return types.SimpleNamespace(add=None, set=None, record=None)

    class Meter:
        def __getattr__(self, name):
            assert re.match("create_", name)
            return lambda name, *_, **__: create(name)

    observe.opentelemetry(Meter())
    assert {row[1] for row in rows("Metrics")} == set(made)
