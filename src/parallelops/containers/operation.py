"""Operations on containers: their states, and what is kept of each."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
from typing import TYPE_CHECKING, Any, Literal

from parallelops.errors import IllegalTransition, InvalidOperation
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LONGEST_NAME",
    "LONGEST_REASON",
    "TRANSITIONS",
    "UNFINISHED",
    "Entry",
    "Mode",
    "Recovery",
    "State",
    "as_json",
    "as_reason",
    "check_name",
    "from_json",
    "in_place",
]

Mode = Literal["exclusive", "shared", "bypass"]
"""How an operation goes with the others of its container:

- exclusive: alone, in the order of the requests;
- shared: in that order too, but together with other shared ones;
- bypass: at any time, whatever else is going on.
"""

Recovery = Literal["never", "idempotent", "reconcile"]
"""What to do with an operation that may have had its effect:

- never: leave it unknown, and its container alone, until somebody settles
  it;
- idempotent: do it again, since that makes no difference;
- reconcile: ask the engine what became of it.
"""

LONGEST_NAME = 255  # of an id, a container, an action, a scope
LONGEST_REASON = 1000


class State(enum.StrEnum):
    """What is known of an operation."""

    ACCEPTED = "accepted"
    """It is in the journal, and will be done when its turn comes."""
    RUNNING = "running"
    """It has begun, so it may have had its effect."""
    UNKNOWN = "unknown"
    """It had begun, and nobody can tell what became of it."""
    SUCCEEDED = "succeeded"
    """It was done."""
    FAILED = "failed"
    """It was tried, and its handler said that it failed."""
    CANCELLED = "cancelled"
    """It never began, and never will."""


_ENDS = frozenset({State.SUCCEEDED, State.FAILED})
TRANSITIONS: Mapping[State, frozenset[State]] = types.MappingProxyType(
    {
        State.ACCEPTED: frozenset({State.RUNNING, State.CANCELLED}),
        State.RUNNING: _ENDS | {State.UNKNOWN},
        State.UNKNOWN: _ENDS | {State.ACCEPTED},
        State.SUCCEEDED: frozenset(),
        State.FAILED: frozenset(),
        State.CANCELLED: frozenset(),
    }
)
"""From each state, those that it may go to."""

UNFINISHED = frozenset(state for state, ends in TRANSITIONS.items() if ends)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the journal has of one operation.

    Times are in seconds since the epoch, on the clock of the owner that
    wrote them.

    Attributes:
        id: the client's, or made up.
        container: what it is done to.
        action: what is done, as the name of a handler.
        parameters: for the handler, as JSON.
        mode: see :data:`Mode`; as declared when it was accepted.
        recovery: see :data:`Recovery`; as declared when it was accepted.
        scope: which lease it belongs to.
        accepted_at: when it was requested.
        sequence: its place in the journal, from 1; 0 before it is there.
        state: see :class:`State`.
        reason: why it is in that state, in words; empty if nothing is to
            be said.
        result: what the handler returned, as JSON; None if there is none or
            it was not kept.
        attempts: how many times it has begun.
        epoch: in which epoch this was written.
        started_at: when it last began.
        ended_at: when it ended.
        expires_at: when it is too late to begin; None is never.
    """

    id: str
    container: str
    action: str
    parameters: str
    mode: Mode
    recovery: Recovery
    scope: str
    accepted_at: float
    sequence: int = 0
    state: State = State.ACCEPTED
    reason: str = ""
    result: str | None = None
    attempts: int = 0
    epoch: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    expires_at: float | None = None

    @property
    def finished(self) -> bool:
        """Whether it will never change again."""
        return self.state not in UNFINISHED

    def to(self, state: State, at: float, **changes: Any) -> Entry:
        """The same, in another state since ``at``.

        Raises:
            IllegalTransition: there is no way to that state.
        """
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(self.state, state, f"operation {self.id}")
        if state is State.RUNNING:
            changes |= {"attempts": self.attempts + 1, "started_at": at}
        elif state not in UNFINISHED:
            changes["ended_at"] = at
        return dataclasses.replace(
            self, state=state, **({"reason": ""} | changes)
        )

    def repeats(self, other: Entry) -> bool:
        """Whether it asks for the same as ``other``."""
        return (self.container, self.action, self.parameters) == (
            other.container,
            other.action,
            other.parameters,
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON; parameters and result as they were given."""
        return dataclasses.asdict(self) | {
            "parameters": from_json(self.parameters),
            "result": None if self.result is None else from_json(self.result),
        }


def in_place(entry: Entry) -> tuple[bool, float]:
    """Sorts unfinished operations as their turns come.

    One that has begun goes before those that have not: its turn had come.
    One that is not yet in the journal goes last.
    """
    return not entry.attempts, entry.sequence or math.inf


def as_json(value: object, limit: int, what: str) -> str:
    """``value`` as JSON, the same text for the same value.

    Raises:
        InvalidOperation: it is no JSON, or over ``limit`` characters.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        same = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOperation(f"{what} must be JSON: {error}") from error
    if not same:
        raise InvalidOperation(
            f"{what} must be JSON, and the same when it is read again: names "
            "are texts, and lists are lists"
        )
    if len(text) > limit:
        raise InvalidOperation(
            f"{what} must be no longer than {limit} characters of JSON, not "
            f"{len(text)}; keep what is large elsewhere, and its name here"
        )
    return text


def from_json(text: str) -> Any:
    """The value that :func:`as_json` made a text of."""
    return json.loads(text)


def as_reason(text: str) -> str:
    """``text``, such as an error's, short and without the secrets of URLs."""
    return redact_text(text[: 4 * LONGEST_REASON])[:LONGEST_REASON]


def check_name(what: str, name: object) -> str:
    """``name`` itself, if it can be the name of something.

    Raises:
        InvalidOperation: it can't.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise InvalidOperation(
            f"{what} must be a text of 1 to {LONGEST_NAME} characters, not "
            f"{name!r:.300}"
        )
    if not name.isprintable():
        raise InvalidOperation(f"{what} must be printable, not {name!r}")
    return name
