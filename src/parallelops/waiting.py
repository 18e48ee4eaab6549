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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from parallelops.errors import DeadlockError
from parallelops.watchers import wake

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from concurrent.futures import Future as AnyFuture

    from parallelops.futures import Future
    from parallelops.runtime import Lock, Runtime

__all__ = [
    "Owner",
    "Party",
    "Stuck",
    "can_start",
    "descend",
    "enter",
    "forget",
    "leave",
    "look_again",
    "party_of",
    "register",
    "running_here",
    "unregister",
    "wait_for",
    "wait_for_futures",
]


class Party:
    """A thread that runs tasks, or waits in one.

    Attributes:
        name: what it is called in errors.
        ident: its identity, in its runtime.
        task: the future that it took as a worker and is running.
        wait: what it waits for without a time limit, while it does.
    """

    __slots__ = ("ident", "name", "task", "wait")

    def __init__(self, name: str, ident: int | None = None) -> None:
        self.name = name
        self.ident = ident
        self.task: Future[Any] | None = None
        self.wait: _Wait | None = None


# Tells of a party whether it can do nothing but wait.
Stuck = Callable[[Party], bool]


class _Wait:
    """One wait without a time limit.

    Attributes:
        permit: the lock that the party sleeps on.
        could_end: could something end it, given which parties are stuck?
        doomed: it was found, meanwhile, that nothing can.
    """

    __slots__ = ("could_end", "doomed", "permit")

    def __init__(
        self, permit: Lock, could_end: Callable[[Stuck], bool]
    ) -> None:
        self.permit = permit
        self.could_end = could_end
        self.doomed = False


class Owner(Protocol):
    """What a future asks of the executor that made it."""

    runtime: Runtime
    # Held for a moment where two of its futures' ends could meet, and another
    # one in a forked child. Reentrant, since a signal handler or a finalizer
    # may come back while it is held.
    lock: Lock

    def cancelled(self, future: Future[Any]) -> None:
        """A future that nobody had begun was cancelled."""

    def released(self, future: Future[Any]) -> None:
        """A future that nobody had begun is completed by hand: its call
        will not be made."""

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


def forget(party: Party) -> Iterator[Future[Any]]:
    """In a forked child: the thread of ``party`` did not come along.

    Returns:
        What it was running.
    """
    if party.task is not None:
        yield party.task
    ident = party.ident or 0  # as long as it has not begun
    _parties.pop(ident, None)
    inner = _inner.pop(ident, None)
    while inner is not None:
        future, inner = inner
        yield future


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


def descend(levels: int) -> None:
    """Raise RecursionError unless there is stack for so many more calls."""
    if levels:
        descend(levels - 1)


def leave(ident: int, outer: _Inner | None) -> None:
    """It has run the task, and goes on with what it was doing."""
    if outer is None:
        del _inner[ident]
    else:
        _inner[ident] = outer


def wait_for_futures(
    party: Party,
    permit: Lock,
    futures: Collection[AnyFuture[Any]],
    enough: Callable[[list[AnyFuture[Any]]], bool],
) -> None:
    """``party`` sleeps on ``permit`` until some of the futures wake it.

    Args:
        enough: would it do, if these came to their end? It is asked again
            when others begin to wait.

    Raises:
        DeadlockError: nothing could ever end the wait.
    """
    wait_for(
        party,
        permit,
        lambda stuck: enough([f for f in futures if _can_end(f, stuck)]),
    )


def wait_for(
    party: Party, permit: Lock, could_end: Callable[[Stuck], bool]
) -> None:
    """``party`` sleeps on ``permit``, with no time limit.

    Args:
        could_end: could something end the wait, given which parties are
            stuck? It is asked again when others begin to wait.

    Raises:
        DeadlockError: nothing could ever end the wait.
    """
    ident = party.ident or 0
    known = ident in _parties
    # First say it, then look: of parties that close a circle together, the
    # last one sees all of it.
    wait = party.wait = _Wait(permit, could_end)
    _parties[ident] = party
    try:
        if not _is_stuck(party, could_end):
            permit.acquire()
            if not wait.doomed:
                return
    finally:
        party.wait = None
        if not known:
            del _parties[ident]
    raise DeadlockError(
        f"{party.name} would wait for ever: what it waits for can only "
        "happen after the task that waits"
    )


def look_again() -> None:
    """Waits may have counted on what is now gone, such as a worker: those
    that nothing can end any more raise DeadlockError."""
    stuck = _without_the_freed(filter(_waits, list(_parties.values())))
    while stuck:
        # When one gives up, that may free the others.
        party, _ = stuck.popitem()
        if (wait := party.wait) is not None:
            wait.doomed = True
            wake(wait.permit)
        stuck = _without_the_freed(stuck)


def _is_stuck(party: Party, could_end: Callable[[Stuck], bool]) -> bool:
    # Nearly always somebody who could end the wait does not wait.
    if could_end(_waits):
        return False
    return party in _without_the_freed(filter(_waits, list(_parties.values())))


def _without_the_freed(parties: Iterable[Party]) -> dict[Party, None]:
    """Take out who can be freed, until nobody can."""
    stuck = dict.fromkeys(parties)
    while freed := [p for p in stuck if _can_be_freed(p, stuck)]:
        for party in freed:
            del stuck[party]
    return stuck


def _waits(party: Party) -> bool:
    return party.wait is not None


def _can_be_freed(party: Party, stuck: dict[Party, None]) -> bool:
    wait = party.wait
    return wait is None or wait.could_end(stuck.__contains__)


def can_start(owner: Owner, stuck: Stuck) -> bool:
    """Can something begin what is queued, given who is stuck?"""
    starters = owner.starters()
    return starters is None or not all(map(stuck, starters))


def _can_end(future: AnyFuture[Any], stuck: Stuck) -> bool:
    owner: Owner | None = getattr(future, "_owner", None)
    if owner is None or future.done():
        return True
    if future.running():
        runner = _runner(future)
        # None is a thread that does not wait, or is about to begin or end.
        return runner is None or not stuck(runner)
    # Of an owner that keeps an order, what must end first.
    before = getattr(owner, "predecessors", _none)(future)
    return all(_can_end(f, stuck) for f in before) and can_start(owner, stuck)


def _none(_: AnyFuture[Any]) -> tuple[()]:
    return ()


def running_here(ident: int, owner: Owner) -> Iterator[Future[Any]]:
    """Those of ``owner``'s tasks that a thread is in, the innermost first."""
    tasks: list[Future[Any]] = []
    link = _inner.get(ident)
    while link is not None:
        future, link = link
        tasks.append(future)
    party = _parties.get(ident)
    if party is not None and party.task is not None:
        tasks.append(party.task)
    return (task for task in tasks if getattr(task, "_owner", None) is owner)


def _runner(future: AnyFuture[Any]) -> Party | None:
    # Copies that are made in one step: others come and go meanwhile.
    for party in list(_parties.values()):
        if party.task is future:
            return party
    for ident, inner in _inner.copy().items():
        link: _Inner | None = inner
        while link is not None:
            if link[0] is future:
                return _parties.get(ident)
            link = link[1]
    return None
