"""Metrics of executors and scrubbers, for Prometheus and OpenTelemetry.

Both client libraries keep their numbers under locks that are not reentrant.
So a signal handler must not submit to an executor with these metrics: if the
executor is full, the handler would count that, and could wait for ever for
the thread that it interrupted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from parallelops import events
from parallelops.errors import MissingDependency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.metrics import Meter
    from prometheus_client import CollectorRegistry

    from parallelops.events import Observer

__all__ = ["BUCKETS", "opentelemetry", "prometheus"]

# From quick calls to slow deletes, in seconds.
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)

Labels = dict[str, str]
Record = Callable[[float, Labels], object]

_TASKS = "Tasks that are done, by outcome."
_SATURATED = "Submits that found the executor full, by what was done."
_WORKERS = "Workers that are alive."
_WAITED = "Seconds that tasks waited for a worker."
_RAN = "Seconds that tasks ran."
_BACKLOG = "Images that were due when the last run began."
_OLDEST = "Seconds for which the first of them was, 0 without one."
_PARKED = "Locations that were parked then."
_LOCATIONS = "Locations that were recorded, by outcome."
_THROTTLED = "How often a store asked for fewer calls."
_DELETE = "Seconds until a store answered a delete."


def prometheus(
    registry: CollectorRegistry | None = None,
    *,
    by_task: bool = False,
    buckets: Sequence[float] = BUCKETS,
) -> Observer:
    """An observer that keeps metrics for Prometheus.

    They are labelled with the name of the executor, so give yours names.
    Make one observer for each registry, and hand it to all executors:

    - ``parallelops_tasks_total``, by ``outcome``;
    - ``parallelops_saturated_total``, by ``policy``;
    - ``parallelops_workers``;
    - ``parallelops_task_wait_seconds``, a histogram;
    - ``parallelops_task_run_seconds``, a histogram.

    Of scrubbers, when they are handed the observer as well:

    - ``parallelops_scrub_backlog``, ``parallelops_scrub_oldest_seconds`` and
      ``parallelops_scrub_parked``, as each run finds them when it begins;
    - ``parallelops_scrub_locations_total``, by ``store`` and ``outcome``;
    - ``parallelops_scrub_throttled_total``, by ``store``;
    - ``parallelops_scrub_delete_seconds``, a histogram by ``store``.

    Args:
        registry: where they are registered; by default the process's own.
        by_task: label those of tasks with the ``function`` as well. Each
            function makes its own time series.
        buckets: the bounds of the histograms, in seconds.

    Raises:
        MissingDependency: prometheus_client is not installed.
        ValueError: the registry has them already.
    """
    try:
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram
    except ImportError as error:
        raise MissingDependency(
            "the Prometheus observer", "prometheus_client", "prometheus"
        ) from error
    if registry is None:
        registry = REGISTRY
    of_task = ["executor", "function"] if by_task else ["executor"]

    tasks = Counter(
        "parallelops_tasks",
        _TASKS,
        [*of_task, "outcome"],
        registry=registry,
    )
    saturated = Counter(
        "parallelops_saturated",
        _SATURATED,
        ["executor", "policy"],
        registry=registry,
    )
    workers = Gauge(
        "parallelops_workers", _WORKERS, ["executor"], registry=registry
    )
    waited = Histogram(
        "parallelops_task_wait_seconds",
        _WAITED,
        of_task,
        registry=registry,
        buckets=buckets,
    )
    ran = Histogram(
        "parallelops_task_run_seconds",
        _RAN,
        of_task,
        registry=registry,
        buckets=buckets,
    )
    scrub = ["executor", "store"]
    backlog, oldest, parked = (
        Gauge(name, text, ["executor"], registry=registry)
        for name, text in (
            ("parallelops_scrub_backlog", _BACKLOG),
            ("parallelops_scrub_oldest_seconds", _OLDEST),
            ("parallelops_scrub_parked", _PARKED),
        )
    )
    locations = Counter(
        "parallelops_scrub_locations",
        _LOCATIONS,
        [*scrub, "outcome"],
        registry=registry,
    )
    throttled = Counter(
        "parallelops_scrub_throttled", _THROTTLED, scrub, registry=registry
    )
    delete = Histogram(
        "parallelops_scrub_delete_seconds",
        _DELETE,
        scrub,
        registry=registry,
        buckets=buckets,
    )
    return _Metrics(
        backlog=lambda value, labels: backlog.labels(**labels).set(value),
        oldest=lambda value, labels: oldest.labels(**labels).set(value),
        parked=lambda value, labels: parked.labels(**labels).set(value),
        locations=lambda value, labels: locations.labels(**labels).inc(value),
        throttled=lambda value, labels: throttled.labels(**labels).inc(value),
        delete=lambda value, labels: delete.labels(**labels).observe(value),
        tasks=lambda value, labels: tasks.labels(**labels).inc(value),
        saturated=lambda value, labels: saturated.labels(**labels).inc(value),
        workers=lambda value, labels: workers.labels(**labels).inc(value),
        waited=lambda value, labels: waited.labels(**labels).observe(value),
        ran=lambda value, labels: ran.labels(**labels).observe(value),
        by_task=by_task,
    )


def opentelemetry(
    meter: Meter | None = None,
    *,
    by_task: bool = False,
    buckets: Sequence[float] = BUCKETS,
) -> Observer:
    """An observer that keeps metrics with OpenTelemetry.

    They have the name of the executor as an attribute, so give yours names:

    - ``parallelops.tasks``, a counter, by ``outcome``;
    - ``parallelops.saturated``, a counter, by ``policy``;
    - ``parallelops.workers``, an up-down counter;
    - ``parallelops.task.wait`` and ``parallelops.task.run``, histograms of
      seconds.

    Of scrubbers, when they are handed the observer as well:

    - ``parallelops.scrub.backlog``, ``parallelops.scrub.oldest`` and
      ``parallelops.scrub.parked``, gauges;
    - ``parallelops.scrub.locations``, a counter, by ``store`` and
      ``outcome``;
    - ``parallelops.scrub.throttled``, a counter, by ``store``;
    - ``parallelops.scrub.delete``, a histogram of seconds, by ``store``.

    Args:
        meter: what makes them; by default the global provider's.
        by_task: give those of tasks the attribute ``function`` as well.
            Each function makes its own time series.
        buckets: the bounds of the histograms, in seconds, unless a view of
            the service says otherwise.

    Raises:
        MissingDependency: the API of OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.metrics import Observation, get_meter
    except ImportError as error:
        raise MissingDependency(
            "the OpenTelemetry observer", "opentelemetry", "opentelemetry"
        ) from error
    if meter is None:
        meter = get_meter("parallelops")

    def gauge(name: str, unit: str, text: str) -> Record:
        # One that is asked: most SDKs export what a gauge is set to once, and
        # a scrub is set off less often than metrics are exported.
        last: dict[tuple[tuple[str, str], ...], float] = {}

        def observed(_: object) -> list[Observation]:
            return [Observation(x, dict(key)) for key, x in [*last.items()]]

        meter.create_observable_gauge(name, [observed], unit, text)
        return lambda number, labels: last.update(
            {tuple(labels.items()): number}
        )

    return _Metrics(
        backlog=gauge("parallelops.scrub.backlog", "{image}", _BACKLOG),
        oldest=gauge("parallelops.scrub.oldest", "s", _OLDEST),
        parked=gauge("parallelops.scrub.parked", "{location}", _PARKED),
        locations=meter.create_counter(
            "parallelops.scrub.locations", "{location}", _LOCATIONS
        ).add,
        throttled=meter.create_counter(
            "parallelops.scrub.throttled", "{call}", _THROTTLED
        ).add,
        delete=meter.create_histogram(
            "parallelops.scrub.delete",
            "s",
            _DELETE,
            explicit_bucket_boundaries_advisory=buckets,
        ).record,
        tasks=meter.create_counter("parallelops.tasks", "{task}", _TASKS).add,
        saturated=meter.create_counter(
            "parallelops.saturated", "{submit}", _SATURATED
        ).add,
        workers=meter.create_up_down_counter(
            "parallelops.workers", "{worker}", _WORKERS
        ).add,
        waited=meter.create_histogram(
            "parallelops.task.wait",
            "s",
            _WAITED,
            explicit_bucket_boundaries_advisory=buckets,
        ).record,
        ran=meter.create_histogram(
            "parallelops.task.run",
            "s",
            _RAN,
            explicit_bucket_boundaries_advisory=buckets,
        ).record,
        by_task=by_task,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Metrics:
    """Each is called with a number to add or to record, and its labels.

    It remembers no task: events say how long it took.
    """

    tasks: Record
    saturated: Record
    workers: Record
    waited: Record
    ran: Record
    backlog: Record
    oldest: Record
    parked: Record
    locations: Record
    throttled: Record
    delete: Record
    by_task: bool

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.TaskStarted():
                self.waited(event.waited, self._of_task(event))
            case events.TaskFinished():
                if event.ran is not None:
                    self.ran(event.ran, self._of_task(event))
                outcome: Labels = {"outcome": event.outcome}
                self.tasks(1, self._of_task(event) | outcome)
            case events.Saturated(executor=name, policy=policy):
                self.saturated(1, {"executor": name, "policy": policy})
            case events.WorkerStarted(executor=name):
                self.workers(1, {"executor": name})
            case events.WorkerStopped(executor=name):
                self.workers(-1, {"executor": name})
            case events.ScrubEvent():
                self._scrub(event)

    def _scrub(self, event: events.ScrubEvent) -> None:
        labels: Labels = {"executor": event.executor}
        match event:
            case events.ScrubStarted():
                self.backlog(event.images, labels)
                self.oldest(event.oldest_age or 0.0, labels)
                self.parked(event.parked, labels)
            case events.LocationRecorded(outcome=outcome, store=store):
                self.locations(1, labels | _of(store) | {"outcome": outcome})
            case events.StoreThrottled(store=store):
                self.throttled(1, labels | _of(store))
            case events.DeleteTried(store=store):
                self.delete(event.seconds, labels | _of(store))

    def _of_task(
        self, event: events.TaskStarted | events.TaskFinished
    ) -> Labels:
        if self.by_task:
            return {"executor": event.executor, "function": event.name}
        return {"executor": event.executor}


def _of(store: str | None) -> Labels:
    return {"store": store or ""}
