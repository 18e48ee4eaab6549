"""Strategies: in which order the locations of an image are tried.

A strategy is a callable ``(locations, context) -> sequence``. It puts the
locations in order, the best first, and leaves those in the order they had
that it finds equal. So strategies can be chained: each decides among those
that are equal to the ones before it. A server that picks where to read and a
client that picks a direct URL use the same ones.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from parallelops.errors import PluginError
from parallelops.plugins import LOCATION_STRATEGIES
from parallelops.redact import redact_text
from parallelops.runtime import Runtime, ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.images.entry import StaticMetrics
    from parallelops.images.metrics import LocationMetrics

__all__ = [
    "Chain",
    "Selectable",
    "SelectionContext",
    "Strategy",
    "at_random",
    "by_node_weight",
    "by_weight",
    "load_strategy",
    "location_order",
    "measured",
    "store_preference",
]


class Selectable(Protocol):
    """What a strategy needs of a location: both
    :class:`~parallelops.images.Location` and
    :class:`~parallelops.images.LocationEntry` have it."""

    @property
    def url(self) -> str:
        """Where the data is."""

    @property
    def store(self) -> str | None:
        """The name of the store; None if that is not known."""

    @property
    def metrics(self) -> StaticMetrics:
        """What an operator says of it."""


L = TypeVar("L", bound=Selectable)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SelectionContext:
    """What a strategy may know besides the locations.

    Attributes:
        node: the name of the node that is to read; None if it has none.
        stores: the names of stores, the preferred one first.
        metrics: what this node measured; None if it does not.
        runtime: where chance comes from.
    """

    node: str | None = None
    stores: tuple[str, ...] = ()
    metrics: LocationMetrics | None = None
    runtime: Runtime = dataclasses.field(default_factory=ThreadRuntime)


Strategy = Callable[[Sequence[Any], SelectionContext], Sequence[Any]]
"""Orders locations; see the top of this module."""


def location_order(
    locations: Sequence[L], context: SelectionContext
) -> Sequence[L]:
    """As they come: all are equal."""
    return locations


def store_preference(
    locations: Sequence[L], context: SelectionContext
) -> Sequence[L]:
    """By the names of their stores, as the context lists them.

    Those in other stores, or in none, come last.
    """
    rank = {name: number for number, name in enumerate(context.stores)}
    others = len(rank)

    def key(location: L) -> int:
        store = location.store
        return others if store is None else rank.get(store, others)

    return sorted(locations, key=key)


def by_weight(
    locations: Sequence[L], context: SelectionContext
) -> Sequence[L]:
    """By weight, the same for every node; the greatest first."""
    return sorted(locations, key=lambda each: -each.metrics.weight)


def by_node_weight(
    locations: Sequence[L], context: SelectionContext
) -> Sequence[L]:
    """By the weight for this node; the greatest first.

    A location that says nothing of this node counts with its ``weight``.
    """
    node = context.node
    return sorted(locations, key=lambda each: -each.metrics.weight_for(node))


def at_random(
    locations: Sequence[L], context: SelectionContext
) -> Sequence[L]:
    """In any order: all are equal, and take turns by chance."""
    shuffled = list(locations)
    context.runtime.random.shuffle(shuffled)
    return shuffled


def measured(locations: Sequence[L], context: SelectionContext) -> Sequence[L]:
    """By what this node measured; see :class:`LocationMetrics`.

    Without measurements all are equal.
    """
    if context.metrics is None:
        return locations
    return context.metrics.order(locations)


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """Strategies, one after the other, as one strategy.

    The first decides; each other one decides among those that are equal to
    all before it. Without any, locations stay as they come.

    Attributes:
        strategies: the strategies by name; the name is for errors.
    """

    strategies: tuple[tuple[str, Strategy], ...]

    def __call__(
        self, locations: Sequence[L], context: SelectionContext
    ) -> list[L]:
        """The locations in order; as a strategy, it loses and adds none.

        Raises:
            PluginError: one of the strategies failed, or returned something
                else than its locations in some order.
        """
        ordered = list(locations)
        # From the last on: as each keeps the order of equals, what the
        # later ones decided is left where the earlier ones don't care.
        for name, strategy in reversed(self.strategies):
            ordered = _called(name, strategy, ordered, context)
        return ordered


def load_strategy(names: Iterable[str]) -> Chain:
    """The chain of the strategies of those names.

    Args:
        names: "location_order", "store_preference", "weight",
            "node_weight", "random", "measured", or what plug-ins in the
            entry-point namespace ``parallelops.location_strategies`` are
            called.

    Raises:
        PluginError: there is no such strategy, it is broken, or it comes
            twice.
    """
    chain = tuple((name, LOCATION_STRATEGIES.load(name)) for name in names)
    counts = collections.Counter(name for name, _ in chain)
    for name, count in counts.items():
        if count > 1:
            raise PluginError(
                LOCATION_STRATEGIES.name,
                name,
                f"it comes {count} times; after the first it decides nothing",
            )
    return Chain(chain)


def _called(
    name: str,
    strategy: Strategy,
    locations: list[L],
    context: SelectionContext,
) -> list[L]:
    # It may sort the list in place, and return it.
    given = list(locations)
    try:
        ordered = list(strategy(given, context))
    except Exception as error:
        raise PluginError(
            LOCATION_STRATEGIES.name,
            name,
            f"it failed: {type(error).__name__}: {redact_text(str(error))}",
        ) from error
    if sorted(map(id, ordered)) != sorted(map(id, locations)):
        raise PluginError(
            LOCATION_STRATEGIES.name,
            name,
            "it must return the locations that it was given, each once, and "
            f"it returned {len(ordered)} for {len(locations)}",
        )
    return ordered
