"""Waiting for room, for a turn, and for the end of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelops import waiting
from parallelops.synchronization import at_most
from parallelops.watchers import wake

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator

    from parallelops.futures import AnyFuture
    from parallelops.keyed.operation import Operation
    from parallelops.keyed.turns import Turns
    from parallelops.runtime import Lock, Runtime

__all__ = ["Blocked", "Drain", "View", "acquire"]


class Blocked:
    """A submit that waits for room.

    Attributes:
        key: of its operation; None if that is in no order.
        permit: what it waits on.
    """

    __slots__ = ("key", "permit")

    def __init__(self, key: Hashable, runtime: Runtime) -> None:
        self.key = key
        self.permit = locked(runtime)

    def call(self) -> None:
        """Let it try once more."""
        wake(self.permit)


class Drain:
    """Waits for operations to end.

    Attributes:
        left: those that have not.
        permit: released once there are none.
    """

    __slots__ = ("left", "permit")

    def __init__(self, runtime: Runtime) -> None:
        self.left: dict[Operation[Any], None] = {}
        self.permit = locked(runtime)

    def strike(self, operation: Operation[Any]) -> None:
        """It has ended, or is not waited for any more."""
        if operation in self.left:
            del self.left[operation]
            if not self.left:
                wake(self.permit)


class View:
    """Futures that are others each time one looks; see
    :func:`waiting.wait_for_futures`."""

    def __init__(self, look: Callable[[], Collection[AnyFuture]]) -> None:
        self._look = look

    def __iter__(self) -> Iterator[AnyFuture]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def __contains__(self, future: object) -> bool:
        return future in self._look()


def locked(runtime: Runtime) -> Lock:
    """A lock that somebody else will release."""
    lock = runtime.lock()
    lock.acquire()
    return lock


def acquire(
    permit: Lock,
    turns: Turns,
    futures: Collection[AnyFuture],
    enough: Callable[[list[AnyFuture]], bool],
    timeout: float | None = None,
) -> bool:
    """Wait for a permit, which ``enough`` of the futures lead to.

    Returns:
        False if the time is up.

    Raises:
        DeadlockError: the wait would never end.
    """
    party = waiting.party_of(turns.runtime)
    if party is None or timeout is not None:
        return permit.acquire(timeout=at_most(timeout))
    waiting.wait_for_futures(party, permit, futures, enough)
    return True
