"""KeyedExecutor: what its users see."""

from __future__ import annotations

import contextvars
import dataclasses
import itertools
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from parallelops import waiting
from parallelops.errors import (
    DeadlockError,
    ExecutorSaturated,
    ShutdownTimeout,
)
from parallelops.executor import POLICIES, Policy
from parallelops.keyed.operation import ENDED, MODES, RUNNING, Operation
from parallelops.keyed.strand import Strand
from parallelops.keyed.turns import Turns
from parallelops.keyed.waits import Blocked, Drain, View, acquire, locked

if TYPE_CHECKING:
    from parallelops.executor import Executor
    from parallelops.futures import Future
    from parallelops.keyed.operation import Mode

__all__ = ["KeyedExecutor", "KeyedStats", "OnFull"]

T = TypeVar("T")
P = ParamSpec("P")

_copy_context = contextvars.copy_context
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStats:
    """One look at a keyed executor; exact when nothing is going on.

    Attributes:
        keys: how many have an operation that has not ended.
        pending: operations that have not ended.
        running: of those, the ones that have begun.
        quarantined: keys in quarantine.
        succeeded: operations that returned.
        failed: those that raised.
        cancelled: those that were cancelled before they began.
        expired: those whose turn came too late.
        superseded: those that gave way to a later one.
        refused: those that the executor refused.
        deduplicated: submits that were given the future of another.
        blocked: submits that had to wait for room.
        rejected: submits that were refused for want of room.
        caller_runs: submits whose operation the caller ran.
    """

    keys: int
    pending: int
    running: int
    quarantined: int
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    superseded: int = 0
    refused: int = 0
    deduplicated: int = 0
    blocked: int = 0
    rejected: int = 0
    caller_runs: int = 0


