"""Runs that follow one another, until somebody stops them."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from parallelops.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.images.report import ScrubReport
    from parallelops.images.scrubber import Stop
    from parallelops.runtime import Runtime

__all__ = ["run_forever"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0  # seconds; doubles with each failure


def run_forever(
    run: Callable[[], ScrubReport],
    stop: Stop,
    runtime: Runtime,
    *,
    interval: float,
    report: Callable[[ScrubReport], object] | None,
) -> None:
    """See :meth:`Scrubber.run_forever`."""
    if not 0 < interval < math.inf:
        raise ValueError(f"interval must be seconds above 0, not {interval!r}")
    first = runtime.monotonic()
    failures = 0
    while not stop.is_set():
        try:
            done = run()
        except CatalogError as error:
            longest = min(_FIRST_PAUSE * 2.0**failures, interval)
            pause = runtime.random.uniform(longest / 2, longest)
            failures = min(failures + 1, 60)
            _log.error("trying again in %.1f s: %s", pause, error)
            stop.wait(pause)
            continue
        failures = 0
        if report is not None:
            try:
                report(done)
            except Exception:  # noqa: BLE001 - the work goes on
                _log.exception("the report callable failed")
        # Of the first run's own clock, so that it does not drift.
        since = runtime.monotonic() - first
        turn = (math.floor(since / interval) + 1) * interval
        stop.wait(turn - since)
