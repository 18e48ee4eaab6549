"""Leases: the tracker says who may go to the origin."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from parallelops.download.gate import Nearby, Pass, Shares
from parallelops.errors import ExecutorSaturated, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from parallelops.download.gate import Gate, View
    from parallelops.executor import Executor

__all__ = ["Grant", "Lease"]

# Seconds until one who holds a place asks again who else does, at first.
_FIRST = 0.1
# And until a tracker that did not answer is asked again.
_FAILED, _LONGEST = 5.0, 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a tracker answers to one who asks for a place.

    Attributes:
        place: the number of the place; None if all are taken.
        places: how many there are.
        seconds: how long it is held.
        holders: the peer ids of those who hold one, this one included.
        begins: the swarm has only just begun, so nobody has anything.
    """

    place: int | None
    places: int
    seconds: float
    holders: tuple[bytes, ...] = ()
    begins: bool = False


class _Held:
    """What is known of the places of one image."""

    def __init__(self) -> None:
        self.grant: Grant | None = None
        self.asking: Future[Grant | str] | None = None
        self.again = self.until = -math.inf
        self.pause = _FIRST
        self.failed = _FAILED
        self.failure = ""
        self.seen: set[bytes] = set()


class Lease:
    """The tracker hands out places, for a time.

    For swarms of any size. Those who hold a place share the extents, as the
    tracker names them: nobody has to be seen for that, so the first ones
    begin at once.

    Args:
        ask: asks the tracker for a place, given the image and the peer id.
            See :func:`~parallelops.download.lease_client`.
        fallback: who decides while the tracker can't be asked; a
            :class:`Nearby` by default.
        executor: asks, so that nobody waits for the tracker; by default who
            wants to know does.
    """

    def __init__(
        self,
        ask: Callable[[bytes, bytes], Grant],
        fallback: Gate | None = None,
        *,
        executor: Executor | None = None,
    ) -> None:
        self._ask = ask
        self._fallback = fallback or Nearby()
        self._executor = executor
        self._shares = Shares()
        self._held: dict[bytes, _Held] = {}

    def admit(self, view: View) -> Pass:
        """See :meth:`Gate.admit`."""
        held = self._held.setdefault(view.image, _Held())
        self._renew(held, view)
        grant = held.grant
        if grant is None:
            if not held.failure:
                reason = "the tracker is being asked"
                return Pass(None, reason, steals=False, pending=True)
            passed = self._fallback.admit(view)
            failure = f"no lease, {held.failure}"
            return dataclasses.replace(
                passed,
                reason=f"{failure}; {passed.reason}",
                failure=failure,
            )
        if grant.place is None:
            return Pass(
                None,
                f"all {grant.places} leases are taken",
                steals=False,
                tracked=True,
            )
        # One who was seen and is gone may hold a place for long.
        held.seen.update(view.peers)
        gone = held.seen.difference(view.peers)
        here = [peer for peer in grant.holders if peer not in gone]
        return Pass(
            self._shares.of(view, here),
            f"lease {grant.place + 1} of {grant.places}",
            at_once=grant.begins,
            tracked=True,
            start=grant.place / grant.places,
        )

    def _renew(self, held: _Held, view: View) -> None:
        if held.asking is not None:
            if held.asking.done():
                answer, held.asking = held.asking.result(), None
                self._take(held, view, answer)
        elif view.now >= held.again:
            if self._executor is None:
                self._take(held, view, self._answer(view.image, view.me))
                return
            try:
                held.asking = self._executor.submit(
                    self._answer, view.image, view.me
                )
            except ExecutorSaturated:
                return  # with the next look
            if held.asking.done():
                self._renew(held, view)

    def _answer(self, image: bytes, me: bytes) -> Grant | str:
        try:
            return self._ask(image, me)
        except (OSError, ValueError, TransferError) as error:
            return str(error) or type(error).__name__

    @staticmethod
    def _take(held: _Held, view: View, answer: Grant | str) -> None:
        if isinstance(answer, str):
            held.failure = answer
            held.again = view.now + held.failed
            held.failed = min(2 * held.failed, _LONGEST)
            if view.now >= held.until:
                held.grant = None
            return
        if held.grant is None or held.grant.holders != answer.holders:
            held.pause = _FIRST
        held.grant, held.failure, held.failed = answer, "", _FAILED
        held.until = view.now + answer.seconds
        if answer.place is None:
            held.again = held.until
        else:
            # Often while others come, and in time, so that nobody gets it
            # in between.
            held.again = view.now + min(held.pause, answer.seconds / 3)
            held.pause *= 2
