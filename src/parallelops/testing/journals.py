"""A journal in memory, with faults that a test plans."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Literal, TypeVar

from parallelops.containers import Fenced, JournalError, Lease, LeaseHeld
from parallelops.containers.operation import UNFINISHED
from parallelops.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Mapping,
        Sequence,
    )

    from parallelops.containers import Entry
    from parallelops.runtime import Runtime

__all__ = ["JournalFault", "MemoryJournal"]

T = TypeVar("T")

JournalFault = Literal["none", "fail", "lost_answer"]
"""What may go wrong with one call of a journal:

- none: nothing does;
- fail: nothing is written, and it raises JournalError;
- lost_answer: it is written, and raises JournalError all the same.
"""


class MemoryJournal:
    """A journal whose owners may come and go while it stays.

    Args:
        runtime: where its lock comes from.
        faults: for the name of a method what goes wrong, call by call;
            after the last one nothing does.

    Attributes:
        entries: by id, in the order in which they were accepted.
        written: each entry that was written, in that order.
    """

    def __init__(
        self,
        runtime: Runtime,
        faults: Mapping[str, Sequence[JournalFault]] | None = None,
    ) -> None:
        self.entries: dict[str, Entry] = {}
        self.written: list[Entry] = []
        self._last = 0
        self._leases: dict[str, Lease] = {}
        self._lock = runtime.rlock()
        self._faults = {
            name: collections.deque(planned)
            for name, planned in (faults or {}).items()
        }

    def take(
        self, scope: str, owner: str, now: float, seconds: float | None
    ) -> Lease:
        """See :meth:`~parallelops.containers.Journal.take`."""

        def work() -> Lease:
            held = self._held(scope)
            if held.owner not in ("", owner) and (held.until or 0) > now:
                raise LeaseHeld("memory", scope, held.owner, held.until or 0)
            lease = Lease(
                scope=scope,
                owner=owner,
                epoch=held.epoch + 1,
                until=None if seconds is None else now + seconds,
            )
            self._leases[scope] = lease
            return lease

        return self._do("take", work)

    def renew(self, lease: Lease, until: float) -> Lease:
        """See :meth:`~parallelops.containers.Journal.renew`."""

        def work() -> Lease:
            self._check(lease)
            renewed = dataclasses.replace(lease, until=until)
            self._leases[lease.scope] = renewed
            return renewed

        return self._do("renew", work)

    def release(self, lease: Lease) -> None:
        """See :meth:`~parallelops.containers.Journal.release`."""

        def work() -> None:
            self._check(lease)
            self._leases[lease.scope] = Lease(
                scope=lease.scope, owner="", epoch=lease.epoch + 1
            )

        self._do("release", work)

    def leases(self) -> list[Lease]:
        """See :meth:`~parallelops.containers.Journal.leases`."""
        with self._lock:
            return [self._leases[scope] for scope in sorted(self._leases)]

    def accept(self, lease: Lease, entry: Entry) -> Entry:
        """See :meth:`~parallelops.containers.Journal.accept`."""

        def work() -> Entry:
            self._check(lease)
            if entry.id in self.entries:
                return self.entries[entry.id]
            self._last += 1
            place = self._last
            return self._put(lease, dataclasses.replace(entry, sequence=place))

        return self._do("accept", work)

    def advance(
        self, lease: Lease, entry: Entry, also: Iterable[Entry] = ()
    ) -> list[Entry]:
        """See :meth:`~parallelops.containers.Journal.advance`."""

        def work() -> list[Entry]:
            self._check(lease)
            written = [self._step(lease, entry)]
            for other in also:
                try:
                    written.append(self._step(lease, other))
                except IllegalTransition:
                    continue
            return written

        return self._do("advance", work)

    def unfinished(self, scopes: Collection[str]) -> list[Entry]:
        """See :meth:`~parallelops.containers.Journal.unfinished`."""

        def work() -> list[Entry]:
            return [
                entry
                for entry in self.entries.values()
                if entry.scope in scopes and entry.state in UNFINISHED
            ]

        return self._do("unfinished", work)

    def find(self, operation_id: str) -> Entry | None:
        """See :meth:`~parallelops.containers.Journal.find`."""
        return self._do("find", lambda: self.entries.get(operation_id))

    def history(self, container: str, limit: int = 100) -> list[Entry]:
        """See :meth:`~parallelops.containers.Journal.history`."""
        with self._lock:
            found = [
                entry
                for entry in self.entries.values()
                if entry.container == container
            ]
        return found[-limit:]

    def prune(self, lease: Lease, before: float) -> int:
        """See :meth:`~parallelops.containers.Journal.prune`."""

        def work() -> int:
            self._check(lease)
            old = [
                entry.id
                for entry in self.entries.values()
                if entry.scope == lease.scope
                and entry.finished
                and (entry.ended_at or 0) < before
            ]
            for name in old:
                del self.entries[name]
            return len(old)

        return self._do("prune", work)

    def _do(self, name: str, work: Callable[[], T]) -> T:
        with self._lock:
            planned = self._faults.get(name)
            fault = planned.popleft() if planned else "none"
            if fault == "fail":
                raise JournalError(f"the test wants {name} to fail", "memory")
            result = work()
        if fault == "lost_answer":
            raise JournalError(f"no answer to {name} came", "memory")
        return result

    def _held(self, scope: str) -> Lease:
        return self._leases.get(scope, Lease(scope=scope, owner="", epoch=0))

    def _check(self, lease: Lease) -> None:
        current = self._held(lease.scope).epoch
        if current != lease.epoch:
            raise Fenced("memory", lease.scope, lease.epoch, current)

    def _step(self, lease: Lease, entry: Entry) -> Entry:
        self.entries[entry.id].to(entry.state, 0.0)  # or raise
        return self._put(lease, entry)

    def _put(self, lease: Lease, entry: Entry) -> Entry:
        written = dataclasses.replace(entry, epoch=lease.epoch)
        self.entries[entry.id] = written
        self.written.append(written)
        return written
