"""Metrics, as a real registry and a real SDK have them."""

from __future__ import annotations

import collections
import sys
import threading

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

from parallelops import ExecutorSaturated, MissingDependency, load_executor
from parallelops.events import (
    DeleteTried,
    Event,
    LocationRecorded,
    Saturated,
    ScrubEnded,
    ScrubStarted,
    StoreThrottled,
    TaskFinished,
    TaskStarted,
    TaskSubmitted,
)
from parallelops.observe import opentelemetry, prometheus

LIMIT = 30


class Prometheus:
    """A registry of its own, read by names and labels."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def observer(self, **options):
        """An observer that adds to it."""
        return prometheus(self.registry, **options)

    def value(self, name, **labels):
        """A counter's or a gauge's value, in the words of OpenTelemetry."""
        name = name.replace(".", "_")
        gauge = name.endswith(("workers", "backlog", "parked", "_seconds"))
        total = "" if gauge else "_total"
        return self.registry.get_sample_value(name + total, labels)

    def histogram(self, name, **labels):
        """A histogram's count and sum."""
        name = f"{name.replace('.', '_')}_seconds"
        return tuple(
            self.registry.get_sample_value(name + suffix, labels)
            for suffix in ("_count", "_sum")
        )

    def labels(self):
        """All labels that occur, with their values."""
        found = collections.defaultdict(set)
        for metric in self.registry.collect():
            for sample in metric.samples:
                for label, value in sample.labels.items():
                    found[label].add(value)
        del found["le"]
        return dict(found)


class OpenTelemetry:
    """A provider of its own, read by names and attributes."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def observer(self, **options):
        """An observer that adds to it."""
        return opentelemetry(self.provider.get_meter("test"), **options)

    def points(self):
        """The name of each metric, with its points."""
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield metric.name, point

    def _point(self, name, labels):
        found = [
            point
            for metric, point in self.points()
            if metric == name and dict(point.attributes) == labels
        ]
        return found[0] if found else None

    def value(self, name, **labels):
        """A counter's value."""
        point = self._point(name, labels)
        return point and point.value

    def histogram(self, name, **labels):
        """A histogram's count and sum."""
        point = self._point(name, labels)
        return (point.count, point.sum) if point else (None, None)

    def labels(self):
        """All attributes that occur, with their values."""
        found = collections.defaultdict(set)
        for _, point in self.points():
            for label, value in point.attributes.items():
                found[label].add(value)
        return dict(found)


@pytest.fixture(params=[Prometheus, OpenTelemetry])
def metrics(request):
    """Somewhere to keep metrics."""
    return request.param()


def test_what_an_executor_does_is_counted(metrics):
    """Each outcome, each policy, and what is alive."""
    with load_executor(
        "thread",
        name="e",
        max_workers=1,
        max_queue=1,
        on_saturation="reject",
        observers=[metrics.observer()],
    ) as executor:
        for _ in range(3):
            executor.submit(int).result(LIMIT)
        assert executor.submit(int, "x").exception(LIMIT)
        assert metrics.value("parallelops.workers", executor="e") == 1
        begun, go_on = threading.Event(), threading.Event()
        executor.submit(lambda: (begun.set(), go_on.wait(LIMIT)))
        assert begun.wait(LIMIT)
        executor.submit(int).cancel()
        waiting = executor.submit(int)
        for _ in range(2):
            with pytest.raises(ExecutorSaturated):
                executor.submit(int)
        waiting.cancel()
        go_on.set()
    for outcome, number in (("succeeded", 4), ("failed", 1), ("cancelled", 2)):
        labels = {"executor": "e", "outcome": outcome}
        assert metrics.value("parallelops.tasks", **labels) == number
    labels = {"executor": "e", "policy": "reject"}
    assert metrics.value("parallelops.saturated", **labels) == 2
    assert metrics.value("parallelops.workers", executor="e") == 0
    for name in ("parallelops.task.wait", "parallelops.task.run"):
        count, seconds = metrics.histogram(name, executor="e")
        assert count == 5
        assert seconds > 0
    assert metrics.labels() == {
        "executor": {"e"},
        "outcome": {"succeeded", "failed", "cancelled"},
        "policy": {"reject"},
    }


def test_many_threads(metrics):
    """Nothing is lost when many executors and threads add to it."""
    observer = metrics.observer()
    executors = [
        load_executor("thread", name=f"e{n}", observers=[observer])
        for n in range(3)
    ]
    for executor in executors:
        with executor:
            executor.wait([executor.submit(int) for _ in range(500)], LIMIT)
    for executor in executors:
        labels = {"executor": executor.name, "outcome": "succeeded"}
        assert metrics.value("parallelops.tasks", **labels) == 500


