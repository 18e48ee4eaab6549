"""Requests: from what a client says to an operation in its line."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING, Any

from parallelops.containers.groupcommit import again
from parallelops.containers.live import Operation, Turn, outcome_of
from parallelops.containers.operation import (
    Entry,
    State,
    as_json,
    as_reason,
    check_name,
)
from parallelops.errors import DuplicateOperation, ExecutorSaturated

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

    from parallelops.containers.handlers import Handler, Handlers
    from parallelops.containers.journal import Journal
    from parallelops.containers.live import Live
    from parallelops.containers.runner import Runner
    from parallelops.containers.writer import Writer
    from parallelops.keyed import KeyedExecutor

__all__ = ["Requests"]


class Requests:
    """Makes operations, and puts them in line before they are durable: so
    their order is settled, and one for which there is no room leaves
    nothing behind.

    Args:
        live: the operations of this process.
        journal: where they are.
        handlers: what does them.
        runner: takes them from state to state.
        writer: writes their states.
        keyed: keeps the order.
        scope_of: the scope of a container.
        max_blocking: how many blocking ones are done at once.
        longest_parameters: characters of JSON.

    Raises:
        ValueError: ``max_blocking`` is not above 0.
    """

    def __init__(
        self,
        live: Live,
        journal: Journal,
        handlers: Handlers,
        runner: Runner,
        writer: Writer,
        keyed: KeyedExecutor,
        *,
        scope_of: Callable[[str], str],
        max_blocking: int,
        longest_parameters: int,
    ) -> None:
        if max_blocking < 1:
            raise ValueError(
                f"max_blocking must be above 0, not {max_blocking!r}"
            )
        self._live = live
        self._journal = journal
        self._handlers = handlers
        self._runner = runner
        self._writer = writer
        self._keyed = keyed
        self._runtime = keyed.runtime
        self._scope_of = scope_of
        self._longest_parameters = longest_parameters
        self._max_blocking = max_blocking
        self._lane = [None] * max_blocking  # a slot is popped, and put back

    @property
    def blocking(self) -> int:
        """How many blocking ones are being done."""
        return self._max_blocking - len(self._lane)

    def submit(
        self,
        container: str,
        action: str,
        parameters: Any,
        operation_id: str,
        time_to_live: float | None,
    ) -> Operation:
        """See :meth:`ContainerOperations.submit`."""
        handler = self._handlers.of(action)
        entry = self._entry(
            container, action, parameters, handler, operation_id, time_to_live
        )
        if handler.blocking:
            self._live.check_scope(container, entry.scope)
            return self._do_here(handler, entry)
        if operation_id and (known := self._known(entry)) is not None:
            return known
        self._live.check(container, entry.scope)
        operation = self._operation(entry)
        first = self._live.add(operation)
        if first is not operation:
            return self._repeated(first, entry)
        try:
            self.enqueue(operation)
            self._runner.accept(operation)
        except BaseException as error:
            self._forget(operation, error)
            raise
        if operation.entry.finished:
            self._live.remove(operation)
        return operation

    def _entry(
        self,
        container: str,
        action: str,
        parameters: Any,
        handler: Handler,
        operation_id: str,
        time_to_live: float | None,
    ) -> Entry:
        now = self._runtime.time()
        check_name("a container", container)
        return Entry(
            id=check_name("an id", operation_id or self.new_id()),
            container=container,
            action=action,
            parameters=as_json(
                parameters,
                self._longest_parameters,
                "parameters",
            ),
            mode=handler.mode,
            recovery=handler.recovery,
            scope=self._scope_of(container),
            accepted_at=now,
            expires_at=None if time_to_live is None else now + time_to_live,
        )

    def new_id(self) -> str:
        """One that nobody else has."""
        number = self._runtime.random.getrandbits(128)
        return str(uuid.UUID(int=number, version=4))

    def _operation(self, entry: Entry) -> Operation:
        return Operation(
            entry, self._runtime, self._live.lock, self._runner.cancelled
        )

    def ended(self, entry: Entry) -> Operation:
        """One that is not in the hands of this process."""
        operation = self._operation(entry)
        operation.claim()
        operation.end(*outcome_of(entry))
        return operation

    def _known(self, entry: Entry) -> Operation | None:
        # It may come, and go, while we look here and there.
        seen = None
        while True:
            operation = self._live.operations.get(entry.id)
            if operation is not None:
                return self._repeated(operation, entry)
            known = self._journal.find(entry.id)
            if known is None:
                return None
            if not known.repeats(entry):
                raise DuplicateOperation(entry.id)
            if known.finished or seen == known:
                return self.ended(known)
            seen = known

    def _repeated(self, first: Operation, entry: Entry) -> Operation:
        if not first.entry.repeats(entry):
            raise DuplicateOperation(entry.id)
        self._runner.accept(first)  # it is durable then
        return first

    def _forget(self, operation: Operation, error: BaseException) -> None:
        """Its request failed: it is not to begin, unless it was accepted."""
        try:
            operation.unclaimed.pop()
        except IndexError:
            if operation.refused is None:
                return  # its turn has come, and it goes on
        else:
            operation.refused = error
            operation.settled.set()
        with self._live.lock:
            carrier = operation.carrier
            operation.turn = operation.carrier = None
        self._live.remove(operation)
        if carrier is not None:
            carrier.cancel()
        operation.claim()
        operation.end(None, again(error))

    def enqueue(self, operation: Operation) -> None:
        """Put it in the line of its container.

        Raises:
            what the keyed executor does.
        """
        entry = operation.entry
        turn = operation.turn = Turn(operation)
        carrier = self._keyed.enqueue(
            entry.container,
            functools.partial(self._runner.run, turn),
            mode=entry.mode,
        )
        with self._live.lock:
            if operation.turn is turn:
                operation.carrier = carrier
        carrier.add_done_callback(functools.partial(self._turn_ended, turn))

    def _turn_ended(
        self, turn: Turn, carrier: concurrent.futures.Future[Any]
    ) -> None:
        """If the executor gave it up, it is left to the next recovery."""
        why = "its turn was cancelled"
        if not carrier.cancelled():
            error = carrier.exception()
            if error is None:
                return
            why = as_reason(str(error))
        operation = getattr(turn, "operation", None)
        if (
            operation is not None
            and operation.turn is turn
            and not operation.future.done()
        ):
            operation.claim()
            self._writer.defer(operation, why)

    def _do_here(self, handler: Handler, entry: Entry) -> Operation:
        try:
            self._lane.pop()
        except IndexError:
            raise ExecutorSaturated(
                "blocking operations",
                self._max_blocking,
                f"{self._max_blocking} blocking operations are being done "
                "already; ask again later, or raise max_blocking",
            ) from None
        operation = self._operation(entry)
        operation.claim()
        operation.becomes(entry.to(State.RUNNING, entry.accepted_at))
        try:
            result = handler.call(self._runner.call_of(operation.entry))
        except Exception as error:  # noqa: BLE001 - the future has it
            self._end_here(operation, State.FAILED)
            operation.end(None, error, said=False)
        else:
            self._end_here(operation, State.SUCCEEDED)
            operation.end(result)
        finally:
            self._lane.append(None)
        return operation

    def _end_here(self, operation: Operation, state: State) -> None:
        operation.becomes(operation.entry.to(state, self._runtime.time()))
