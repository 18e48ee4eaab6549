"""Workers: how many, what they are called, how they begin."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from parallelops.testing.contract.base import (
    Gate,
    Part,
    log_of,
    raised,
)

__all__ = ["WorkersContract"]


class WorkersContract(Part):
    """Number, names, initializer, and resizing."""

    def test_all_workers_at_once(self) -> None:
        """As many tasks run at the same time as there are workers."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=5
            ) as executor,
            self.busy(executor, 5),
        ):
            stats = executor.stats()
            assert stats.running == stats.workers == 5

    def test_never_more_workers(self) -> None:
        """There are never more tasks running than max_workers."""
        with self.executor("shared_memory", max_workers=3) as executor:
            lock = executor.runtime.lock()
            running = [0, 0]  # now, at most

            def task() -> None:
                with lock:
                    running[0] += 1
                    running[1] = max(running)
                executor.runtime.sleep(0)
                with lock:
                    running[0] -= 1

            executor.wait(
                [executor.submit(task) for _ in range(300)], self.limit
            )
            assert 1 <= running[1] <= 3

    def test_sizes_are_checked(self) -> None:
        """Numbers that cannot be are refused at once."""
        for bad in ({"max_workers": 0}, {"max_workers": -1}):
            raised(ValueError, lambda b=bad: self.make(**b))
        raised(TypeError, lambda: self.make(max_workers="4"))
        raised(ValueError, lambda: self.make(max_queue=-1))
        raised(ValueError, lambda: self.make(on_saturation="explode"))
        raised(ValueError, lambda: self.make(idle_timeout=float("nan")))
        raised(TypeError, lambda: self.make(initializer=1))

    def test_names(self) -> None:
        """Workers carry the prefix that was asked for."""
        with self.executor(
            "parallel", "shared_memory", thread_name_prefix="scrub"
        ) as executor:
            name = executor.submit(executor.runtime.thread_name)
            assert name.result(self.limit).startswith("scrub_")

    def test_initializer(self) -> None:
        """It is called in each worker, before its first task."""
        with self.executor("shared_memory") as probe:
            runtime = probe.runtime
        seen: list[Any] = []

        def initialize(*args: Any) -> None:
            seen.append((runtime.ident(), args))

        with self.executor(
            max_workers=2, initializer=initialize, initargs=(1, 2)
        ) as executor:
            ident = executor.submit(runtime.ident).result(self.limit)
            assert (ident, (1, 2)) in seen

    def test_initializer_that_fails(self) -> None:
        """It breaks the executor: for good, and for all to see."""
        with self.executor("parallel", "shared_memory"):
            pass  # others may not take one at all
        with (
            log_of("parallelops"),
            self.executor(max_workers=1, initializer=_fail) as executor,
        ):
            broken = concurrent.futures.BrokenExecutor
            try:
                future = executor.submit(int)
            except broken:
                pass
            else:
                assert isinstance(future.exception(self.limit), broken)
            self.until(executor, lambda: not executor.stats().workers)
            raised(broken, executor.submit, int)

    def test_grow(self) -> None:
        """More workers take what is queued already."""
        with self.executor(
            "resizable", "shared_memory", max_workers=1
        ) as executor:
            gate = Gate(executor, self.limit)
            for _ in range(4):
                executor.submit(gate.hold)
            gate.arrived(1)
            executor.resize(4)
            gate.arrived(4)
            assert executor.stats().max_workers == 4
            gate.open()

    def test_shrink(self) -> None:
        """Surplus workers leave when their task is done."""
        with self.executor(
            "resizable", "shared_memory", max_workers=4
        ) as executor:
            with self.busy(executor, 4):
                executor.resize(1)
            self.until(executor, lambda: executor.stats().workers <= 1)
            with self.busy(executor, 1):
                future = executor.submit(int)
                assert executor.stats().queued == 1
            assert future.result(self.limit) == 0

    def test_shrink_with_work_left(self) -> None:
        """Surplus workers leave when their task is done, whatever waits."""
        with self.executor(
            "resizable", "shared_memory", max_workers=2
        ) as executor:
            with self.busy(executor, 2):
                gate = Gate(executor, self.limit)
                for _ in range(2):
                    executor.submit(gate.hold)
                executor.resize(1)
            self.until(executor, lambda: executor.stats().workers == 1)
            gate.arrived(1)
            assert executor.stats().queued == 1
            gate.open()

    def test_shrink_and_grow_while_busy(self) -> None:
        """Workers that were to leave, and are needed again, stay."""
        with (
            self.executor(
                "resizable", "shared_memory", max_workers=3
            ) as executor,
            self.busy(executor, 3) as gate,
        ):
            executor.resize(1)
            executor.resize(3)
            for _ in range(2):
                executor.submit(gate.hold)
            stats = executor.stats()
            assert (stats.workers, stats.queued) == (3, 2)

    def test_resize_back_and_forth(self) -> None:
        """Whatever sizes it goes through, the last one holds."""
        with self.executor(
            "resizable", "bounded", "shared_memory", max_workers=3, max_queue=2
        ) as executor:
            for size in (1, 7, 2, 5, 1, 4):
                executor.resize(size)
                futures = [executor.submit(abs, n) for n in range(50)]
                assert not executor.wait(futures, self.limit).not_done
            with self.busy(executor, 4):
                assert executor.stats().running == 4
            raised(ValueError, executor.resize, 0)

    def test_resize_moves_the_bound(self) -> None:
        """Room is what the workers and the queue hold together."""
        with self.executor(
            "resizable",
            "bounded",
            "shared_memory",
            max_workers=3,
            max_queue=0,
            on_saturation="reject",
        ) as executor:
            executor.resize(1)
            with self.busy(executor, 1):
                raised(RuntimeError, executor.submit, int)
                executor.resize(2)
                assert executor.submit(int).result(self.limit) == 0

    def test_idle_workers_leave(self) -> None:
        """Without work they end, and come back with it."""
        with self.executor(
            "resizable", max_workers=2, idle_timeout=0.01
        ) as executor:
            for _ in range(3):
                assert executor.submit(int).result(self.limit) == 0
                self.until(executor, lambda: executor.stats().workers == 0)


def _fail() -> None:
    raise LookupError("no such thing")
