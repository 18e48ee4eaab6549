"""One operation in its turn: each step is in the journal before the next.

What a failure of the journal means depends on where it comes:

- before it is accepted: the request is refused, and nothing is known of it;
- before it has begun: it does not begin. The journal keeps it as accepted,
  and nothing of its container begins before it;
- after it was done: it is unknown, and nothing of its container begins
  before somebody has settled it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from parallelops import waiting
from parallelops.containers.groupcommit import again
from parallelops.containers.handlers import Call
from parallelops.containers.live import outcome_of
from parallelops.containers.operation import (
    State,
    as_json,
    as_reason,
    from_json,
)
from parallelops.containers.writer import in_words
from parallelops.errors import (
    InvalidOperation,
    OperationCancelled,
    OperationUnknown,
)

if TYPE_CHECKING:
    from parallelops.containers.handlers import Handlers
    from parallelops.containers.live import Live, Operation, Turn
    from parallelops.containers.operation import Entry
    from parallelops.containers.writer import Writer
    from parallelops.runtime import Runtime

__all__ = ["ON_ERROR", "OnError", "Runner"]

OnError = Literal["fail_fast", "continue", "quarantine"]
ON_ERROR: tuple[OnError, ...] = ("fail_fast", "continue", "quarantine")


class Runner:
    """Takes operations from state to state.

    Args:
        live: the operations of this process.
        writer: writes each step to the journal.
        handlers: what does them.
        runtime: where the time comes from.
        on_error: what a failure means for the operations of that container
            that were accepted after it.
        longest_result: characters of JSON that are kept of a result.

    Raises:
        ValueError: ``on_error`` is none of those.
    """

    def __init__(
        self,
        live: Live,
        writer: Writer,
        handlers: Handlers,
        runtime: Runtime,
        *,
        on_error: OnError,
        longest_result: int,
    ) -> None:
        if on_error not in ON_ERROR:
            raise ValueError(
                f"on_error must be one of {', '.join(ON_ERROR)}, not "
                f"{on_error!r}"
            )
        self._live = live
        self._writer = writer
        self._handlers = handlers
        self._runtime = runtime
        self._on_error = on_error
        self._longest_result = longest_result

    # -- accepting

    def accept(self, operation: Operation) -> None:
        """Put it in the journal; of several threads, the first does.

        Raises:
            JournalError: it was refused.
        """
        try:
            operation.unclaimed.pop()
        except IndexError:
            operation.settled.wait()
        else:
            self._accept(operation)
        if operation.refused is not None:
            raise again(operation.refused)

    def _accept(self, operation: Operation) -> None:
        entry = operation.entry
        try:
            known = self._writer.accept(entry)
            operation.becomes(known)
            ours = dataclasses.replace(
                entry, sequence=known.sequence, epoch=known.epoch
            )
            if known != ours:
                # It was accepted and done since somebody looked for it.
                operation.claim()
                operation.end(*outcome_of(known))
            else:
                self._live.count("accepted")
        except BaseException as error:
            operation.refused = error
            raise
        finally:
            operation.settled.set()

    # -- its turn

    # The frames of a failure lead back to those from here to the handler,
    # which are not to lead to the operation: it leads to the failure.

    def run(self, turn: Turn) -> None:
        """Do an operation, if that turn of it is one.

        Nothing comes out but what is no Exception, as a KeyboardInterrupt;
        the future has the rest.
        """
        operation = turn.operation
        mine = self._live.may_begin(operation, turn) and self._claim(operation)
        del operation
        if not mine:
            return
        error = None
        try:
            if self._begin(turn.operation):
                error = self._do(turn)
        finally:
            self._live.remove(turn.operation)
            del turn.operation
        if error is not None and not isinstance(error, Exception):
            raise error

    def _do(self, turn: Turn) -> BaseException | None:
        """Call the handler and write what came of it; what it raised."""
        result, error = self._call(turn)
        self._conclude(turn.operation, result, error)
        return error

    def _call(self, turn: Turn) -> tuple[Any, BaseException | None]:
        ident = self._runtime.ident()
        outer = waiting.enter(ident, turn.operation.future)
        try:
            call = self.call_of(turn.operation.entry)
            return self._handlers.of(call.action).call(call), None
        except BaseException as error:  # noqa: BLE001 - it is told
            return None, error
        finally:
            waiting.leave(ident, outer)

    def _claim(self, operation: Operation) -> bool:
        """Whether it is durable, and ours to do."""
        try:
            self.accept(operation)
        except Exception:  # noqa: BLE001 - who submits it is told
            return False
        if operation.claim():
            return True
        if operation.future.cancelled():
            # What comes after it begins only when that is durable.
            self.cancelled(operation)
        return False

    def _begin(self, operation: Operation) -> bool:
        """Write that it runs; False if it does not come to that."""
        entry = operation.entry
        live = self._live
        if entry.scope not in live.leases or entry.scope in live.closing:
            self._writer.defer(operation, "it goes to another owner")
            return False
        if entry.state is State.UNKNOWN:
            if not self._reconcile(operation):
                return False
            entry = operation.entry
        now = self._runtime.time()
        if entry.expires_at is not None and now > entry.expires_at:
            self._cancel(operation, "expired")
            return False
        running = entry.to(State.RUNNING, now)
        return self._writer.write(operation, running) is None

    def _conclude(
        self, operation: Operation, result: object, error: BaseException | None
    ) -> None:
        now = self._runtime.time()
        entry = operation.entry
        if error is None:
            kept, why = self._kept(result)
            after = entry.to(State.SUCCEEDED, now, result=kept, reason=why)
            if self._writer.write(operation, after) is None:
                self._live.count("succeeded")
                operation.end(result)
        elif isinstance(error, Exception) and not isinstance(
            error, OperationUnknown
        ):
            self._fail(operation, entry.to(State.FAILED, now), error)
        else:
            after = entry.to(State.UNKNOWN, now, reason=in_words(error))
            if self._writer.write(operation, after) is None:
                self._writer.unknown(operation, error)

    def call_of(self, entry: Entry) -> Call:
        """What its handler is called with."""
        return Call(
            operation=entry.id,
            container=entry.container,
            action=entry.action,
            parameters=from_json(entry.parameters),
            attempt=entry.attempts,
            epoch=entry.epoch,
        )

    def _kept(self, result: object) -> tuple[str | None, str]:
        if result is None:
            return None, ""
        try:
            return as_json(result, self._longest_result, "the result"), ""
        except InvalidOperation as error:
            return None, as_reason(f"not kept: {error}")

    def _fail(
        self, operation: Operation, after: Entry, error: BaseException
    ) -> None:
        after = dataclasses.replace(after, reason=in_words(error))
        dependents: dict[str, Operation] = {}
        if after.mode != "bypass" and self._on_error == "fail_fast":
            dependents = self._dependents(operation)
        also = [
            other.entry.to(
                State.CANCELLED,
                after.ended_at or 0.0,
                reason=f"dependency: operation {after.id} failed",
            )
            for other in dependents.values()
        ]
        if self._writer.write(operation, after, also, dependents) is None:
            if after.mode != "bypass" and self._on_error == "quarantine":
                self._live.hold(after, f"it failed: {after.reason}")
            self._live.count("failed")
            operation.end(None, error, said=False)

    def _dependents(self, operation: Operation) -> dict[str, Operation]:
        """Those accepted after it, up to one that clears failures."""
        found: dict[str, Operation] = {}
        for other in self._live.of(container=operation.entry.container):
            entry = other.entry
            if (
                other is operation
                or entry.mode == "bypass"
                or not entry.sequence
                or entry.state is not State.ACCEPTED
            ):
                continue
            if self._handlers.clears(entry.action):
                break
            found[other.id] = other
        return found

    # -- finding out

    def _reconcile(self, operation: Operation) -> bool:
        """Ask the engine; True if it is to be done."""
        entry = operation.entry
        try:
            ask = self._handlers.of(entry.action).reconcile
            verdict = State.UNKNOWN
            if ask is not None:
                verdict = State(ask(self.call_of(entry)))
            after = entry.to(
                verdict, self._runtime.time(), reason="by its engine"
            )
        except Exception as error:  # noqa: BLE001 - it is told
            self._writer.unknown(operation, error)
            return False
        if self._writer.write(operation, after) is not None:
            return False
        if verdict is not State.ACCEPTED:
            self._live.count(str(verdict))
            operation.end(*outcome_of(after))
            return False
        return True

    # -- ending without having begun

    def cancelled(self, operation: Operation) -> None:
        """Its future was cancelled; write that down, once."""
        try:
            self.accept(operation)
        except Exception:  # noqa: BLE001 - there is nothing to cancel
            return
        self._cancel(operation, "user")
        self._live.remove(operation)

    def _cancel(self, operation: Operation, reason: str) -> None:
        entry = operation.entry
        if entry.finished:
            return
        now = self._runtime.time()
        after = entry.to(State.CANCELLED, now, reason=reason)
        if self._writer.write(operation, after) is None:
            self._live.count("cancelled")
            operation.end(None, OperationCancelled(entry.id, reason))
