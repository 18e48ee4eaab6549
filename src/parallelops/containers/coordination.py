"""Membership of a group by tooz: etcd, redis, ZooKeeper and others.

The only import of tooz, which the extra ``coordination`` installs. What it
has of hash rings is not used: whose a container is must be the same with and
without a coordinator, so :class:`~parallelops.containers.Affinity` says.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from parallelops.errors import CoordinatorLost, MissingDependency
from parallelops.redact import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ToozMembership"]


class ToozMembership:
    """One member of a group that tooz coordinates.

    Nothing is connected before the first :meth:`beat`. Who is in the group
    is asked for each time, so that an event which is lost is not missed.

    Args:
        url: of the coordinator, such as ``redis://host:6379`` or
            ``etcd3+http://host:2379``; what stands behind the question mark
            goes to its driver. ``timeout``, in seconds, is how long a
            member is there that nobody hears of.
        name: ours, in the group; one for each process.
        group: the name of the group.

    Raises:
        MissingDependency: tooz is not installed.
    """

    def __init__(
        self, url: str, name: str, *, group: str = "parallelops"
    ) -> None:
        try:
            with warnings.catch_warnings():
                # It imports eventlet if that is there, and nobody asked.
                warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
                from tooz import coordination
        except ImportError as error:
            raise MissingDependency(
                "membership by a coordinator", "tooz", "coordination"
            ) from error
        self._api = coordination
        self._url = url
        self._name = name.encode()
        self._group = group.encode()
        self._coordinator: Any = None

    def beat(self) -> frozenset[str]:
        """See :meth:`~parallelops.containers.Membership.beat`.

        Raises:
            CoordinatorLost: it can't be reached.
        """
        members: frozenset[str] = self._reached(self._beat)
        return members

    def leave(self) -> None:
        """See :meth:`~parallelops.containers.Membership.leave`.

        Raises:
            CoordinatorLost: it can't be reached.
        """
        if self._coordinator is not None:
            self._reached(self._leave)

    def _reached(self, call: Callable[[], Any]) -> Any:
        # Besides the errors of tooz there are those of the libraries that
        # its drivers use, which we do not know.
        try:
            return call()
        except Exception as error:
            # What a driver had, such as a session, may be gone for good.
            coordinator, self._coordinator = self._coordinator, None
            if coordinator is not None:
                with contextlib.suppress(Exception):
                    coordinator.stop()
            raise CoordinatorLost(
                redact_url(self._url),
                redact_text(str(error) or type(error).__name__),
            ) from error

    def _beat(self) -> frozenset[str]:
        if self._coordinator is None:
            # We wait for each answer, so it needs no threads of its own.
            coordinator = self._api.get_coordinator(
                self._url, self._name, executor="sync"
            )
            coordinator.start()
            self._coordinator = coordinator
            self._join()
        self._coordinator.heartbeat()
        members = self._members()
        if self._name not in members:
            # We were not heard of for too long, or it has forgotten all.
            self._join()
            members = self._members()
        return frozenset(name.decode() for name in members)

    def _members(self) -> frozenset[bytes]:
        try:
            return frozenset(self._coordinator.get_members(self._group).get())
        except self._api.GroupNotCreated:
            return frozenset()

    def _join(self) -> None:
        coordinator, group = self._coordinator, self._group
        with contextlib.suppress(self._api.GroupAlreadyExist):
            coordinator.create_group(group).get()
        try:
            coordinator.join_group(group).get()
        except self._api.MemberAlreadyExist:
            # It is we, before we were killed or lost.
            coordinator.leave_group(group).get()
            coordinator.join_group(group).get()

    def _leave(self) -> None:
        try:
            self._coordinator.leave_group(self._group).get()
        except (self._api.GroupNotCreated, self._api.MemberNotJoined):
            pass  # it has forgotten us
        coordinator, self._coordinator = self._coordinator, None
        coordinator.stop()
