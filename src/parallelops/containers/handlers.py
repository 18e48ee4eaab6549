"""Handlers: what does an operation, and what may be done with it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from parallelops.containers.operation import Mode, Recovery, check_name
from parallelops.errors import InvalidOperation
from parallelops.plugins import Namespace, near_match

if TYPE_CHECKING:
    from parallelops.containers.operation import State

__all__ = ["ENGINES", "Call", "Handler", "Handlers", "load_engine"]

ENGINES = Namespace(name="parallelops.container_engines", builtins={})


def load_engine(name: str, /, **options: Any) -> Any:
    """Make the orchestration engine of that name.

    Args:
        name: what a plug-in in the entry-point namespace
            ``parallelops.container_engines`` is called.
        options: what it is called with.

    Returns:
        What it returned: something with ``handlers``, or handlers by name.

    Raises:
        PluginError: there is no such engine, or it is broken.
        MissingDependency: it needs something that is not installed.
    """
    return ENGINES.load(name)(**options)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler is called with.

    Attributes:
        operation: the id of the operation; the same each time it is tried.
        container: what to do it to.
        action: what to do.
        parameters: how, as they came out of JSON.
        attempt: 1 for the first time.
        epoch: of the owner that calls; an engine that remembers the largest
            it has seen can refuse one that was taken over meanwhile.
    """

    operation: str
    container: str
    action: str
    parameters: Any
    attempt: int
    epoch: int


@dataclasses.dataclass(frozen=True, slots=True)
class Handler:
    """Does one action, and says what may be done with it.

    Attributes:
        call: does it. What it returns is the result; when it raises, the
            operation has failed; but with OperationUnknown, or what is no
            Exception, nobody knows.
        mode: "exclusive", "shared" or "bypass"; see
            :data:`~parallelops.containers.operation.Mode`.
        recovery: "never", "idempotent" or "reconcile"; see
            :data:`~parallelops.containers.operation.Recovery`.
        reconcile: for that one: says what became of the call. SUCCEEDED,
            FAILED, ACCEPTED for one that had no effect, which is then done;
            UNKNOWN for one that it can't tell of.
        blocking: done at once in the caller, in no order and without a
            journal; for what only looks, such as reading logs.
        clears: it runs although an operation before it failed, and so do
            those after it; None is for the action "delete".

    Raises:
        InvalidOperation: these do not go together.
    """

    call: Callable[[Call], Any]
    mode: Mode = "exclusive"
    recovery: Recovery = "never"
    reconcile: Callable[[Call], State] | None = None
    blocking: bool = False
    clears: bool | None = None

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise InvalidOperation(f"{self.call!r} can't be called")
        for what, value, known in (
            ("mode", self.mode, get_args(Mode)),
            ("recovery", self.recovery, get_args(Recovery)),
        ):
            if value not in known:
                raise InvalidOperation(
                    f"{what} must be one of {', '.join(known)}, not {value!r}"
                )
        if (self.recovery == "reconcile") != (self.reconcile is not None):
            raise InvalidOperation(
                "recovery 'reconcile' and a callable 'reconcile' go together"
            )


class Handlers(Mapping[str, Handler]):
    """The handlers of one engine or of several, by the names of actions.

    Args:
        source: a mapping by name of handlers, of plain callables (which are
            handlers with the defaults), or of engines, whose actions then
            begin with that name and a dot; or one engine: what has
            ``handlers`` that are such a mapping.

    Raises:
        InvalidOperation: it is none of these.
    """

    def __init__(self, source: Any) -> None:
        found: dict[str, Handler] = {}
        _collect(found, "", source)
        if not found:
            raise InvalidOperation("there are no handlers")
        self._found = types.MappingProxyType(found)

    def __getitem__(self, action: str) -> Handler:
        return self._found[action]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def of(self, action: str) -> Handler:
        """The handler of an action.

        Raises:
            InvalidOperation: there is none.
        """
        handler = self._found.get(action)
        if handler is None:
            raise InvalidOperation(
                f"there is no handler for {action!r:.300}"
                f"{near_match(str(action), self._found)}; there are "
                f"{', '.join(sorted(self._found))}"
            )
        return handler

    def clears(self, action: str) -> bool:
        """Whether it ends what a failure before it began."""
        handler = self._found.get(action)
        if handler is None or handler.clears is None:
            return action.rpartition(".")[2] == "delete"
        return handler.clears


def _collect(found: dict[str, Handler], prefix: str, source: Any) -> None:
    mapping = getattr(source, "handlers", source)
    if not isinstance(mapping, Mapping):
        raise InvalidOperation(
            f"{prefix or 'handlers'}: {source!r:.300} is no handler, no "
            "callable, no mapping of those, and has no 'handlers'"
        )
    for name, value in mapping.items():
        full = prefix + check_name("the name of a handler", name)
        if isinstance(value, Handler):
            found[full] = value
        elif isinstance(value, Mapping) or hasattr(value, "handlers"):
            if prefix:
                raise InvalidOperation(f"{full}: engines have no engines")
            _collect(found, f"{full}.", value)
        elif callable(value):
            found[full] = Handler(value)
        else:
            raise InvalidOperation(f"{full}: {value!r:.300} is no handler")
