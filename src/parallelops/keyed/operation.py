"""An operation: a future that waits for its turn."""

from __future__ import annotations

from concurrent.futures._base import CANCELLED_AND_NOTIFIED
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from parallelops.errors import Superseded
from parallelops.futures import FINISHED, Future

if TYPE_CHECKING:
    from collections.abc import Hashable

    from parallelops.keyed.line import Line
    from parallelops.keyed.turns import Turns
    from parallelops.runtime import Lock

__all__ = [
    "ENDED",
    "MODES",
    "QUEUED",
    "READY",
    "RUNNING",
    "Mode",
    "Operation",
]

T = TypeVar("T")

Mode = Literal["exclusive", "shared", "bypass"]
MODES: tuple[Mode, ...] = ("exclusive", "shared", "bypass")

# Waits for others of its key; has its turn, and waits for a worker; begun.
QUEUED: Final = 0
READY: Final = 1
RUNNING: Final = 2
ENDED: Final = 3


class Operation(Future[T]):
    """One call of a keyed executor.

    Attributes:
        key: what it is ordered by.
        line: the others of its key; None if it is in no order.
        shared: whether it may run together with others that are.
        arrival: its number; older ones have smaller ones.
        deadline: on the runtime's clock, when it is too late to begin.
        tag: tells which operations may supersede each other.
        state: where it is; written under the lock of its turns.
        permit: what the caller waits on that is to run it, if one is.
    """

    __slots__ = (
        "arrival",
        "deadline",
        "key",
        "line",
        "permit",
        "shared",
        "state",
        "tag",
    )

    def __init__(
        self,
        owner: Turns,
        call: list[Any],
        key: Hashable,
        *,
        shared: bool = False,
        deadline: float | None = None,
        tag: Hashable = None,
    ) -> None:
        super().__init__(owner, call)
        self.key = key
        self.line: Line | None = None
        self.shared = shared
        self.arrival = 0
        self.deadline = deadline
        self.tag = tag
        self.state = QUEUED
        self.permit: Lock | None = None

    def claim(self) -> bool:
        """Take the call away; False if it has begun, or somebody has."""
        try:
            self._call.pop()
        except IndexError:
            return False
        return True

    def give_up(self, error: BaseException | None) -> None:
        """After :meth:`claim`: it ends with the error; None cancels it."""
        if self.observed is not None:
            self.observed.cancelled()
        if error is None:
            self._status = CANCELLED_AND_NOTIFIED
            if self._watched is not None:
                self._announce()
        else:
            self.set_exception(error)
            if isinstance(error, Superseded):
                self._unseen.seen = True  # somebody wanted it so
        self.wake_caller()

    def wake_caller(self) -> None:
        """Have who is to run it look, if there is one."""
        if self.permit is not None:
            try:
                self.permit.release()
            except RuntimeError:
                pass  # awake already

    def settle(self) -> None:
        """After :meth:`run`: it is done, and nobody has been told yet."""
        self._status = FINISHED

    def tell(self) -> None:
        """After :meth:`settle`: tell those who wait."""
        if self._watched is not None:
            self._announce()
