"""Calls: what goes in, what comes out, and in which order."""

from __future__ import annotations

import concurrent.futures
import contextvars
import itertools
import weakref
from typing import Any

from parallelops.testing.contract.base import Part, raised

__all__ = ["CallsContract"]

_variable = contextvars.ContextVar("_variable", default="unset")


class CallsContract(Part):
    """Submitting and mapping calls."""

    def test_result(self) -> None:
        """A future has what its call returned."""
        with self.executor() as executor:
            assert executor.submit(pow, 2, 10).result(self.limit) == 1024

    def test_arguments(self) -> None:
        """Positional and keyword arguments arrive, whatever their names."""
        with self.executor() as executor:
            future = executor.submit(_given, 1, self=2, fn=3, args=4)
            assert future.result(self.limit) == (
                (1,),
                {"self": 2, "fn": 3, "args": 4},
            )

    def test_future_is_a_standard_future(self) -> None:
        """Code that checks for the standard library's future gets one."""
        with self.executor() as executor:
            future = executor.submit(int)
            assert isinstance(future, concurrent.futures.Future)
            assert isinstance(executor, concurrent.futures.Executor)
            assert future.result(self.limit) == 0
            assert future.exception(self.limit) is None
            assert future.done()
            assert not future.running()
            assert not future.cancelled()
            assert not future.cancel()

    def test_in_order(self) -> None:
        """One worker begins tasks in the order they were submitted."""
        with self.executor("ordered", "shared_memory", max_workers=1) as ex:
            begun: list[int] = []
            for number in range(200):
                ex.submit(begun.append, number)
            ex.submit(int).result(self.limit)
            assert begun == list(range(200))

    def test_context_goes_with_the_task(self) -> None:
        """A task sees the context variables of its submit, and what it
        sets stays its own."""
        with self.executor("shared_memory", max_workers=1) as executor:

            def seen_then_set() -> str:
                seen = _variable.get()
                _variable.set("left behind")
                return seen

            context = contextvars.copy_context()
            context.run(_variable.set, "given")
            first = context.run(executor.submit, seen_then_set)
            second = executor.submit(seen_then_set)
            assert first.result(self.limit) == "given"
            assert second.result(self.limit) == "unset"
            assert _variable.get() == "unset"

    def test_wrap(self) -> None:
        """What wrap returns is called instead, so that it can carry what
        belongs to a thread there and back."""
        notes: dict[int, str] = {}

        def carry(fn: Any) -> Any:
            note = notes[ident()]

            def call(*args: Any, **kwargs: Any) -> Any:
                before = notes.get(ident(), "")
                notes[ident()] = note
                try:
                    return fn(*args, **kwargs)
                finally:
                    notes[ident()] = before

            return call

        with self.executor("shared_memory") as probe:
            ident = probe.runtime.ident
        with self.executor(max_workers=1, wrap=carry) as executor:
            for note in ("one", "two"):
                notes[ident()] = note
                future = executor.submit(lambda: notes[ident()])
                assert future.result(self.limit) == note
                assert sorted(notes.values()) in ([note], ["", note])

    def test_fair(self) -> None:
        """Whoever comes late waits for one task of each of the others."""
        who = "first"
        with self.executor(
            "parallel",
            "ordered",
            "shared_memory",
            max_workers=1,
            fair=lambda: who,
        ) as executor:
            begun: list[str] = []
            with self.busy(executor, 1):
                for who in ("much", "much", "much", "late", "late"):
                    executor.submit(begun.append, who)
            executor.shutdown(timeout=self.limit)
            assert begun == ["much", "late", "much", "late", "much"]

    def test_map(self) -> None:
        """Results come in the order of the arguments."""
        with self.executor(max_workers=3) as executor:
            assert list(executor.map(pow, range(9), itertools.repeat(2))) == [
                n * n for n in range(9)
            ]

    def test_map_in_chunks(self) -> None:
        """Chunks change what it costs, not what comes out."""
        with self.executor(max_workers=3) as executor:
            for chunksize in (1, 2, 7, 100):
                assert list(
                    executor.map(str, range(20), chunksize=chunksize)
                ) == [str(n) for n in range(20)]

    def test_map_is_lazy(self) -> None:
        """Endless input is read no further than asked for."""
        with self.executor(max_workers=2) as executor:
            read = []

            def endless() -> Any:
                for number in itertools.count():
                    assert number < 1000, "it reads all of it"
                    read.append(number)
                    yield number

            results = executor.map(abs, endless(), buffersize=5)
            assert [next(results) for _ in range(10)] == list(range(10))
            assert len(read) <= 15
            results.close()  # type: ignore[attr-defined]

    def test_map_holds_nothing(self) -> None:
        """A result that its reader has dropped is freed."""
        with self.executor("shared_memory", max_workers=1) as executor:
            seen: list[weakref.ref[Any]] = []
            freed: list[object] = []
            for result in executor.map(_Result, range(5)):
                seen.append(weakref.ref(result, freed.append))
                del result
                # The worker lets go of it when it takes the next.
                self.until(executor, lambda: len(freed) == len(seen))

    def test_map_begins_at_once(self) -> None:
        """Nobody has to read the first result for the work to begin."""
        with self.executor("shared_memory", max_workers=2) as executor:
            begun = executor.runtime.event()
            results = executor.map(lambda _: begun.set(), [1])
            assert begun.wait(self.limit)
            assert list(results) == [None]

    def test_map_ends_at_the_first_failure(self) -> None:
        """The failure comes in its place, and the rest is cancelled."""
        with self.executor(max_workers=2) as executor:
            results = executor.map(_divide_by, [1, 2, 0, 4], buffersize=4)
            assert [next(results), next(results)] == [1.0, 0.5]
            raised(ZeroDivisionError, next, results)
            raised(StopIteration, next, results)

    def test_map_that_runs_out_of_time(self) -> None:
        """A result that is late is an error, and the rest is cancelled."""
        with (
            self.executor(
                "parallel", "cancellable", "shared_memory", max_workers=1
            ) as executor,
            self.busy(executor, 1),
        ):
            results = executor.map(abs, range(5), timeout=0.01)
            raised(TimeoutError, next, results)
            assert executor.stats().cancelled == 5
            assert executor.stats().queued == 0

    def test_map_checks_its_sizes(self) -> None:
        """Sizes of nothing are refused."""
        with self.executor() as executor:
            for sizes in ({"chunksize": 0}, {"buffersize": 0}):
                raised(ValueError, lambda s=sizes: executor.map(abs, [1], **s))

    def test_many_tasks_from_many_tasks(self) -> None:
        """A thousand tasks submit a task each; every one runs once."""
        with self.executor("shared_memory", max_workers=4) as executor:
            ran: list[int] = []

            def parent(number: int) -> Any:
                return executor.submit(ran.append, number)

            parents = [executor.submit(parent, n) for n in range(1000)]
            for future in parents:
                future.result(self.limit).result(self.limit)
            assert sorted(ran) == list(range(1000))


class _Result:
    """Something that a weak reference can watch."""

    def __init__(self, number: int) -> None:
        self.number = number


def _given(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    return args, kwargs


def _divide_by(number: int) -> float:
    return 1 / number
