"""Who looks on while a scrubber works."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from parallelops import events
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.events import Observer
    from parallelops.executor import Executor
    from parallelops.images.report import LocationResult, Progress

__all__ = ["Audience"]

_log = logging.getLogger(__name__)


class Audience:
    """Observers, and who wants to see the progress. What they raise is
    logged: they only look on.

    Args:
        executor: whose name and clocks events have.
        observers: are told events.
        progress: is shown the progress.
    """

    def __init__(
        self,
        executor: Executor,
        observers: Iterable[Observer],
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._name = executor.name
        self._runtime = executor.runtime
        self._observers = tuple(observers)
        self._progress = progress

    def __bool__(self) -> bool:
        return bool(self._observers) or self._progress is not None

    def tell(
        self, kind: Callable[..., events.Event], /, **fields: Any
    ) -> None:
        """Tell observers an event of a kind, with its fields."""
        if not self._observers:
            return
        event = kind(
            time=self._runtime.monotonic(),
            wall=self._runtime.time(),
            executor=self._name,
            **fields,
        )
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - it only looks on
                _log.exception("an observer failed")

    def tell_recorded(self, results: list[LocationResult]) -> None:
        """Tell observers what is recorded."""
        for result in results if self._observers else ():
            location = result.location
            self.tell(
                events.LocationRecorded,
                image=location.image_id,
                location=location.id,
                url=redact_url(location.url),
                store=location.store,
                outcome=result.outcome.value,
                reason=result.reason,
                seconds=result.seconds,
            )

    def show(self, progress: Callable[[], Progress]) -> None:
        """Show the progress, if somebody wants to see it."""
        if self._progress is None:
            return
        try:
            self._progress(progress())
        except Exception:  # noqa: BLE001 - it only looks on
            _log.exception("the progress callable failed")
