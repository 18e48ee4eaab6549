"""A source that takes no ranges, in a herd: who reads it on, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelops.download.gate import Decision
    from parallelops.runtime import Runtime

__all__ = ["Whole"]


class Whole:
    """Whether an agent reads on in what it reads from begin to end.

    Several who read it all bring the same. So it is up to the owner of the
    first extent, as long as the swarm has not what comes next; and up to the
    others, and to one who is late, once nobody else brings anything. How long
    they wait for that differs, and who was the first has the others wait
    again.

    Args:
        runtime: where the clock comes from.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # What nobody had at the last look, when others last brought some of
        # it, and whether nothing came from them for long.
        self._before: frozenset[int] = frozenset()
        self._others_at = runtime.monotonic()
        self._took_over = False
        # Whether it is first of all up to this agent.
        self._leads: bool | None = None

    def goes_on(
        self,
        position: int,
        brought: Collection[int],
        nowhere: Collection[int],
        decision: Decision,
        quiet: float,
    ) -> bool:
        """Look at what others did, and say.

        Args:
            position: the piece that comes next.
            brought: pieces that were read there.
            nowhere: pieces that neither are here nor at anybody seen.
            decision: where to go.
            quiet: seconds after which others may be gone.
        """
        now, owns = self._runtime.monotonic(), decision.admitted.owns
        leads = owns is not None and owns(0)
        came = self._before.difference(nowhere)
        self._before = frozenset(nowhere)
        # Who leads from now on may be about to begin.
        others = self._leads is None or (self._leads and not leads)
        if others or any(piece not in brought for piece in came):
            self._others_at, self._took_over = now, False
        self._leads = leads
        if decision.way == "swarm" or all(p in brought for p in nowhere):
            return False
        while position in brought:
            position += 1
        if now - self._others_at >= quiet:
            self._took_over = True
        return self._took_over or (leads and position in self._before)
