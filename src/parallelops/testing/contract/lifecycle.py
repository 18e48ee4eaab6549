"""The end of an executor, from wherever it comes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from parallelops import events
from parallelops.errors import ExecutorShutdown, ShutdownTimeout
from parallelops.testing.contract.base import (
    Gate,
    Part,
    raised,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["LifecycleContract"]


class LifecycleContract(Part):
    """Shutdown, and being dropped."""

    def test_shutdown_waits(self) -> None:
        """After shutdown everything accepted is done."""
        with self.executor(max_workers=2) as executor:
            futures = [executor.submit(abs, n) for n in range(100)]
            executor.shutdown(timeout=self.limit)
            assert all(future.done() for future in futures)
            assert executor.stats().workers == 0
            executor.shutdown(timeout=self.limit)  # twice is as good as once

    def test_submit_after_shutdown(self) -> None:
        """It is refused, and never runs."""
        with self.executor("shared_memory") as executor:
            ran: list[int] = []
            executor.shutdown(timeout=self.limit)
            error = raised(ExecutorShutdown, executor.submit, ran.append, 1)
            assert str(error).startswith("cannot schedule new futures")
            assert not ran

    def test_shutdown_without_waiting(self) -> None:
        """What was accepted is still done."""
        with self.executor(
            "parallel", "shared_memory", max_workers=1
        ) as executor:
            with self.busy(executor, 1):
                futures = [executor.submit(abs, -n) for n in range(10)]
                executor.shutdown(wait=False)
            assert [f.result(self.limit) for f in futures] == list(range(10))

    def test_shutdown_cancels(self) -> None:
        """What nobody has begun is cancelled on demand, and nothing else."""
        with self.executor(
            "parallel", "cancellable", "shared_memory", max_workers=1
        ) as executor:
            ran: list[int] = []
            with self.busy(executor, 1):
                futures = [executor.submit(ran.append, n) for n in range(10)]
                told: list[object] = []
                futures[0].add_done_callback(told.append)
                executor.shutdown(wait=False, cancel_futures=True)
                assert all(future.cancelled() for future in futures)
                assert told == [futures[0]]
            executor.shutdown(timeout=self.limit)
            assert not ran
            assert executor.stats().cancelled == 10
            assert executor.stats().succeeded == 1

    def test_shutdown_in_a_task(self) -> None:
        """A task may shut its executor down; what was accepted is done."""
        with self.executor("shared_memory", max_workers=2) as executor:
            future = executor.submit(executor.shutdown)
            assert future.result(self.limit) is None
            raised(ExecutorShutdown, executor.submit, int)

    def test_shutdown_in_a_callback(self) -> None:
        """A callback may shut its executor down."""
        with self.executor("shared_memory", max_workers=2) as executor:
            done = executor.runtime.event()

            def shut_down(_: Future[Any]) -> None:
                executor.shutdown()
                done.set()

            executor.submit(int).add_done_callback(shut_down)
            assert done.wait(self.limit)
            raised(ExecutorShutdown, executor.submit, int)

    def test_shutdown_runs_out_of_time(self) -> None:
        """What does not end is named."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=1
            ) as executor,
            self.busy(executor, 1),
        ):
            error = raised(
                ShutdownTimeout, lambda: executor.shutdown(timeout=0.01)
            )
            assert "Gate.hold" in str(error)

    def test_with_block(self) -> None:
        """Leaving a with block waits for all of it."""
        with self.make(max_workers=2) as executor:
            futures = [executor.submit(abs, n) for n in range(10)]
        assert all(future.done() for future in futures)

    def test_with_block_that_fails(self) -> None:
        """An exception that passes through cancels what has not begun."""
        executor = self.make(max_workers=1)
        self.needs(executor, "parallel", "cancellable", "shared_memory")
        gate = Gate(executor, self.limit)
        ran: list[int] = []

        def block() -> None:
            with executor:
                executor.submit(gate.hold)
                gate.arrived(1)
                futures.extend(
                    executor.submit(ran.append, n) for n in range(5)
                )
                executor.runtime.spawn(open_when_cancelled, name="opener")
                raise LookupError

        def open_when_cancelled() -> None:
            self.until(executor, lambda: all(f.done() for f in futures))
            gate.open()

        futures: list[Future[Any]] = []
        raised(LookupError, block)
        assert all(future.cancelled() for future in futures)
        assert not ran

    def test_shutdown_races_submit(self) -> None:
        """Of submits that race a shutdown, each is refused or done."""
        with self.executor("shared_memory", max_workers=2) as first:
            runtime = first.runtime
        for _ in range(30):
            with self.executor(max_workers=2) as executor:
                accepted: list[Future[int]] = []
                refused = runtime.event()
                going = runtime.event()

                def submit(
                    executor: Any = executor,
                    accepted: Any = accepted,
                    refused: Any = refused,
                    going: Any = going,
                ) -> None:
                    try:
                        while True:
                            accepted.append(executor.submit(int))
                            going.set()
                            runtime.sleep(0)
                    except ExecutorShutdown:
                        refused.set()

                runtime.spawn(submit, name="submitter")
                assert going.wait(self.limit)
                executor.shutdown(timeout=self.limit)
                assert refused.wait(self.limit)
                done = executor.wait(accepted, self.limit)
                assert not done.not_done
                assert not any(f.cancelled() for f in accepted)

    def test_shutdown_in_the_midst_of_a_submit(self) -> None:
        """A submit that a shutdown overtakes is refused and never runs, or
        its task is done, be there a worker left or not."""

        def shut_down(fn: Any) -> Any:
            if fn is not hold:
                executor.shutdown(wait=False)
            return fn

        for busy in (1, 0):
            with self.executor(
                "parallel", "shared_memory", max_workers=1, wrap=shut_down
            ) as executor:
                gate = Gate(executor, self.limit)
                hold = gate.hold
                for _ in range(busy):
                    executor.submit(hold)
                gate.arrived(busy)
                ran: list[int] = []
                accepted: list[Any] = []
                try:
                    accepted.append(executor.submit(ran.append, 1))
                except ExecutorShutdown:
                    pass
                gate.open()
                for future in accepted:
                    future.result(self.limit)
                executor.shutdown(timeout=self.limit)
                assert len(ran) == len(accepted)

    def test_dropped(self) -> None:
        """An executor that nobody holds does its work, and ends."""
        stopped: list[Any] = []

        def observe(event: object) -> None:
            if isinstance(event, events.WorkerStopped):
                stopped.append(event)

        executor = self.make(max_workers=1, observers=[observe])
        self.needs(executor, "parallel", "shared_memory")
        runtime = executor.runtime
        gate = Gate(executor, self.limit)
        executor.submit(gate.hold)
        gate.arrived(1)
        future = executor.submit(pow, 2, 5)
        stats = executor.stats
        del executor, stats
        gc.collect()
        gate.open()
        end = runtime.monotonic() + self.limit
        while not stopped and runtime.monotonic() < end:
            runtime.sleep(0.001)
        assert future.result(0) == 32
        assert stopped
