"""Who is let in when there are others, and what happens at the bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from parallelops.errors import DeadlockError, ExecutorSaturated
from parallelops.executor import POLICIES, Policy
from parallelops.keyed.ledger import PUT_OFF
from parallelops.keyed.operation import ENDED, Operation
from parallelops.keyed.stats import KeyedStats, stats_of
from parallelops.keyed.waits import Blocked, View, acquire, locked

if TYPE_CHECKING:
    from parallelops.keyed.turns import Turns

__all__ = ["Entrance", "OnFull"]

T = TypeVar("T")

# What to do with a submit that finds no room: a policy, or a callable that
# chooses one for this submit (or raises, and then that is what submit
# raises). It is called without a lock held.
OnFull = Policy | Callable[[KeyedStats], Policy]


class Entrance:
    """Lets operations into their turns.

    Args:
        turns: where they go.
        on_full: see :class:`~parallelops.keyed.KeyedExecutor`.

    Raises:
        ValueError: there is no such policy.
    """

    def __init__(self, turns: Turns, on_full: OnFull) -> None:
        if on_full not in POLICIES and not callable(on_full):
            raise ValueError(
                f"on_full must be one of {', '.join(POLICIES)} or a "
                f"callable, not {on_full!r}"
            )
        self._turns = turns
        self._on_full = on_full

    def enter(
        self, operation: Operation[T], rule: str = "", has_room: bool = False
    ) -> Operation[T]:
        """Put it behind the others of its key.

        Args:
            rule: "supersede" or "dedupe", or neither.
            has_room: whether it has a place in the global bound already.

        Returns:
            It, or the one in whose place it would be.
        """
        turns = self._turns
        try:
            answer, owed = turns.change(turns.queue, operation, rule, has_room)
            if isinstance(answer, ExecutorSaturated):
                turns.bring(owed)
                return self._overflow(answer, operation, rule)
            return self._entered(operation, answer, owed)
        except BaseException:
            operation.withdraw()
            raise

    def _entered(
        self, operation: Operation[T], answer: Any, owed: int
    ) -> Operation[T]:
        turns = self._turns
        if answer is None:
            turns.bring_for(operation, owed)
            return operation
        turns.bring(owed)
        if isinstance(answer, Operation):
            operation.withdraw()
            return answer
        if answer is PUT_OFF:
            return operation  # it will be accepted, or told that it is not
        raise answer

    def _overflow(
        self, error: ExecutorSaturated, operation: Operation[T], rule: str
    ) -> Operation[T]:
        turns = self._turns
        policy = self._policy()
        # A worker is not to wait for what workers do; where we can tell
        # whether that would ever end, it may.
        if turns.inside() and (
            policy == "caller_runs" or not turns.intake.knows_its_threads
        ):
            policy = "reject"
        turns.do(turns.count, policy)
        if policy == "reject":
            raise error
        if policy == "block":
            return self._wait_for_room(error, operation, rule)
        return self._run_here(operation, rule)

    def _policy(self) -> Policy:
        policy = self._on_full
        if callable(policy):
            policy = policy(stats_of(self._turns))
        if policy not in POLICIES:
            raise ValueError(
                f"on_full gave {policy!r}; it is to be one of "
                f"{', '.join(POLICIES)}"
            )
        return policy

    def _wait_for_room(
        self, error: ExecutorSaturated, operation: Operation[T], rule: str
    ) -> Operation[T]:
        turns = self._turns
        key = operation.key if operation.ordered else None
        movers = View(lambda: turns.movers(key))
        blocked = Blocked(key, turns.runtime)
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
                answer, owed = turns.change(turns.queue, operation, rule)
                if not isinstance(answer, ExecutorSaturated):
                    return self._entered(operation, answer, owed)
                turns.bring(owed)
                again = True  # somebody was faster
        finally:
            turns.do(turns.part, blocked)

    def _run_here(self, operation: Operation[T], rule: str) -> Operation[T]:
        turns = self._turns
        permit = operation.permit = locked(turns.runtime)
        operation.plain = False
        answer, owed = turns.change(turns.queue, operation, rule, False, True)
        if answer is not None:
            return self._entered(operation, answer, owed)
        turns.bring(owed)
        while not operation.begin():
            if operation.state == ENDED:
                return operation
            try:
                acquire(permit, turns, (operation,), bool)
            except BaseException:
                turns.do(turns.drop, operation, None, "cancelled")
                raise
        try:
            if turns.perform(operation):
                operation.result()  # Ctrl-C is the caller's as well
            return operation
        finally:
            # A failure's frames lead back to this one.
            del operation
