"""Bounds: what happens when there is no room."""

from __future__ import annotations

from typing import Any

from parallelops import events
from parallelops.errors import ExecutorSaturated, ExecutorShutdown
from parallelops.testing.contract.base import Gate, Part, raised

__all__ = ["BoundsContract"]


class BoundsContract(Part):
    """Saturation and its policies."""

    def test_reject(self) -> None:
        """Past its bound it rejects; what is rejected never runs."""
        with self.executor(
            "parallel",
            "bounded",
            "shared_memory",
            max_workers=2,
            max_queue=3,
            on_saturation="reject",
        ) as executor:
            ran: list[str] = []
            with self.busy(executor, 2):
                for _ in range(3):
                    executor.submit(ran.append, "queued")
                error = raised(
                    ExecutorSaturated, executor.submit, ran.append, "rejected"
                )
                assert error.capacity == 5  # type: ignore[attr-defined]
                assert executor.stats().rejected == 1
            executor.submit(int).result(self.limit)
            executor.shutdown(timeout=self.limit)
            assert ran == ["queued"] * 3

    def test_room_again(self) -> None:
        """A task's room is free when its result is there, or its failure."""
        with self.executor(
            "bounded", max_workers=1, max_queue=0, on_saturation="reject"
        ) as executor:
            for _ in range(200):
                assert executor.submit(int).result(self.limit) == 0
                assert executor.submit(int, "x").exception(self.limit)

    def test_room_in_a_callback(self) -> None:
        """A task's room is free when its callbacks are called."""
        with self.executor(
            "parallel",
            "bounded",
            "shared_memory",
            max_workers=1,
            max_queue=0,
            on_saturation="reject",
        ) as executor:
            gate = Gate(executor, self.limit)
            futures: list[Any] = []
            called = executor.runtime.event()

            def submit(_: Any) -> None:
                futures.append(executor.submit(pow, 2, 3))
                called.set()

            executor.submit(gate.hold).add_done_callback(submit)
            gate.open()
            assert called.wait(self.limit)
            assert futures[0].result(self.limit) == 8

    def test_room_of_the_helped(self) -> None:
        """A task that is run by one that waits for it gives its room back."""
        with self.executor(
            "bounded",
            "shared_memory",
            max_workers=1,
            max_queue=1,
            on_saturation="reject",
        ) as executor:

            def parent() -> int:
                return sum(executor.submit(abs, -1).result() for _ in "12345")

            assert executor.submit(parent).result(self.limit) == 5

    def test_room_of_the_cancelled(self) -> None:
        """Cancelling makes room at once."""
        with (
            self.executor(
                "parallel",
                "bounded",
                "cancellable",
                "shared_memory",
                max_workers=1,
                max_queue=1,
                on_saturation="reject",
            ) as executor,
            self.busy(executor, 1),
        ):
            for _ in range(50):
                assert executor.submit(int).cancel()
            assert executor.stats().cancelled == 50
            assert executor.stats().queued == 0

    def test_caller_runs(self) -> None:
        """With no room the caller runs the task, which is counted."""
        with self.executor(
            "parallel",
            "bounded",
            "shared_memory",
            max_workers=1,
            max_queue=0,
            on_saturation="caller_runs",
        ) as executor:
            ident = executor.runtime.ident
            with self.busy(executor, 1):
                future = executor.submit(ident)
                assert future.done()
                assert future.result() == ident()
            assert executor.submit(ident).result(self.limit) != ident()
            assert executor.stats().caller_runs == 1
            assert executor.stats().succeeded == 3

    def test_block(self) -> None:
        """With no room submit waits until there is some."""
        with (
            self.executor(
                "parallel",
                "bounded",
                "shared_memory",
                max_workers=2,
                max_queue=0,
                on_saturation="block",
            ) as executor,
            self.busy(executor, 1) as gate,
        ):
            executor.submit(gate.hold)
            gate.arrived(2)
            submitted = executor.runtime.event()
            futures: list[Any] = []

            def submit() -> None:
                futures.append(executor.submit(int))
                submitted.set()

            executor.runtime.spawn(submit, name="submitter")
            self.until(executor, lambda: executor.stats().blocked == 1)
            assert not submitted.is_set()
            gate.open()
            assert submitted.wait(self.limit)
            assert futures[0].result(self.limit) == 0

    def test_room_just_before_it_blocks(self) -> None:
        """Room that comes while submit makes up its mind is not missed."""

        def make_room(event: object) -> None:
            if isinstance(event, events.Saturated):
                gate.open()
                held.result(self.limit)

        with self.executor(
            "parallel",
            "bounded",
            "shared_memory",
            max_workers=1,
            max_queue=0,
            on_saturation="block",
            observers=[make_room],
        ) as executor:
            gate = Gate(executor, self.limit)
            held = executor.submit(gate.hold)
            futures: list[Any] = []
            submitted = executor.runtime.event()

            def submit() -> None:
                futures.append(executor.submit(int))
                submitted.set()

            executor.runtime.spawn(submit, name="submitter")
            assert submitted.wait(self.limit)
            assert futures[0].result(self.limit) == 0

    def test_shutdown_wakes_the_blocked(self) -> None:
        """A submit that waits for room ends when the executor does."""
        with (
            self.executor(
                "parallel",
                "bounded",
                "shared_memory",
                max_workers=1,
                max_queue=0,
                on_saturation="block",
            ) as executor,
            self.busy(executor, 1),
        ):
            errors: list[BaseException] = []
            ended = executor.runtime.event()
            ran: list[int] = []

            def submit() -> None:
                errors.append(
                    raised(ExecutorShutdown, executor.submit, ran.append, 1)
                )
                ended.set()

            executor.runtime.spawn(submit, name="submitter")
            self.until(executor, lambda: executor.stats().blocked == 1)
            executor.shutdown(wait=False)
            assert ended.wait(self.limit)
            assert errors
            assert not ran

    def test_task_never_waits_for_its_own_room(self) -> None:
        """A task that submits to its own full executor goes on."""
        with self.executor(
            "shared_memory", max_workers=1, max_queue=0
        ) as executor:

            def parent(n: int) -> int:
                if not n:
                    return 0
                return 1 + executor.submit(parent, n - 1).result()

            assert executor.submit(parent, 10).result(self.limit) == 10

    def test_callable_policy(self) -> None:
        """A callable chooses for each submit, and sees the stats."""
        asked: list[Any] = []

        def choose(stats: Any) -> str:
            asked.append(stats)
            if len(asked) == 1:
                return "caller_runs"
            raise OverflowError

        with (
            self.executor(
                "parallel",
                "bounded",
                "shared_memory",
                max_workers=1,
                max_queue=0,
                on_saturation=choose,
            ) as executor,
            self.busy(executor, 1),
        ):
            ran: list[int] = []
            executor.submit(ran.append, 1)
            raised(OverflowError, executor.submit, ran.append, 2)
            assert ran == [1]
            assert asked[0].running == 1

    def test_callable_policy_that_is_wrong(self) -> None:
        """An answer that is no policy is named."""
        with (
            self.executor(
                "parallel",
                "bounded",
                "shared_memory",
                max_workers=1,
                max_queue=0,
                on_saturation=lambda _: "perhaps",
            ) as executor,
            self.busy(executor, 1),
        ):
            error = raised(ValueError, executor.submit, int)
            assert "perhaps" in str(error)

    def test_bound_holds_under_many_submitters(self) -> None:
        """However many submit at once, no more are accepted."""
        with self.executor(
            "parallel",
            "bounded",
            "shared_memory",
            max_workers=1,
            max_queue=7,
            on_saturation="reject",
        ) as executor:
            runtime = executor.runtime
            accepted: list[int] = []
            ended: list[int] = []
            start = runtime.event()

            def submit() -> None:
                start.wait(self.limit)
                for _ in range(20):
                    try:
                        executor.submit(int)
                    except ExecutorSaturated:
                        continue
                    accepted.append(1)
                ended.append(1)

            with self.busy(executor, 1):
                for n in range(8):
                    runtime.spawn(submit, name=f"submitter-{n}")
                start.set()
                self.until(executor, lambda: len(ended) == 8)
                assert len(accepted) == 7
                assert executor.stats().queued == 7
                assert executor.stats().rejected == 8 * 20 - 7
