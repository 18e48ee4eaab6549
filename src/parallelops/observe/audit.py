"""What a scrubber did, for those who ask later: a line for each event."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any, Self

from parallelops.events import ScrubEvent
from parallelops.redact import redact_text

if TYPE_CHECKING:
    from parallelops.events import Event

__all__ = ["AuditLog"]


class AuditLog:
    """An observer that writes the events of scrubbers to a file.

    Each is a line of JSON with the name of the ``event``, its fields and
    the ``wall`` time in seconds since the epoch. They are in the order in
    which things happened, without secrets, and each is with the operating
    system when the scrubber goes on. What is recorded of a location is in
    the catalogue already.

    Args:
        path: the file; what is in it stays, and others may write to it.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._fd = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    def __call__(self, event: Event) -> None:
        """Write it, if it is a scrubber's."""
        if isinstance(event, ScrubEvent) and self._fd >= 0:
            fields = dataclasses.asdict(event)
            del fields["time"]
            line = {"event": type(event).__name__}
            line |= {name: _clean(value) for name, value in fields.items()}
            # In one call, so that lines of several processes stay whole.
            os.write(self._fd, f"{json.dumps(line)}\n".encode())

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _clean(value: Any) -> Any:
    return redact_text(value) if isinstance(value, str) else value
