"""Gates by name: what the entry points ``parallelops.origin_gates`` name.

Each is a function that makes a gate of what is known of the swarm.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from parallelops.download.asking import lease_client
from parallelops.download.gate import (
    FETCHERS,
    Always,
    Lottery,
    Nearby,
    Never,
    Rendezvous,
)
from parallelops.download.lease import Lease
from parallelops.plugins import ORIGIN_GATES
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from parallelops.download.gate import Gate
    from parallelops.executor import Executor
    from parallelops.runtime import Runtime

__all__ = [
    "GateContext",
    "always",
    "auto",
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
        executor: asks trackers, so that nobody waits for one; None has who
            wants to know wait.
    """

    fetchers: int = FETCHERS
    trackers: tuple[str, ...] = ()
    runtime: Runtime = dataclasses.field(default_factory=ThreadRuntime)
    executor: Executor | None = None


def load_gate(name: str, context: GateContext | None = None) -> Gate:
    """The gate of that name.

    Args:
        name: "auto", "rendezvous", "lease", "lottery", "always", "never",
            or what a plug-in in the entry-point namespace
            ``parallelops.origin_gates`` is called.
        context: what it may be made of.

    Raises:
        PluginError: there is no such gate, or it is broken.
        ValueError: it can't be made of that.
    """
    make = ORIGIN_GATES.load(name)
    return cast("Gate", make(context or GateContext()))


def auto(context: GateContext) -> Gate:
    """See :class:`Lease` if there is a tracker, and else :class:`Nearby`.

    A tracker that has no leases, as others than ours, is one that does not
    answer.
    """
    if context.trackers and context.trackers[0].endswith("/announce"):
        return lease(context)
    return Nearby(context.fetchers)


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
    return Lease(
        ask, fallback=Nearby(context.fetchers), executor=context.executor
    )


def always(context: GateContext) -> Gate:
    """See :class:`Always`."""
    return Always()


def never(context: GateContext) -> Gate:
    """See :class:`Never`."""
    return Never()
