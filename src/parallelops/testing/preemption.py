"""Seams in the midst of code: at each line of named files, or each
instruction."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import CodeType, FrameType

__all__ = ["Granularity", "seams_in"]

Granularity = Literal["line", "instruction"]


def seams_in(
    files: Collection[str], by: Granularity, seam: Callable[[], None]
) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """In the ``with`` block ``seam()`` is called in code of these files.

    Args:
        files: ends of file names, such as "backends/pool.py".
        by: how finely.
        seam: called before the line or instruction, in its thread.

    Returns:
        What each thread has to call first, for it to have seams.
    """
    if not files:
        return contextlib.nullcontext(_nothing)
    if sys.version_info >= (3, 12):
        return _monitored(tuple(files), by, seam)
    return _traced(tuple(files), by, seam)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _traced(
    files: tuple[str, ...], by: Granularity, seam: Callable[[], None]
) -> Iterator[Callable[[], None]]:
    event_wanted = "opcode" if by == "instruction" else "line"

    def local(_: FrameType, event: str, __: Any) -> Any:
        if event == event_wanted:
            seam()
        return local

    def trace(frame: FrameType, _: str, __: Any) -> Any:
        if not frame.f_code.co_filename.endswith(files):
            return None
        frame.f_trace_opcodes = by == "instruction"
        return local

    # Each thread has its own, and loses it when it ends.
    yield lambda: sys.settrace(trace)


if sys.version_info >= (3, 12):

    @contextlib.contextmanager
    def _monitored(
        files: tuple[str, ...], by: Granularity, seam: Callable[[], None]
    ) -> Iterator[Callable[[], None]]:
        monitoring = sys.monitoring
        events = monitoring.events
        event = events.INSTRUCTION if by == "instruction" else events.LINE
        tool = next(
            number
            for number in range(5, -1, -1)
            if monitoring.get_tool(number) is None
        )

        def at(code: CodeType, _: int) -> Any:
            if not code.co_filename.endswith(files):
                return monitoring.DISABLE
            seam()
            return None

        monitoring.use_tool_id(tool, "parallelops.testing")
        monitoring.register_callback(tool, event, at)
        monitoring.restart_events()
        monitoring.set_events(tool, event)
        try:
            yield _nothing
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)
