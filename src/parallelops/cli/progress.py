"""Showing how far a job has come, on a terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["shown"]

STEPS = 10


class Progress(Protocol):
    """What jobs report: cumulative, and frozen."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...


@contextlib.contextmanager
def shown(
    unit: str, stream: TextIO | None = None
) -> Iterator[Callable[[Progress], None] | None]:
    """Something to call with each progress, in the ``with`` block.

    A bar where tqdm is installed (the extra ``cli``), else a line for each
    tenth; None where ``stream``, by default standard error, is no terminal.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _lines(unit, stream)
        return
    scale = unit == "B"
    with tqdm(
        unit=unit, unit_scale=scale, file=stream, dynamic_ncols=True
    ) as bar:

        def update(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        yield update


def _lines(unit: str, stream: TextIO) -> Callable[[Progress], None]:
    shown_steps = [0]

    def update(progress: Progress) -> None:
        steps = STEPS * progress.done // max(progress.total, 1)
        if steps > shown_steps[0]:
            shown_steps[0] = steps
            # Some jobs know it.
            left = getattr(progress, "seconds_left", None)
            more = "" if left is None else f", about {left:.0f} s left"
            said = f"{progress.done}/{progress.total} {unit}{more}"
            print(said, file=stream)

    return update