def test_the_function_only_if_asked_for(metrics):
    """By task, there is one series for each function, and no more."""
    with load_executor(
        "serial", name="e", observers=[metrics.observer(by_task=True)]
    ) as executor:
        for number in range(5):
            executor.submit(pow, number, 2)
        executor.submit(int)
    assert metrics.labels() == {
        "executor": {"e"},
        "function": {"builtins.int", "builtins.pow"},
        "outcome": {"succeeded"},
    }
    count, _ = metrics.histogram(
        "parallelops.task.run", executor="e", function="builtins.pow"
    )
    assert count == 5


def test_times_are_those_of_the_events(metrics):
    """They need nothing but the event itself: what was never seen to begin
    is measured, and what never ends leaves nothing behind."""
    observer = metrics.observer()
    task = {"executor": "e", "name": "f", "time": 9.0}
    for number in range(100):
        observer(TaskSubmitted(task=number, **task))
    observer(TaskStarted(task=1, worker="w", waited=2.0, **task))
    observer(TaskStarted(task=2, worker="w", waited=0.5, **task))
    for outcome, worker, ran in (
        ("succeeded", "w", 0.25),
        ("cancelled", None, None),
    ):
        observer(
            TaskFinished(
                task=200, worker=worker, ran=ran, outcome=outcome, **task
            )
        )
    observer(Saturated(time=9.0, executor="e", policy="block"))
    observer(Event(time=9.0))
    assert metrics.histogram("parallelops.task.wait", executor="e") == (2, 2.5)
    assert metrics.histogram("parallelops.task.run", executor="e") == (1, 0.25)


def test_buckets(metrics):
    """The histograms have the bounds that they are given, in seconds."""
    with load_executor(
        "serial", name="e", observers=[metrics.observer(buckets=[0.5, 2.0])]
    ) as executor:
        executor.submit(int)
    if isinstance(metrics, Prometheus):
        text = generate_latest(metrics.registry).decode()
        assert text.count('le="0.5"') == text.count('le="2.0"') == 2
        assert text.count("le=") == 2 * 3
    else:
        bounds = [
            point.explicit_bounds
            for _, point in metrics.points()
            if hasattr(point, "explicit_bounds")
        ]
        assert bounds == [(0.5, 2.0)] * 2


def test_what_a_scrape_shows():
    """The names and texts that an operator sees."""
    metrics = Prometheus()
    with load_executor(
        "serial", name="e", observers=[metrics.observer()]
    ) as executor:
        executor.submit(int)
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert (
        "# HELP parallelops_tasks_total Tasks that are done, by outcome."
        in (lines)
    )
    assert "# TYPE parallelops_task_run_seconds histogram" in lines
    assert "# TYPE parallelops_workers gauge" in lines


def test_one_observer_for_each_registry():
    """A second one would count the same twice; the registry refuses."""
    metrics = Prometheus()
    metrics.observer()
    with pytest.raises(ValueError, match="parallelops_tasks"):
        metrics.observer()


@pytest.mark.parametrize(
    ("factory", "module"),
    [
        (prometheus, "prometheus_client"),
        (opentelemetry, "opentelemetry.metrics"),
    ],
)
def test_a_missing_package_is_named(factory, module, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency) as caught:
        factory()
    package = module.partition(".")[0]
    assert caught.value.name == package
    assert f"parallelops[{caught.value.extra}]" in str(caught.value)
    assert caught.value.extra == factory.__name__


def test_the_global_provider_is_the_default():
    """Without one of the service's, what is counted goes nowhere."""
    with load_executor("serial", observers=[opentelemetry()]) as executor:
        assert executor.submit(pow, 2, 3).result() == 8


def test_what_a_scrubber_does_is_counted(metrics):
    """By store and outcome, and never by image."""
    common = {"time": 1.0, "wall": 2.0, "executor": "e"}
    of_store = common | {"store": "s"}
    observer = metrics.observer()
    for event in (
        ScrubStarted(**common, images=7, oldest_age=None, parked=2),
        ScrubStarted(**common, images=5, oldest_age=60.0, parked=3),
        DeleteTried(**of_store, kind="done", seconds=0.5),
        DeleteTried(**of_store, kind="retry", seconds=1.5),
        StoreThrottled(**of_store, retry_after=1.0),
        LocationRecorded(
            **of_store,
            image="i",
            location=1,
            url="u",
            outcome="deleted",
            reason="",
            seconds=0.5,
        ),
        ScrubEnded(**common, locations=1, failures=0, seconds=1.0, error=""),
    ):
        observer(event)
    assert metrics.value("parallelops.scrub.backlog", executor="e") == 5
    assert metrics.value("parallelops.scrub.parked", executor="e") == 3
    labels = {"executor": "e", "store": "s"}
    assert metrics.value("parallelops.scrub.throttled", **labels) == 1
    assert metrics.histogram("parallelops.scrub.delete", **labels) == (2, 2.0)
    labels["outcome"] = "deleted"
    assert metrics.value("parallelops.scrub.locations", **labels) == 1
    assert set(metrics.labels()) == {"executor", "store", "outcome"}
