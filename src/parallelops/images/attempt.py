"""What a worker runs: one call of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors import ParallelopsError
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Runtime

__all__ = ["Attempt", "explain"]


class Attempt:
    """Calls ``call`` once, when a worker calls it.

    The worker and the scheduler both go through one lock, which nobody holds
    while the store works. So it is certain whether a call that the scheduler
    gives up has begun, and what ends after that changes nothing.

    Attributes:
        since: when it began, on the monotonic clock; None before.
        seconds: how long it took; None before its end.
        error: what the store raised, if it did.
    """

    def __init__(self, call: Callable[[], object], runtime: Runtime) -> None:
        self.since: float | None = None
        self.seconds: float | None = None
        self.error: BaseException | None = None
        self._call = call
        self._closed = False
        self._now = runtime.monotonic
        self._lock = runtime.lock()

    def __call__(self) -> None:
        """Make the call, unless it was given up.

        Raises:
            KeyboardInterrupt: it is meant for the whole run.
        """
        with self._lock:
            if self._closed:
                return
            self.since = began = self._now()
        error: BaseException | None = None
        try:
            self._call()
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # noqa: BLE001 - it is reported
            error = raised.with_traceback(None)
        with self._lock:
            if not self._closed:
                self.error = error
                self.seconds = self._now() - began

    def give_up(self) -> bool:
        """Whatever it does from now on does not count.

        Returns:
            Whether it had begun, and not ended.
        """
        with self._lock:
            self._closed = True
            return self.since is not None and self.seconds is None


def explain(error: BaseException) -> str:
    """An error on one line, short, without secrets."""
    text = redact_text(str(error)[:10_000])[:1000]
    if text and isinstance(error, ParallelopsError):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
