"""Conductors that come and go: each takes what is its part of the containers.

Two things are kept apart. Who is there is what a coordinator says, and from
it everybody computes whose each partition is: that is routing, and may be
wrong for a while. Who may write is what the journal says, by lease and epoch:
that is exclusion, and is never wrong.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Protocol, Self

from parallelops.errors import Fenced, InvalidOperation, JournalError
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelops.containers.affinity import Affinity
    from parallelops.containers.operations import ContainerOperations
    from parallelops.runtime import Handle

__all__ = ["Membership", "Rebalancer"]

_log = logging.getLogger(__name__)


class Membership(Protocol):
    """Being one of a group, as a coordinator has it.

    :class:`~parallelops.containers.coordination.ToozMembership` is one.
    """

    def beat(self) -> Collection[str]:
        """Say that we are there, having joined if we had not, or not any
        more; the names of all who are.

        Raises:
            Exception: the coordinator can't be reached.
        """

    def leave(self) -> None:
        """We are not there any more, and won't be.

        Raises:
            Exception: the coordinator can't be reached.
        """


class Rebalancer:
    """Has operations follow a group: takes and gives back scopes as its
    members come and go.

    One thread says that we are there, and after each time that the
    coordinator has heard it renews our leases. Another one gives back what
    is not ours any more, and takes what is, as often as it has to.

    When the coordinator can't be reached, nothing changes hands, and we go
    on for as long as our leases hold. Then we take no more requests, and
    leave what has not begun to whoever takes it; when the coordinator is
    back we take our part again.

    The owner of the operations is our name in the group, so each process
    needs one of its own.

    Args:
        operations: with the ``scope_of`` of ``affinity`` and with
            ``lease_seconds``; nobody else is to call ``recover`` on it.
        membership: of the group; it is left with this.
        affinity: how many partitions and points there are, the same for all
            members; its nodes do not matter.
        interval: seconds between one look and the next; by default a fifth
            of ``lease_seconds``. A membership runs out as well: see that it
            holds some times as long.

    Raises:
        InvalidOperation: the operations have no ``lease_seconds``, or the
            interval is not shorter.
    """

    def __init__(
        self,
        operations: ContainerOperations,
        membership: Membership,
        affinity: Affinity,
        *,
        interval: float | None = None,
    ) -> None:
        seconds = operations.lease_seconds
        if seconds is None:
            raise InvalidOperation(
                "leases that never run out can't be taken over; give the "
                "operations lease_seconds"
            )
        interval = seconds / 5 if interval is None else interval
        if not 0 < interval < seconds:
            raise InvalidOperation(
                f"interval must be above 0 and below lease_seconds, "
                f"{seconds!r}, not {interval!r}"
            )
        self._operations = operations
        self._membership = membership
        self._seconds = seconds
        self._interval = interval
        self._runtime = operations.runtime
        self._affinity = affinity.among([operations.owner])
        self._good_until = self._runtime.monotonic()
        self._lost = False
        self._ending = self._runtime.event()
        self._ended = self._runtime.event()
        self._changed = self._runtime.event()
        self._threads: list[Handle] = []

    @property
    def affinity(self) -> Affinity:
        """Whose the containers are, by what was last heard of the group."""
        return self._affinity

    # -- by hand, for who has a loop of its own

    def beat(self) -> bool:
        """Say that we are there, see who is, and renew our leases.

        Returns:
            Whether the coordinator was reached. If not, that is logged.

        Raises:
            JournalError: the leases could not be renewed.
        """
        # Before anything that takes time: our leases hold at least as long.
        began = self._runtime.monotonic()
        try:
            members = self._membership.beat()
        except Exception as error:  # noqa: BLE001 - each driver has its own
            if not self._lost:
                _log.warning(
                    "nothing changes hands, and after %s seconds no more "
                    "requests are taken: %s",
                    self._seconds,
                    redact_text(str(error) or type(error).__name__),
                )
            self._lost = True
            return False
        if self._lost:
            _log.info("the coordinator is back")
        self._lost = False
        with contextlib.suppress(Fenced):  # logged, and of that scope alone
            self._operations.renew()
        self._good_until = began + self._seconds
        affinity = self._affinity
        nodes = tuple(sorted({*members, self._operations.owner}))
        if nodes != affinity.nodes:
            _log.info("the conductors are now %s", ", ".join(nodes))
            self._affinity = affinity.among(nodes)
            self._changed.set()
        return True

    def follow(self) -> None:
        """Take and give back what there is to; all that can be.

        When our leases may have run out, stop instead. It waits for nothing
        that runs; call it again and again.

        Raises:
            InvalidOperation: another thread recovers.
            JournalError: the journal could not be read or written.
        """
        if self._runtime.monotonic() >= self._good_until:
            self._give_back(0)
        else:
            affinity = self._affinity
            affinity.follow(
                self._operations, self._operations.owner, timeout=0
            )

    # -- by threads of its own

    def start(self) -> None:
        """Join the group, and follow it from now on.

        Raises:
            CoordinatorLost: it can't be reached.
            InvalidOperation: it was started before.
            JournalError: the journal could not be read or written.
        """
        if self._threads or self._ending.is_set():
            raise InvalidOperation("a rebalancer starts once; make another")
        self._membership.beat()
        self.beat()
        self.follow()
        self._threads = [
            self._runtime.spawn(
                target, name=f"{name}-{self._operations.owner}"
            )
            for name, target in (
                ("beat", self._keep_beating),
                ("follow", self._keep_following),
            )
        ]

    def close(self, timeout: float | None = None) -> None:
        """Give back all that we have, and leave the group.

        Args:
            timeout: seconds to wait for what runs in a scope; None waits as
                long as it takes. The leases of those where something still
                runs are kept, and run out.

        Raises:
            JournalError: the journal could not be written.
        """
        if self._ended.is_set():
            return
        self._ending.set()
        self._changed.set()
        for thread in self._threads[1:]:
            thread.join()
        try:
            # Our leases are renewed meanwhile.
            self._give_back(timeout)
        finally:
            self._ended.set()
            self._leave()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- inside

    def _keep_beating(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self.beat()
            except JournalError as error:
                _log.warning("our leases are not renewed: %s", error)

    def _keep_following(self) -> None:
        while True:
            left = self._good_until - self._runtime.monotonic()
            self._changed.wait(
                min(self._interval, left) if left > 0 else self._interval
            )
            self._changed.clear()
            if self._ending.is_set():
                return
            try:
                self.follow()
            except (InvalidOperation, JournalError) as error:
                _log.warning("not all that is ours was taken: %s", error)
            except Exception:  # noqa: BLE001 - go on with what is left
                _log.exception("not all that is ours was taken")

    def _leave(self) -> None:
        reason = "the coordinator does not answer"
        for thread in self._threads[:1]:
            thread.join(self._interval)
        # A driver may try for a minute to reach it; nobody waits for that.
        if not any(thread.is_alive() for thread in self._threads):
            try:
                self._membership.leave()
            except Exception as error:  # noqa: BLE001 - each has its own
                reason = redact_text(str(error) or type(error).__name__)
            else:
                return
        _log.warning(
            "the others learn that we are gone when our membership runs "
            "out: %s",
            reason,
        )

    def _give_back(self, timeout: float | None) -> None:
        """All scopes: their requests are refused from now on."""
        for scope in sorted(self._operations.leased):
            try:
                self._operations.give_back(scope, timeout=timeout)
            except TimeoutError as error:
                _log.warning("%s", error)
