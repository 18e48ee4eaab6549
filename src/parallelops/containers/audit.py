"""Looking a journal over: is it whole, and does it make sense?"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

from parallelops.containers.operation import State
from parallelops.errors import InvalidOperation, JournalError
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelops.containers.operation import Entry
    from parallelops.containers.sqlitejournal import SQLiteJournal

__all__ = ["Audit", "audit", "take_over"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found in a journal.

    Attributes:
        problems: what is wrong with it, in words.
        states: how many operations are in each state.
        unknown: the ids of those that somebody has to settle.
        leases: the epoch of each scope.
    """

    problems: tuple[str, ...]
    states: dict[str, int]
    unknown: tuple[str, ...]
    leases: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self)


def audit(journal: SQLiteJournal) -> Audit:
    """Read all of a journal.

    It is damaged where a checksum is wrong. It makes no sense where two
    exclusive operations of a container are running, or one has ended that
    never began.
    """
    problems = journal.damage()
    states: dict[str, int] = dict.fromkeys(map(str, State), 0)
    unknown = []
    running = collections.defaultdict(list)
    leases: dict[str, int] = {}
    try:
        for entry in journal.entries():
            states[entry.state] += 1
            if entry.state is State.UNKNOWN:
                unknown.append(entry.id)
            if entry.state is State.RUNNING and entry.mode == "exclusive":
                running[entry.container].append(entry.id)
            began = entry.state in (State.SUCCEEDED, State.FAILED)
            if began and not entry.attempts:
                problems.append(f"operation {entry.id} ended and never began")
        leases = {lease.scope: lease.epoch for lease in journal.leases()}
    except JournalError as error:
        if not problems:
            problems.append(str(error))
    problems += [
        f"operations {', '.join(names)} of container {container!r} run at "
        "the same time"
        for container, names in running.items()
        if len(names) > 1
    ]
    return Audit(
        problems=tuple(problems),
        states=states,
        unknown=tuple(unknown),
        leases=leases,
    )


def take_over(
    journal: SQLiteJournal, settled: Mapping[str, str]
) -> list[Entry]:
    """Take a journal from a conductor that has ended, without doing any of
    its operations: what was running is unknown then.

    A conductor that has not ended can write nothing more.

    Args:
        settled: what became of operations that are unknown, by id: a state
            that they can go to.

    Returns:
        Those that are unknown still.

    Raises:
        LeaseHeld: the conductor's lease has not run out.
        InvalidOperation: one that is to be settled is not unknown.
        JournalError: the journal can't be read or written, or is damaged.
    """
    now = ThreadRuntime().time()
    scopes = {lease.scope for lease in journal.leases()} or {""}
    unknown: dict[str, Entry] = {}
    leases = [
        journal.take(scope, "an operator", now, None)
        for scope in sorted(scopes)
    ]
    by_scope = {lease.scope: lease for lease in leases}
    for entry in journal.unfinished(by_scope):
        found = entry
        if found.state is State.RUNNING:
            after = found.to(
                State.UNKNOWN, now, reason="its owner ended meanwhile"
            )
            (found,) = journal.advance(by_scope[found.scope], after)
        if found.state is State.UNKNOWN:
            unknown[found.id] = found
    for name, state in settled.items():
        if name not in unknown:
            raise InvalidOperation(f"operation {name!r} is not unknown")
        entry = unknown.pop(name)
        after = entry.to(State(state), now, reason="settled by an operator")
        journal.advance(by_scope[entry.scope], after)
    for lease in leases:
        journal.release(lease)
    return list(unknown.values())
