"""The entry of a location, as JSON has it, with its static metrics."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from parallelops.errors import InvalidEntry
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LocationEntry", "StaticMetrics"]

_LONGEST_JSON = 65_536  # characters
_LONGEST_URL = 8_192
_LONGEST_NAME = 255
_MOST_NODES = 1_000
_MOST_METADATA = 100
_GREATEST_WEIGHT = 1e9

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StaticMetrics:
    """What an operator says of a location; it says nothing of its speed.

    Attributes:
        weight: how much every node is to prefer it; more is better, and
            those of 0, the default, come last.
        node_weights: the same for single nodes, by their names, in the
            place of ``weight``. At the most 1000.

    Weights are finite, from 0 to 1e9.

    Raises:
        InvalidEntry: one is not.
    """

    weight: float = 0.0
    node_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # Frozen, so that a plain assignment would be refused.
        set_ = object.__setattr__
        set_(self, "weight", _weight("metrics.weight", self.weight))
        field = "metrics.node-weights"
        nodes = _mapping(field, self.node_weights, _MOST_NODES)
        weights = {
            _name(field, name): _weight(field, weight)
            for name, weight in nodes.items()
        }
        set_(self, "node_weights", MappingProxyType(weights))

    def __hash__(self) -> int:
        return hash((self.weight, frozenset(self.node_weights.items())))

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """From what JSON has: ``{"weight": 1, "node-weights": {"n1": 2}}``.

        Raises:
            InvalidEntry: it is something else.
        """
        known = _fields("metrics", value, ("weight", "node-weights"))
        return cls(
            weight=known.get("weight", 0.0),
            node_weights=known.get("node-weights", _NOTHING),
        )

    def as_dict(self) -> dict[str, Any]:
        """What :meth:`from_dict` takes."""
        return {
            "weight": self.weight,
            "node-weights": dict(self.node_weights),
        }

    def weight_for(self, node: str | None) -> float:
        """The weight for that node."""
        if node is None:
            return self.weight
        return self.node_weights.get(node, self.weight)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocationEntry:
    """One place that the data of an image is at, as a client is told it.

    Its text hides the secrets in the URL, and the metadata.

    Attributes:
        url: where the data is; 8192 characters at the most.
        metrics: what the operator says of it.
        metadata: what else its store says, such as its name as "store"; at
            the most 100 strings by name, each of 8192 characters at most.

    Raises:
        InvalidEntry: something cannot be what it is.
    """

    url: str
    metrics: StaticMetrics = dataclasses.field(default_factory=StaticMetrics)
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        url: object = self.url  # whatever JSON had there
        if not isinstance(url, str) or not url.isprintable() or " " in url:
            raise InvalidEntry("url", "it must be text without blanks")
        if not 0 < len(url) <= _LONGEST_URL:
            raise InvalidEntry(
                "url", f"it must have from 1 to {_LONGEST_URL} characters"
            )
        if not isinstance(self.metrics, StaticMetrics):
            raise InvalidEntry("metrics", "it must be StaticMetrics")
        found = _mapping("metadata", self.metadata, _MOST_METADATA)
        metadata = {
            _name("metadata", key): _text("metadata", found[key])
            for key in found
        }
        object.__setattr__(self, "metadata", MappingProxyType(metadata))

    def __hash__(self) -> int:
        return hash((self.url, self.metrics))

    @property
    def store(self) -> str | None:
        """The name of the store, if its metadata has one."""
        return self.metadata.get("store")

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """From ``{"url": ..., "metrics": {...}, "metadata": {...}}``.

        ``metrics`` and ``metadata`` may be missing; nothing else may be
        there.

        Raises:
            InvalidEntry: it is something else.
        """
        known = _fields("entry", value, ("url", "metrics", "metadata"))
        if "url" not in known:
            raise InvalidEntry("url", "it is missing")
        return cls(
            url=known["url"],
            metrics=StaticMetrics.from_dict(known.get("metrics", _NOTHING)),
            metadata=known.get("metadata", _NOTHING),
        )

    @classmethod
    def from_json(cls, text: object) -> Self:
        """From the text of a JSON object; see :meth:`from_dict`.

        Raises:
            InvalidEntry: it is longer than 65536 characters, is not JSON,
                has a name twice, or is not such an object.
        """
        if not isinstance(text, str) or len(text) > _LONGEST_JSON:
            raise InvalidEntry(
                "entry", f"it must be text of {_LONGEST_JSON} characters"
            )
        try:
            value = json.loads(text, object_pairs_hook=_without_doubles)
        except InvalidEntry:
            raise
        except (RecursionError, ValueError) as error:
            # The error has the text in it, and the text may have secrets.
            raise InvalidEntry("entry", "it is not JSON") from error
        return cls.from_dict(value)

    def as_dict(self) -> dict[str, Any]:
        """What :meth:`from_dict` takes, secrets included."""
        return {
            "url": self.url,
            "metrics": self.metrics.as_dict(),
            "metadata": dict(self.metadata),
        }

    def __repr__(self) -> str:
        return (
            f"LocationEntry(url={redact_url(self.url)!r}, "
            f"metrics={self.metrics!r})"
        )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Of two readers each would believe another one.
        raise InvalidEntry("entry", "it has a name twice")
    return found


def _fields(
    field: str, value: object, known: Sequence[str]
) -> Mapping[str, Any]:
    found = _mapping(field, value, len(known))
    for name in found:
        if name not in known:
            raise InvalidEntry(
                field,
                f"it has something else than {', '.join(known)}",
            )
    return found


def _mapping(field: str, value: object, most: int) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidEntry(field, "it must be an object of names and values")
    if len(value) > most:
        raise InvalidEntry(field, f"it must have no more than {most} names")
    return value


def _name(field: str, name: object) -> str:
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidEntry(field, "its names must be printable text")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidEntry(
            field, f"its names must have from 1 to {_LONGEST_NAME} characters"
        )
    return name


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_URL:
        raise InvalidEntry(
            field,
            f"its values must be text of {_LONGEST_URL} characters at most",
        )
    return value


def _weight(field: str, value: object) -> float:
    # To Python True is a number too, and the text of one is not.
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidEntry(field, "a weight must be a number")
    if not 0 <= value <= _GREATEST_WEIGHT:  # NaN is not either
        raise InvalidEntry(
            field, f"a weight must be from 0 to {_GREATEST_WEIGHT:g}"
        )
    return math.fabs(value)  # -0.0 is 0
