"""Gates by name: what the entry points ``parallelops.origin_gates`` name.

Each is a function that makes a gate of what is known of the swarm.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from parallelops.download.gate import (
    FETCHERS,
    Always,
    Lease,
    Lottery,
    Never,
    Rendezvous,
)
from parallelops.download.tracker import lease_client
from parallelops.plugins import ORIGIN_GATES
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from parallelops.download.gate import Gate
    from parallelops.runtime import Runtime

__all__ = [
    "GateContext",
    "always",
    "lease",
    "load_gate",
    "lottery",
    "never",
    "rendezvous",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What a gate may be made of.

    Attributes:
        fetchers: how many may go to the origin at the same time.
        trackers: URLs of the torrent's trackers, the best first.
        runtime: where clocks come from.
    """

    fetchers: int = FETCHERS
    trackers: tuple[str, ...] = ()
    runtime: Runtime = dataclasses.field(default_factory=ThreadRuntime)


def load_gate(name: str, context: GateContext | None = None) -> Gate:
    """The gate of that name.

    Args:
        name: "rendezvous", "lease", "lottery", "always", "never", or what
            a plug-in in the entry-point namespace
            ``parallelops.origin_gates`` is called.
        context: what it may be made of.

    Raises:
        PluginError: there is no such gate, or it is broken.
        ValueError: it can't be made of that.
    """
    make = ORIGIN_GATES.load(name)
    return cast("Gate", make(context or GateContext()))


def rendezvous(context: GateContext) -> Gate:
    """See :class:`Rendezvous`."""
    return Rendezvous(context.fetchers)


def lottery(context: GateContext) -> Gate:
    """See :class:`Lottery`."""
    return Lottery(context.fetchers)


def lease(context: GateContext) -> Gate:
    """See :class:`Lease`; the first tracker is asked.

    Raises:
        ValueError: there is no tracker.
    """
    if not context.trackers:
        raise ValueError("the gate 'lease' needs a torrent with a tracker")
    ask = lease_client(context.trackers[0], context.runtime)
    return Lease(ask, fallback=Lottery(context.fetchers))


def always(context: GateContext) -> Gate:
    """See :class:`Always`."""
    return Always()


def never(context: GateContext) -> Gate:
    """See :class:`Never`."""
    return Never()
