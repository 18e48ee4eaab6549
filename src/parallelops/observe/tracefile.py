"""The file of a trace: whole records, in a JSON array."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from parallelops.observe.timeline import Record

__all__ = ["TraceFile"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class TraceFile:
    """Writes records in batches. It is used by one thread at a time.

    Whatever happens, the file holds no half record, if the file system
    allows. Nothing but making it raises OSError.

    Attributes:
        size: characters of the batch that is not written yet.
        error: why it can't be written any more.

    Raises:
        OSError: it can't be made; FileExistsError if it is there.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self.size = 0
        self._batch: list[str] = []
        self._whole = 0  # bytes in the file
        self._before = "[\n"
        # Without a buffer: a batch goes to the file at once, or not at all.
        self._file = path.open("xb", buffering=0)

    def add(self, record: Record) -> None:
        """Put one in the batch."""
        self._put(self._before + _encode(record))
        self._before = ",\n"

    def flush(self) -> None:
        """Write the batch."""
        if self.error is not None:
            return
        data = "".join(self._batch).encode()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
        except OSError as error:
            self.error = error
            self._cut()
        except BaseException:
            self._cut()  # it will be tried again
            raise
        else:
            self._whole += len(data)
        self._batch.clear()
        self.size = 0

    def close(self) -> None:
        """End the array."""
        with contextlib.closing(self._file):
            self._put("\n]\n" if self._before == ",\n" else "[\n]\n")
            self.flush()

    def abandon(self) -> None:
        """Close it and write nothing: it is another process's."""
        self._file.close()

    def _put(self, text: str) -> None:
        self._batch.append(text)
        self.size += len(text)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._file.truncate(self._whole)
            self._file.seek(self._whole)
