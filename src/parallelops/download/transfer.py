"""What all ways to download have in common: their end, and their progress."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parallelops.download.image import Progress
from parallelops.errors import FetchCancelled, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelops.landing.blocks import Blocks
    from parallelops.runtime import Runtime

__all__ = ["Transfer"]

_log = logging.getLogger(__name__)


class Transfer:
    """One download, as those see it who bring the data.

    Args:
        runtime: where the clock comes from.
        timeout: seconds that all of it may take.
        progress: told how far it is. What it raises is logged.
        cancelled: asked now and then; True calls it off.

    Attributes:
        runtime: the same.
        in_order: somebody reads it from the first byte on, while it comes.
    """

    in_order = False

    def __init__(
        self,
        runtime: Runtime,
        timeout: float,
        progress: Callable[[Progress], object] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.runtime = runtime
        self._timeout = timeout
        self._end = runtime.monotonic() + timeout
        self._progress = progress
        self._cancelled = cancelled
        self._told: Progress | None = None

    def check(self) -> None:
        """Raise if it is not to go on.

        Raises:
            FetchCancelled: it was called off.
            TransferError: it takes too long.
        """
        if self._cancelled is not None and self._cancelled():
            raise FetchCancelled("the download was called off")
        if self.runtime.monotonic() > self._end:
            raise TransferError(
                f"the download takes more than {self._timeout:g} seconds"
            )

    def landed(self, file: int, blocks: Callable[[], Blocks]) -> None:
        """The data goes to this file, for now.

        Args:
            file: its descriptor, open as long as this call takes.
            blocks: tells which parts have been written.
        """

    def arrived(self, pieces: Sequence[bool]) -> None:
        """A swarm has these pieces, and they may not be on the file yet."""

    def advance(self, done: int, total: int) -> None:
        """So much of it is there: tell, and raise if it is not to go on.

        Raises:
            FetchCancelled: it was called off.
            TransferError: it takes too long.
        """
        self.check()
        self.tell(done, total)

    def tell(self, done: int, total: int) -> None:
        """So much of it is there."""
        progress = Progress(done, total)
        if self._progress is None or progress == self._told:
            return
        self._told = progress
        try:
            self._progress(progress)
        except Exception:  # noqa: BLE001 - it only looks on
            _log.exception("the progress of a download cannot be told")
