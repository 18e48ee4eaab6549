"""Who waits for whom: helping, and telling a deadlock from a long wait.

A *party* is a thread that runs tasks: a worker for as long as it lives,
another thread while it runs a task itself. A party that is about to wait for
a task which nobody has begun may run it (its executor decides). A party that
waits without a time limit first asks whether anything could ever end the
wait; if every way leads back to a party that waits as well, it raises
DeadlockError instead. What is not known (a standard future, an outside
thread) is taken for something that may move: no wait is refused that could
end.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from parallelops.errors import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from concurrent.futures import Future as AnyFuture

    from parallelops.futures import Future
    from parallelops.runtime import Lock, Runtime

__all__ = [
    "Owner",
    "Party",
    "enter",
    "for_futures",
    "for_room",
    "help_with",
    "leave",
    "party_of",
    "register",
    "unregister",
]


class Party:
    """A thread that runs tasks, or waits in one.

    Attributes:
        name: what it is called in errors.
        ident: its identity, in its runtime.
        task: the future that it took as a worker and is running.
        awaited: set while it waits without a time limit: tells whether
            anything could end the wait, given the parties already asked.
    """

    __slots__ = ("awaited", "ident", "name", "task")

    def __init__(self, name: str, ident: int | None = None) -> None:
        self.name = name
        self.ident = ident
        self.task: Future[Any] | None = None
        self.awaited: Callable[[set[int]], bool] | None = None


class Owner(Protocol):
    """What a future asks of the executor that made it."""

    runtime: Runtime
    # Guards the watchers of all its futures. Reentrant, since a signal
    # handler or a finalizer may come back while it is held.
    lock: Lock

    def cancelled(self, future: Future[Any]) -> None:
        """A future that nobody had begun was cancelled."""

    def help(
        self, future: Future[Any], party: Party, timeout: float | None
    ) -> None:
        """``party`` is about to wait for a future that nobody has begun:
        run it there, if that is this executor's way."""

    def starters(self) -> Collection[Party] | None:
        """The parties of which one must be free before a queued future can
        begin; None when one is."""


# Both by the identity of the thread, and written by that thread alone.
# Workers, and other threads while they wait in a task:
_parties: dict[int, Party] = {}
# What threads run beside a worker's own task, each in the midst of the next:
_Inner = tuple["Future[Any]", "_Inner | None"]
_inner: dict[int, _Inner] = {}


def register(runtime: Runtime, party: Party) -> None:
    """The calling thread is ``party`` from now on."""
    party.ident = runtime.ident()
    _parties[party.ident] = party


def unregister(party: Party) -> None:
    """The calling thread, which is ``party``, runs no more tasks."""
    del _parties[party.ident or 0]


def party_of(runtime: Runtime) -> Party | None:
    """The calling thread as a party, if it is in a task."""
    ident = runtime.ident()
    party = _parties.get(ident)
    if party is None and ident in _inner:
        return Party("the caller", ident)
    return party


def enter(ident: int, future: Future[Any]) -> _Inner | None:
    """The calling thread puts aside what it does, to run ``future``'s task.

    Returns:
        What to give to :func:`leave` afterwards.
    """
    outer = _inner.get(ident)
    _inner[ident] = (future, outer)
    return outer


def leave(ident: int, outer: _Inner | None) -> None:
    """It has run the task, and goes on with what it was doing."""
    if outer is None:
        del _inner[ident]
    else:
        _inner[ident] = outer


def help_with(
    futures: Collection[AnyFuture[Any]],
    need: int,
    runtime: Runtime,
    timeout: float | None,
) -> None:
    """Run tasks that the calling party would otherwise wait for.

    Stops when ``need`` of them are done.
    """
    party = party_of(runtime)
    if party is None or (timeout is not None and timeout <= 0):
        return
    todo = [future for future in futures if not future.done()]
    need -= len(futures) - len(todo)
    for future in todo:
        if need <= 0:
            return
        owner: Owner | None = getattr(future, "_owner", None)
        if owner is not None:
            owner.help(future, party, timeout)  # type: ignore[arg-type]
        need -= future.done()


def for_futures(
    party: Party, futures: Collection[AnyFuture[Any]], need: int
) -> contextlib.AbstractContextManager[None]:
    """``party`` waits, in the ``with`` block, for ``need`` of the futures.

    Raises:
        DeadlockError: nothing could ever end the wait.
    """
    return _awaiting(party, lambda seen: _enough(futures, need, seen))


def for_room(
    party: Party, owner: Owner
) -> contextlib.AbstractContextManager[None]:
    """``party`` waits, in the ``with`` block, for ``owner`` to have room.

    Raises:
        DeadlockError: nothing could ever end the wait.
    """
    return _awaiting(party, lambda seen: _can_start(owner, seen))


@contextlib.contextmanager
def _awaiting(
    party: Party, awaited: Callable[[set[int]], bool]
) -> Iterator[None]:
    ident = party.ident or 0
    known = ident in _parties
    # First say it, then look: of parties that close a circle together, the
    # last one sees all of it.
    party.awaited = awaited
    _parties[ident] = party
    try:
        if not _can_move(party, set()):
            raise DeadlockError(
                f"{party.name} would wait for ever: what it waits for can "
                "only happen after the task that waits"
            )
        yield
    finally:
        party.awaited = None
        if not known:
            del _parties[ident]


def _can_move(party: Party, seen: set[int]) -> bool:
    awaited = party.awaited
    if awaited is None:
        return True
    if id(party) in seen:
        return False
    seen.add(id(party))
    try:
        return awaited(seen)
    finally:
        seen.discard(id(party))


def _enough(
    futures: Collection[AnyFuture[Any]], need: int, seen: set[int]
) -> bool:
    return sum(_can_end(future, seen) for future in futures) >= need


def _can_start(owner: Owner, seen: set[int]) -> bool:
    starters = owner.starters()
    return starters is None or any(_can_move(p, seen) for p in starters)


def _can_end(future: AnyFuture[Any], seen: set[int]) -> bool:
    owner: Owner | None = getattr(future, "_owner", None)
    if owner is None or future.done():
        return True
    if future.running():
        runner = _runner(future)
        # None is a thread that does not wait, or is about to begin or end.
        return runner is None or _can_move(runner, seen)
    return _can_start(owner, seen)


def _runner(future: AnyFuture[Any]) -> Party | None:
    for party in tuple(_parties.values()):
        if party.task is future:
            return party
    for ident, inner in tuple(_inner.items()):
        link: _Inner | None = inner
        while link is not None:
            if link[0] is future:
                return _parties.get(ident)
            link = link[1]
    return None
