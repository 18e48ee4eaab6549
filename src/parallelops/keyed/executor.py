"""KeyedExecutor: what its users see."""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from parallelops import waiting
from parallelops.errors import ShutdownTimeout
from parallelops.keyed.entrance import Entrance, OnFull
from parallelops.keyed.operation import MODES, RUNNING, Operation
from parallelops.keyed.stats import KeyedStats, stats_of
from parallelops.keyed.strand import Strand
from parallelops.keyed.turns import Turns
from parallelops.keyed.waits import Drain, View, acquire

if TYPE_CHECKING:
    from parallelops.executor import Executor
    from parallelops.futures import Future
    from parallelops.keyed.operation import Mode

__all__ = ["KeyedExecutor"]

T = TypeVar("T")
P = ParamSpec("P")

_copy_context = contextvars.copy_context
_numbers = itertools.count()


class KeyedExecutor:
    """Runs the operations of each key in the order of their submits, and
    those of different keys in parallel, on an executor it is handed.

    No thread waits for a turn: what waits is in a queue of its key, and a
    worker that comes takes the oldest operation that may run. The order is
    settled inside :meth:`submit`. If one operation of a key precedes
    another, its function has ended before the other's begins, whatever
    became of it.

    Args:
        executor: where they run. It is not shut down with this.
        max_pending: how many operations may wait or run at once.
        max_pending_per_key: how many of one key, which is looked at first.
        on_full: what a submit does that finds no room. "block" waits;
            "reject" raises; "caller_runs" waits for the operation's turn
            and runs it in the caller, without a place in the bounds; or a
            callable that gets the :class:`KeyedStats` and returns one of
            these. A task of the executor never runs it itself, and never
            waits for what could not come: it is refused.
        name: for logs and errors; made up when empty.

    Raises:
        ValueError: a bound is not above 0, or there is no such policy.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        max_pending: int = 10_000,
        max_pending_per_key: int = 100,
        on_full: OnFull = "block",
        name: str = "",
    ) -> None:
        for bound, number in (
            ("max_pending", max_pending),
            ("max_pending_per_key", max_pending_per_key),
        ):
            if number < 1:
                raise ValueError(f"{bound} must be greater than 0")
        self.executor = executor
        self.runtime = executor.runtime
        self.name = name or f"keyed-{next(_numbers)}"
        self.max_pending_per_key = max_pending_per_key
        self._turns = Turns(
            self.name, executor, max_pending, max_pending_per_key
        )
        self._entrance = Entrance(self._turns, on_full)
        self._bind = self._turns.intake.bind
        self._watch = self._turns.intake.watch if executor.observers else None
        # What each submit takes, without looking it up.
        self._arrive = self._turns.arrive
        self._take_room = self._turns.room.pop
        self._settle = self._turns.entries.setdefault
        self._push = self._turns.push

    # -- submitting

    def submit(
        self,
        key: Hashable,
        fn: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Accept ``fn(*args, **kwargs)`` to be called once, after what was
        submitted before with that key; None is in no order.

        A submit that raises never runs the function.

        Raises:
            KeySaturated: this key has no room, and the policy is to reject.
            ExecutorSaturated: there is no room, or none in the executor.
            KeyQuarantined: the key is in quarantine.
            ExecutorShutdown: this was shut down, or the executor was.
            others: whatever the executor's submit raises.
        """
        turns = self._turns
        if self._bind is not None:
            fn, args, kwargs = self._bind(fn, args, kwargs)  # type: ignore[assignment]
        operation: Operation[T] = Operation(
            turns,
            [(fn, args, kwargs or None, _copy_context())],
            key,
            self._arrive(),
        )
        if self._watch is not None:
            self._watch(operation)
        if key is None:
            operation.ordered = operation.plain = False
            return self._entrance.enter(operation)
        try:
            self._take_room()
        except IndexError:
            return self._entrance.enter(operation)
        entry = self._settle(key, operation)
        if entry is not operation:
            if turns.append(operation, entry):
                return operation
            return self._entrance.enter(operation, has_room=True)
        # Its key was idle: it has its turn, and is its own ticket. Look only
        # now: who is wary says so, and looks at the entries afterwards.
        try:
            error: BaseException | None = None
            if turns.wary:
                error = turns.refusal(operation)
            if error is None:
                error = self._push(operation)
        except BaseException as interrupt:
            error = interrupt
        if error is not None:
            turns.not_started(operation, error)
        return operation

    def enqueue(
        self,
        key: Hashable,
        call: Callable[[], T],
        /,
        *,
        mode: Mode = "exclusive",
        time_to_live: float | None = None,
        deadline: float | None = None,
        tag: Hashable = None,
        supersede: bool = False,
        dedupe: bool = False,
    ) -> Future[T]:
        """As :meth:`submit`, for a call without arguments, and with more to
        choose.

        Args:
            mode: "exclusive" runs alone in its key; "shared" together with
                other shared ones that it follows or that follow it; "bypass"
                at once, in no order, quarantine or not, and without a place
                in the bound of its key.
            time_to_live: seconds that it may wait.
            deadline: until when, on ``runtime.monotonic()``. When its turn
                comes later, its future raises Expired. Nobody looks
                before.
            tag: what is compared for the next two.
            supersede: end those of the key with the same tag that have not
                begun; their futures raise Superseded.
            dedupe: return the future of the first of them instead, if there
                is one.

        Raises:
            ValueError: these do not go together.
            others: as :meth:`submit`.
        """
        if mode not in MODES:
            raise ValueError(
                f"mode must be one of {', '.join(MODES)}, not {mode!r}"
            )
        ordered = key is not None and mode != "bypass"
        rule = ""
        if supersede or dedupe:
            if supersede and dedupe:
                raise ValueError("choose one of supersede and dedupe")
            if tag is None or not ordered:
                raise ValueError(
                    "supersede and dedupe need a key, a tag, and another "
                    "mode than bypass"
                )
            rule = "supersede" if supersede else "dedupe"
        if time_to_live is not None:
            end = self.runtime.monotonic() + time_to_live
            deadline = end if deadline is None else min(end, deadline)
        operation = self._operation(key, call, (), {})
        operation.ordered = ordered
        operation.plain = ordered and mode == "exclusive" and deadline is None
        operation.shared = mode == "shared"
        operation.deadline = deadline
        operation.tag = tag
        return self._entrance.enter(operation, rule)

    def _operation(
        self,
        key: Hashable,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Operation[T]:
        hash(key)  # or it would fail where it is too late
        if self._bind is not None:
            fn, args, kwargs = self._bind(fn, args, kwargs)
        operation: Operation[T] = Operation(
            self._turns,
            [(fn, args, kwargs or None, _copy_context())],
            key,
            self._arrive(),
        )
        if self._watch is not None:
            self._watch(operation)
        return operation

    # -- what is there

    def strand(self, key: Hashable) -> Strand:
        """An executor all of whose tasks are operations of one key."""
        return Strand(self, key)

    def is_inside(self) -> bool:
        """Is the calling thread in an operation, or in another task of the
        executor, as far as that tells?"""
        return self._turns.inside()

    def pending(self, key: Hashable) -> int:
        """How many operations of a key wait or run, bypassing ones not
        counted."""
        return self._turns.number(key)

    def load(self, key: Hashable) -> tuple[int, int]:
        """How many operations of a key run, and how many wait."""
        operations = self._turns.of(key)
        running = sum(op.state == RUNNING for op in operations)
        return running, len(operations) - running

    def stats(self) -> KeyedStats:
        """One look at what is going on."""
        return stats_of(self._turns)

    def cancel_pending(self, key: Hashable = None) -> int:
        """Cancel what has not begun, of one key or of all.

        Returns:
            How many operations that were.
        """
        cancelled: int = self._turns.do(self._cancel_pending, key)
        return cancelled

    def _cancel_pending(self, key: Hashable) -> int:
        turns = self._turns
        operations = turns.everything() if key is None else turns.of(key)
        return turns.drop_all(operations, None, "cancelled")

    # -- holding a key

    def quarantine(self, key: Hashable, reason: object) -> None:
        """Let no operation of a key begin until :meth:`release`.

        What runs goes on; what is queued waits; a new submit raises
        KeyQuarantined with the reason.
        """
        self._turns.do(self._turns.hold, key, reason)

    def release(self, key: Hashable) -> None:
        """End a quarantine; without one it does nothing."""
        self._turns.do(self._turns.let_go, key)

    # -- the end

    def drain(
        self, key: Hashable = None, timeout: float | None = None
    ) -> None:
        """Wait until what was accepted before has ended, of one key or of
        all.

        What is held by a quarantine is not waited for.

        Args:
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: some have not ended.
            DeadlockError: it would wait for the operation that it is in.
        """
        turns = self._turns
        drain = Drain(self.runtime)
        turns.do(turns.begin_drain, drain, key)
        try:
            party = waiting.party_of(self.runtime)
            if party is not None:
                for operation in list(drain.left):
                    turns.help(operation, party, timeout)
            left = View(lambda: list(drain.left))
            if not acquire(
                drain.permit,
                turns,
                left,
                lambda ended: len(ended) >= len(left),
                timeout,
            ):
                raise TimeoutError(
                    f"{len(left)} operations of {self.name} have not ended"
                )
        finally:
            turns.do(turns.end_drain, drain)

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take nothing new; the executor it was handed goes on.

        What is held by a quarantine will not be released any more: its
        futures raise KeyQuarantined.

        Args:
            wait: return when all that was accepted has ended. In one of its
                own operations it never waits.
            cancel_futures: cancel what nobody has begun.
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            ShutdownTimeout: some operations have not ended.
        """
        self._turns.do(self._turns.close)
        if cancel_futures:
            self.cancel_pending()
        if not wait or self._turns.inside():
            return
        try:
            self.drain(timeout=timeout)
        except TimeoutError as error:
            raise ShutdownTimeout(self.name, [str(error)]) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: object, exc_value: object, traceback: object
    ) -> None:
        self.shutdown(cancel_futures=exc_type is not None)

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<{type(self).__name__} {self.name!r} {stats.running} running, "
            f"{stats.pending} pending, {stats.keys} keys>"
        )
