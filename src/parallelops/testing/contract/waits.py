"""Waiting: for results, for many futures, and for what can never come."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from parallelops.errors import DeadlockError
from parallelops.testing.contract.base import Gate, Part, raised

if TYPE_CHECKING:
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.runtime import Event

__all__ = ["WaitsContract"]


class WaitsContract(Part):
    """``wait``, ``as_completed`` and ``result``."""

    def test_wait_for_all(self) -> None:
        """All that are given are done."""
        with self.executor(max_workers=3) as executor:
            futures = [executor.submit(abs, -n) for n in range(20)]
            done, not_done = executor.wait(futures, self.limit)
            assert done == set(futures)
            assert not not_done

    def test_wait_for_nothing(self) -> None:
        """Waiting for no future is over at once."""
        with self.executor() as executor:
            assert executor.wait([], self.limit) == (set(), set())
            assert list(executor.as_completed([], self.limit)) == []

    def test_wait_for_the_first(self) -> None:
        """One that is done is enough."""
        with self.executor(
            "parallel", "shared_memory", max_workers=2
        ) as executor:
            with self.busy(executor, 1) as gate:
                held = executor.submit(gate.hold)
                quick = executor.submit(int)
                gate.arrived(2)
                gate.open()
            both: list[Future[Any]] = [held, quick]
            done, _ = executor.wait(
                both, self.limit, concurrent.futures.FIRST_COMPLETED
            )
            assert done

    def test_wait_for_the_first_failure(self) -> None:
        """A failure ends the wait, a success does not."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=3
            ) as executor,
            self.busy(executor, 1) as gate,
        ):
            held = executor.submit(gate.hold)
            fine = executor.submit(int)
            bad = executor.submit(int, "x")
            done, not_done = executor.wait(
                [held, fine, bad],
                self.limit,
                concurrent.futures.FIRST_EXCEPTION,
            )
            assert bad in done
            assert not_done == {held}

    def test_wait_runs_out_of_time(self) -> None:
        """What is not done in time is said to be so."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=1
            ) as executor,
            self.busy(executor, 1) as gate,
        ):
            held = executor.submit(gate.hold)
            assert executor.wait([held], 0.01).not_done == {held}
            raised(TimeoutError, held.result, 0.01)
            raised(TimeoutError, held.exception, 0)
            raised(TimeoutError, list, executor.as_completed([held], 0.01))

    def test_wait_checks_its_condition(self) -> None:
        """A misspelt condition is refused."""
        with self.executor() as executor:
            future = executor.submit(int)
            raised(ValueError, executor.wait, [future], self.limit, "SOME")

    def test_as_completed(self) -> None:
        """Each future is yielded once, those already done as well."""
        with self.executor(max_workers=3) as executor:
            futures = [executor.submit(abs, n) for n in range(50)]
            executor.wait(futures[:10], self.limit)
            twice = futures + futures[:5]
            seen = list(executor.as_completed(twice, self.limit))
            assert len(seen) == len(futures)
            assert set(seen) == set(futures)

    def test_as_completed_in_time(self) -> None:
        """What is done comes before what is not."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=2
            ) as executor,
            self.busy(executor, 1) as gate,
        ):
            held = executor.submit(gate.hold)
            quick = executor.submit(int)
            completed = executor.as_completed([held, quick], self.limit)
            gate.open()
            assert {next(completed), next(completed)} == {held, quick}

    def test_standard_wait(self) -> None:
        """The standard library's functions take these futures."""
        with self.executor(max_workers=2) as executor:
            futures = [executor.submit(abs, n) for n in range(20)]
            assert not concurrent.futures.wait(futures, self.limit).not_done
            futures = [executor.submit(abs, n) for n in range(20)]
            seen = concurrent.futures.as_completed(futures, self.limit)
            assert set(seen) == set(futures)

    def test_standard_wait_sees_cancelled(self) -> None:
        """The standard library's functions see what was cancelled."""
        with (
            self.executor(
                "parallel", "cancellable", "shared_memory", max_workers=1
            ) as executor,
            self.busy(executor, 1),
        ):
            futures = [executor.submit(int) for _ in range(5)]
            executor.shutdown(wait=False, cancel_futures=True)
            done = concurrent.futures.wait(futures, self.limit).done
            assert done == set(futures)
            assert all(future.cancelled() for future in futures)
            seen = concurrent.futures.as_completed(futures, self.limit)
            assert set(seen) == set(futures)

    def test_standard_wait_looks_at_what_stands_still(self) -> None:
        """A future does not end while the standard library's functions hold
        its condition; they would count it twice."""
        with self.executor(
            "parallel", "shared_memory", max_workers=1
        ) as executor:
            gate = Gate(executor, self.limit)
            future = executor.submit(gate.hold)
            gate.arrived(1)
            with future._condition:
                seen = future._state
                gate.open()
                # A future that waits for the condition may say so, or not.
                end = executor.runtime.monotonic() + 0.05
                while not future.done() and executor.runtime.monotonic() < end:
                    executor.runtime.sleep(0.001)
                assert future._state == seen
            assert future.result(self.limit) is None

    def test_wait_for_a_standard_future(self) -> None:
        """One that somebody else completes can be waited for as well."""
        with self.executor("shared_memory", max_workers=1) as executor:
            foreign: Future[int] = concurrent.futures.Future()
            executor.submit(foreign.set_result, 7)
            assert executor.wait([foreign], self.limit).done == {foreign}
            assert foreign.result(0) == 7

    def test_nested_tasks_on_a_full_pool(self) -> None:
        """Tasks that wait for their own subtasks never run out of
        workers, however deep."""
        with self.executor("shared_memory", max_workers=2) as executor:

            def depth(n: int) -> int:
                return 1 + executor.submit(depth, n - 1).result() if n else 0

            futures = [executor.submit(depth, 30) for _ in range(8)]
            assert [f.result(self.limit) for f in futures] == [30] * 8

    def test_wait_in_a_task(self) -> None:
        """A task may wait for many others of the same full pool."""
        with self.executor("shared_memory", max_workers=1) as executor:

            def total() -> Any:
                parts = [executor.submit(abs, -n) for n in range(10)]
                assert executor.wait(parts).done == set(parts)
                completed = executor.as_completed(
                    [executor.submit(abs, n) for n in range(10)]
                )
                mapped = executor.map(abs, range(10))
                return (
                    sum(part.result() for part in parts)
                    + sum(future.result() for future in completed)
                    + sum(mapped)
                )

            assert executor.submit(total).result(self.limit) == 135

    def test_wait_in_a_task_for_the_first_failure(self) -> None:
        """A task that has its failure runs no other instead of waiting."""
        with self.executor(
            "parallel", "ordered", "shared_memory", max_workers=1
        ) as executor:

            def wait_for_failure() -> Any:
                bad = executor.submit(int, "x")
                rest = executor.submit(int)
                done, not_done = executor.wait(
                    [bad, rest],
                    return_when=concurrent.futures.FIRST_EXCEPTION,
                )
                assert isinstance(bad.exception(), ValueError)
                return done == {bad} and not_done == {rest}

            assert executor.submit(wait_for_failure).result(self.limit)

    def test_wait_for_oneself(self) -> None:
        """A task that waits for its own future is told so."""
        with self.executor("shared_memory", max_workers=2) as executor:
            futures: list[Future[Any]] = []
            known = executor.runtime.event()

            def wait_for_own() -> Any:
                assert known.wait(self.limit)
                return futures[0].result()

            self.needs(executor, "parallel")
            futures.append(executor.submit(wait_for_own))
            known.set()
            assert isinstance(futures[0].exception(self.limit), DeadlockError)

    def test_wait_for_oneself_after_others(self) -> None:
        """So is one that comes to itself after others that are done."""
        with self.executor(
            "parallel", "shared_memory", max_workers=2
        ) as executor:
            other = executor.submit(int)
            other.result(self.limit)
            futures: list[Future[Any]] = [other]
            known = executor.runtime.event()

            def wait_for_all() -> Any:
                assert known.wait(self.limit)
                return list(executor.as_completed(futures))

            futures.append(executor.submit(wait_for_all))
            known.set()
            assert isinstance(futures[1].exception(self.limit), DeadlockError)

    def test_wait_for_oneself_or_a_failure(self) -> None:
        """One that also waits for a failure is told when that cannot come
        any more, and no sooner."""
        for fails in (True, False):
            with self.executor(
                "parallel", "shared_memory", max_workers=2
            ) as executor:
                gate = Gate(executor, self.limit)
                futures: list[Future[Any]] = []
                known = executor.runtime.event()

                def other(gate: Gate = gate, fails: bool = fails) -> None:
                    gate.hold()
                    if fails:
                        raise LookupError

                def wait_for_both(
                    executor: Executor = executor,
                    futures: list[Future[Any]] = futures,
                    known: Event = known,
                ) -> Any:
                    assert known.wait(self.limit)
                    return executor.wait(
                        futures,
                        return_when=concurrent.futures.FIRST_EXCEPTION,
                    )

                futures.append(executor.submit(other))
                gate.arrived(1)
                futures.append(executor.submit(wait_for_both))
                known.set()
                # Time enough to tell.
                raised(TimeoutError, futures[1].result, 0.05)
                gate.open()
                failure = futures[1].exception(self.limit)
                if fails:
                    assert isinstance(futures[0].exception(), LookupError)
                    assert futures[1].result().done == {futures[0]}
                else:
                    assert isinstance(failure, DeadlockError)

    def test_wait_for_each_other(self) -> None:
        """Tasks that wait for each other are told so, at least one."""
        with self.executor(
            "parallel", "shared_memory", max_workers=2
        ) as executor:
            futures: list[Future[Any]] = []
            known = executor.runtime.event()

            def wait_for(other: int) -> Any:
                assert known.wait(self.limit)
                return futures[other].result()

            futures += [executor.submit(wait_for, n) for n in (1, 0)]
            known.set()
            failures = [future.exception(self.limit) for future in futures]
            assert any(isinstance(f, DeadlockError) for f in failures)
