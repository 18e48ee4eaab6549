"""Failures: each touches its own future and nothing else, and none is lost."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import TYPE_CHECKING, Any

from parallelops.testing.contract.base import Gate, Part, log_of, raised

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["FailuresContract"]


class FailuresContract(Part):
    """Tasks and callbacks that fail."""

    def test_exception(self) -> None:
        """What the call raised is raised by result()."""
        with self.executor() as executor:
            future = executor.submit(int, "x")
            raised(ValueError, future.result, self.limit)
            assert isinstance(future.exception(self.limit), ValueError)

    def test_wrong_arguments(self) -> None:
        """A call that cannot be made fails; submit does not."""
        with self.executor() as executor:
            future = executor.submit(abs, *(1, 2, 3))  # type: ignore[arg-type]
            raised(TypeError, future.result, self.limit)

    def test_worker_outlives_anything(self) -> None:
        """Whatever a task raises, the next one runs."""
        kinds = (SystemExit, GeneratorExit, MemoryError, RecursionError)
        with self.executor("shared_memory", max_workers=1) as executor:
            for kind in (*kinds, _Odd):
                future = executor.submit(_raise, kind)
                assert type(future.exception(self.limit)) is kind
                assert executor.submit(int).result(self.limit) == 0

    def test_task_that_has_any_attribute(self) -> None:
        """A mock may fail like any other; nothing but a call is asked of
        it."""
        with self.executor("shared_memory", max_workers=1) as executor:
            future = executor.submit(_Anything())
            assert isinstance(future.exception(self.limit), KeyError)
            assert executor.submit(int).result(self.limit) == 0

    def test_real_recursion(self) -> None:
        """Running out of stack ends the task, not the worker."""
        with self.executor("shared_memory", max_workers=1) as executor:
            future = executor.submit(_recurse)
            assert isinstance(future.exception(self.limit), RecursionError)
            assert executor.submit(int).result(self.limit) == 0

    def test_traceback_does_not_grow(self) -> None:
        """Looking again shows the same as looking once."""
        with self.executor("shared_memory") as executor:
            future = executor.submit(_raise, ValueError)

            def depth() -> int:
                error = raised(ValueError, future.result, self.limit)
                return len(traceback.extract_tb(error.__traceback__))

            assert depth() == depth() == depth()

    def test_traceback_leads_to_the_cause(self) -> None:
        """The traceback ends in the line that raised."""
        with self.executor("shared_memory") as executor:
            error = raised(
                ValueError,
                executor.submit(_raise, ValueError).result,
                self.limit,
            )
            last = traceback.extract_tb(error.__traceback__)[-1]
            assert last.name == "_raise"

    def test_failed_frame_is_freed(self) -> None:
        """When its future is gone, so is what a failed task held, without
        the garbage collector."""
        with self.executor("shared_memory", max_workers=1) as executor:
            gc.collect()
            gc.disable()
            try:
                held = _Held()
                gone = weakref.ref(held)
                future = executor.submit(_fail_holding, held)
                assert isinstance(future.exception(self.limit), KeyError)
                del held, future
                # The worker lets go of its last task when it takes another.
                executor.submit(int).result(self.limit)
                assert gone() is None
            finally:
                gc.enable()

    def test_arguments_are_freed(self) -> None:
        """A finished future does not keep its arguments."""
        with self.executor("shared_memory", max_workers=1) as executor:
            held = _Held()
            gone = weakref.ref(held)
            future = executor.submit(id, held)
            future.result(self.limit)
            del held
            executor.submit(int).result(self.limit)
            gc.collect()
            assert gone() is None

    def test_submit_while_the_last_task_is_freed(self) -> None:
        """A worker that has nothing to do lets go of its last task; what
        that submits on its way out is done."""
        with self.executor("shared_memory", max_workers=1) as executor:
            done = executor.runtime.event()

            class Dying:
                def __del__(self) -> None:
                    executor.submit(done.set)

            def work() -> Dying:
                # Until only the worker has it.
                if executor.traits.parallel:
                    gate.hold()
                return Dying()

            gate = Gate(executor, self.limit)
            executor.submit(work)
            gate.open()
            assert done.wait(self.limit)

    def test_unseen_failure_is_logged(self) -> None:
        """A failure that nobody looked at is in the log; others are not."""
        with (
            self.executor("shared_memory", max_workers=1) as executor,
            log_of("parallelops") as records,
        ):
            looked_at = executor.submit(_raise, ValueError)
            raised(ValueError, looked_at.result, self.limit)
            executor.submit(_raise, KeyError)
            executor.submit(int).result(self.limit)
            del looked_at
            executor.shutdown(timeout=self.limit)
            gc.collect()
            messages = [record.getMessage() for record in records]
            assert len(messages) == 1, messages
            assert "_raise" in messages[0]

    def test_callbacks(self) -> None:
        """Callbacks are called once each, in order, also when it is late."""
        with self.executor("parallel", "shared_memory") as executor:
            called: list[Any] = []
            event = executor.runtime.event()
            future = executor.submit(event.wait, self.limit)
            future.add_done_callback(lambda f: called.append((1, f)))
            future.add_done_callback(lambda f: called.append((2, f)))
            event.set()
            executor.wait([future], self.limit)
            executor.submit(int).result(self.limit)
            executor.shutdown(timeout=self.limit)
            future.add_done_callback(lambda f: called.append((3, f)))
            assert called == [(1, future), (2, future), (3, future)]

    def test_failing_callback(self) -> None:
        """What a callback raises is logged, and the next one is called."""
        with (
            self.executor(
                "parallel", "shared_memory", max_workers=1
            ) as executor,
            log_of("parallelops") as records,
        ):
            event = executor.runtime.event()
            called = executor.runtime.event()
            future = executor.submit(event.wait, self.limit)
            future.add_done_callback(lambda _: _raise(SystemExit))
            future.add_done_callback(lambda _: called.set())
            event.set()
            assert called.wait(self.limit)
            assert future.result(self.limit) is True
            assert executor.submit(int).result(self.limit) == 0
            assert "callback" in records[0].getMessage()

    def test_callback_may_submit(self) -> None:
        """A callback may submit, and wait for it."""
        with self.executor("shared_memory", max_workers=1) as executor:
            results: list[int] = []
            done = executor.runtime.event()

            def more(_: Future[Any]) -> None:
                results.append(executor.submit(pow, 2, 3).result())
                done.set()

            executor.submit(int).add_done_callback(more)
            assert done.wait(self.limit)
            assert results == [8]


class _Odd(BaseException):
    """Not an Exception."""


class _Anything:
    """Looks like everything, as mocks do."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self) -> None:
        raise KeyError


class _Held:
    """Something that a weak reference can watch."""


def _raise(kind: type[BaseException]) -> None:
    raise kind


def _recurse() -> int:
    return 1 + _recurse()


def _fail_holding(held: object) -> None:
    local = held  # in the frame that the traceback keeps
    raise KeyError(str(type(local)))
