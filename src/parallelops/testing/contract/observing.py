"""Stats and events: what is told agrees with what happened."""

from __future__ import annotations

from typing import Any

from parallelops import events
from parallelops.executor import Stats, Traits
from parallelops.testing.contract.base import Part, log_of

__all__ = ["ObservingContract"]


class ObservingContract(Part):
    """What can be known of an executor from outside."""

    def test_says_what_it_is(self) -> None:
        """It has a name, traits and a runtime."""
        with self.executor(name="mine") as executor:
            assert executor.name == "mine"
            assert isinstance(executor.traits, Traits)
            assert executor.runtime.monotonic() >= 0

    def test_stats(self) -> None:
        """When nothing is going on, the counts are exact."""
        with self.executor(max_workers=3, max_queue=9) as executor:
            good = [executor.submit(int) for _ in range(30)]
            bad = [executor.submit(int, "x") for _ in range(7)]
            executor.wait(good + bad, self.limit)
            for future in bad:
                future.exception()
            stats = executor.stats()
            assert isinstance(stats, Stats)
            assert stats.succeeded == 30
            assert stats.failed == 7
            assert stats.queued == 0
            assert stats.running == 0
            executor.shutdown(timeout=self.limit)
            assert executor.stats().succeeded == 30

    def test_events(self) -> None:
        """Each task is submitted, started and finished, in that order."""
        seen: list[Any] = []
        with self.executor(
            "shared_memory", max_workers=2, observers=[seen.append], name="e"
        ) as executor:
            executor.submit(int).result(self.limit)
            executor.submit(int, "x").exception(self.limit)
            executor.shutdown(timeout=self.limit)
        tasks = [e for e in seen if hasattr(e, "task")]
        for number, outcome in ((1, "succeeded"), (2, "failed")):
            own = [e for e in tasks if e.task == number]
            assert [type(e) for e in own] == [
                events.TaskSubmitted,
                events.TaskStarted,
                events.TaskFinished,
            ]
            assert own[2].outcome == outcome
            assert own[1].worker == own[2].worker
            assert all(e.executor == "e" for e in own)
            assert all(e.name == "builtins.int" for e in own)
            assert own[0].time <= own[1].time <= own[2].time
            assert own[1].waited >= 0
            assert own[2].ran >= 0

    def test_events_of_workers_and_bounds(self) -> None:
        """Workers, cancelling and saturation are told of too."""
        seen: list[Any] = []
        with self.executor(
            "parallel",
            "bounded",
            "cancellable",
            "shared_memory",
            max_workers=1,
            max_queue=1,
            on_saturation="caller_runs",
            observers=[seen.append],
        ) as executor:
            with self.busy(executor, 1):
                future = executor.submit(int)
                executor.submit(int)
                future.cancel()
            executor.shutdown(timeout=self.limit)
        kinds = [type(event) for event in seen]
        assert kinds.count(events.WorkerStarted) == 1
        assert kinds.count(events.WorkerStopped) == 1
        (full,) = (e for e in seen if isinstance(e, events.Saturated))
        assert full.policy == "caller_runs"
        (cancelled,) = (
            e for e in seen if getattr(e, "outcome", "") == "cancelled"
        )
        assert cancelled.worker is None
        assert cancelled.ran is None

    def test_failing_observer(self) -> None:
        """What an observer raises is logged, and touches nothing."""

        def fail(_: events.Event) -> None:
            raise SystemExit

        seen: list[Any] = []
        with (
            log_of("parallelops") as records,
            self.executor(
                "shared_memory", observers=[fail, seen.append]
            ) as executor,
        ):
            assert executor.submit(pow, 2, 3).result(self.limit) == 8
        assert seen
        assert records

    def test_observer_may_submit(self) -> None:
        """An observer may use the executor it observes."""
        futures: list[Any] = []

        def submit_once(event: events.Event) -> None:
            if isinstance(event, events.TaskFinished) and not futures:
                futures.append(None)
                futures[0] = executor.submit(pow, 2, 4)

        with self.executor(
            "shared_memory", max_workers=1, observers=[submit_once]
        ) as executor:
            executor.submit(int).result(self.limit)
            assert futures[0].result(self.limit) == 16
