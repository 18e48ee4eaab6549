"""Threads of the operating system."""

from __future__ import annotations

import concurrent.futures
import os
from typing import TYPE_CHECKING, Any

from parallelops.backends.base import PoolExecutor
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadExecutor"]


# Nothing of the standard pool is used: it is a base because there is code
# that asks for one by its class, such as asyncio's set_default_executor.
class ThreadExecutor(PoolExecutor, concurrent.futures.ThreadPoolExecutor):
    """Runs tasks on threads of the operating system.

    The positional arguments are those of the standard library's
    ``ThreadPoolExecutor``, the keywords those of :class:`PoolExecutor`.
    ``max_workers`` is by default four more than there are processors, and
    32 at the most.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        super().__init__(
            ThreadRuntime(),
            max_workers,
            thread_name_prefix,
            initializer,
            initargs,
            **options,
        )
