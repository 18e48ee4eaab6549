"""An executor for work that can wait: its threads have a low priority."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from parallelops.backends.base import PoolExecutor
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Handle


class NiceRuntime(ThreadRuntime):
    """Threads that give way to others, as ``nice`` makes processes do."""

    def __init__(self, nice: int) -> None:
        super().__init__()
        self.nice = nice

    def spawn(self, target: Callable[[], object], *, name: str) -> Handle:
        def nicely() -> None:
            # On Linux every thread has a priority of its own.
            os.setpriority(
                os.PRIO_PROCESS, threading.get_native_id(), self.nice
            )
            target()

        return super().spawn(nicely, name=name)


class BackgroundExecutor(PoolExecutor):
    """Runs tasks on threads that get the processor when nobody else wants it.

    Args:
        max_workers: how many tasks may run at the same time.
        nice: how far they give way, from 0, not at all, to 19.
        options: as for the built-in executors.

    Raises:
        ValueError: ``nice`` is out of range.
    """

    def __init__(
        self, max_workers: int = 2, *, nice: int = 10, **options: Any
    ) -> None:
        if not 0 <= nice <= 19:
            raise ValueError(f"nice must be from 0 to 19, not {nice!r}")
        super().__init__(NiceRuntime(nice), max_workers, **options)
