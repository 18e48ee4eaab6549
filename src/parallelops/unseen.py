"""No failure is lost: what nobody looks at is in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Unseen"]

_log = logging.getLogger(__name__)


class Unseen:
    """Says so in the log if a failure dies and nobody has looked at it."""

    __slots__ = ("failure", "name", "seen", "traceback")

    def __init__(
        self,
        failure: BaseException,
        traceback: TracebackType | None,
        name: str,
    ) -> None:
        self.failure = failure
        self.traceback = traceback
        self.name = name
        self.seen = False

    def __del__(self, log: logging.Logger = _log) -> None:
        if not self.seen:
            log.error(
                "%s failed and nobody asked for its result",
                self.name,
                exc_info=self.failure.with_traceback(self.traceback),
            )