# What to do with a submit that finds no room: a policy, or a callable that
# chooses one for this submit (or raises, and then that is what submit
# raises). It is called without a lock held.
OnFull = Policy | Callable[[KeyedStats], Policy]


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
        if on_full not in POLICIES and not callable(on_full):
            raise ValueError(
                f"on_full must be one of {', '.join(POLICIES)} or a "
                f"callable, not {on_full!r}"
            )
        self.executor = executor
        self.runtime = executor.runtime
        self.name = name or f"keyed-{next(_numbers)}"
        self.max_pending_per_key = max_pending_per_key
        self._on_full = on_full
        self._intake = executor.intake()
        self._turns = Turns(
            self.name,
            self.runtime,
            self._intake,
            max_pending,
            max_pending_per_key,
        )

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
        return self._enter(
            self._operation(key, fn, args, kwargs), key is not None
        )

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
        operation: Operation[T] = self._operation(key, call, (), {})
        operation.shared = mode == "shared"
        operation.deadline = deadline
        operation.tag = tag
        return self._enter(operation, ordered, rule)

    def _operation(
        self,
        key: Hashable,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Operation[T]:
        hash(key)  # or it would fail where it is too late
        fn, args, kwargs = self._intake.bind(fn, args, kwargs)
        operation: Operation[T] = Operation(
            self._turns, [(fn, args, kwargs or None, _copy_context())], key
        )
        self._intake.watch(operation)
        return operation

    def _enter(
        self, operation: Operation[T], ordered: bool, rule: str = ""
    ) -> Operation[T]:
        turns = self._turns
        try:
            answer, owed = turns.change(turns.accept, operation, ordered, rule)
            if isinstance(answer, ExecutorSaturated):
                turns.bring(owed)
                return self._overflow(answer, operation, ordered, rule)
            return self._entered(operation, answer, owed)
        except BaseException:
            operation.revoke()
            raise

    def _entered(
        self, operation: Operation[T], answer: Any, owed: int
    ) -> Operation[T]:
        if answer is None:
            self._turns.bring_for(operation, owed)
            return operation
        self._turns.bring(owed)
        if isinstance(answer, Operation):
            operation.revoke()
            return answer
        if isinstance(answer, Exception):
            raise answer
        return operation  # put off; it will be accepted, or told

    # -- without room

    def _overflow(
        self,
        error: ExecutorSaturated,
        operation: Operation[T],
        ordered: bool,
        rule: str,
    ) -> Operation[T]:
        turns = self._turns
        policy = self._policy()
        if policy == "caller_runs" and turns.inside():
            policy = "reject"
        if (
            policy == "block"
            and not self._intake.knows_its_threads
            and turns.inside()
        ):
            policy = "reject"  # nobody could tell whether it would hang
        turns.do(turns.count, policy)
        if policy == "reject":
            raise error
        if policy == "block":
            return self._wait_for_room(error, operation, ordered, rule)
        return self._run_here(operation, ordered, rule)

    def _policy(self) -> Policy:
        policy = self._on_full
        if callable(policy):
            policy = policy(self.stats())
        if policy not in POLICIES:
            raise ValueError(
                f"on_full gave {policy!r}; it is to be one of "
                f"{', '.join(POLICIES)}"
            )
        return policy

    def _wait_for_room(
        self,
        error: ExecutorSaturated,
        operation: Operation[T],
        ordered: bool,
        rule: str,
    ) -> Operation[T]:
        turns = self._turns
        key = operation.key if ordered else None
        movers = View(lambda: turns.movers(key))
        blocked = Blocked(key, self.runtime)
        again = False
        try:
            while True:
                turns.do(turns.join, blocked, again)
                try:
                    acquire(
                        blocked.permit,
                        turns,
                        movers,
                        lambda ended: bool(ended) or not len(movers),
                    )
                except DeadlockError as deadlock:
                    turns.do(turns.count, "reject")
                    raise error from deadlock
                answer, owed = turns.change(
                    turns.accept, operation, ordered, rule
                )
                if not isinstance(answer, ExecutorSaturated):
                    return self._entered(operation, answer, owed)
                turns.bring(owed)
                again = True
        finally:
            turns.do(turns.part, blocked)

    def _run_here(
        self, operation: Operation[T], ordered: bool, rule: str
    ) -> Operation[T]:
        turns = self._turns
        permit = operation.permit = locked(self.runtime)
        answer, owed = turns.change(
            turns.accept, operation, ordered, rule, False
        )
        if answer is not None:
            return self._entered(operation, answer, owed)
        turns.bring(owed)
        while True:
            try:
                acquire(permit, turns, (operation,), bool)
            except BaseException:
                turns.do(turns.drop, operation, None, "cancelled")
                raise
            if turns.do(turns.take_this, operation):
                break
            if operation.state == ENDED:
                return operation
        try:
            if turns.perform(operation):
                operation.result()  # Ctrl-C is the caller's as well
            return operation
        finally:
            # A failure's frames lead back to this one.
            del operation

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
        line = self._turns.lines.get(key)
        return 0 if line is None else len(line)

    def load(self, key: Hashable) -> tuple[int, int]:
        """How many operations of a key run, and how many wait."""
        line = self._turns.lines.get(key)
        if line is None:
            return 0, 0
        running = sum(op.state == RUNNING for op in list(line.active))
        return running, len(line) - running

    def stats(self) -> KeyedStats:
        """One look at what is going on."""
        turns = self._turns
        with turns.lock:
            counts = turns.counts.copy()
            active = [
                op for line in turns.lines.values() for op in line.active
            ]
            return KeyedStats(
                keys=len(turns.lines),
                pending=turns.pending,
                running=sum(
                    op.state == RUNNING for op in (*active, *turns.loose)
                ),
                quarantined=len(turns.held),
                blocked=counts["block"],
                rejected=counts["reject"],
                **{
                    name: counts[name]
                    for name in (
                        "succeeded",
                        "failed",
                        "cancelled",
                        "expired",
                        "superseded",
                        "refused",
                        "deduplicated",
                        "caller_runs",
                    )
                },
            )

    def cancel_pending(self, key: Hashable = None) -> int:
        """Cancel what has not begun, of one key or of all.

        Returns:
            How many operations that were.
        """
        turns = self._turns
        cancelled: int = turns.do(self._cancel_pending, key)
        return cancelled

    def _cancel_pending(self, key: Hashable) -> int:
        turns = self._turns
        if key is None:
            lines = list(turns.lines.values())
            return turns.drop_loose() + turns.drop_all(
                lines, None, "cancelled"
            )
        line = turns.lines.get(key)
        return turns.drop_all([line] if line else [], None, "cancelled")

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
        line = None
        if key is not None:
            line = turns.lines.get(key)
            if line is None:
                return
        turns.do(turns.begin_drain, drain, line)
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
