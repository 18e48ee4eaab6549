"""A file that shows what executors did, for Perfetto and chrome://tracing."""

from __future__ import annotations

import collections
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.events import Event, ExecutorEvent, WorkerStopped
from parallelops.observe.timeline import Timeline
from parallelops.observe.tracefile import TraceFile
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.observe.timeline import Thread
    from parallelops.runtime import Runtime

__all__ = ["ChromeTrace"]

_log = logging.getLogger(__name__)

_BACKLOG = 1000  # events
_BATCH = 1 << 16  # characters
_BATCH_SECONDS = 1.0


class ChromeTrace:
    """An observer that writes a timeline in the Chrome trace event format.

    The file has a lane for each worker, with a slice for each task, an arrow
    from each submit to its run, and the number of tasks that wait and run.
    Several executors may share one, if their names differ. Close it, or
    leave its ``with`` block, when they are shut down; what comes later is
    left out.

    Tasks hardly wait for the file: of the threads that have something to
    write, one writes for all, and the others go on. Only when more than 1000
    events are behind do they wait for it.

    Whole records are written, about once a second, and when a worker stops.
    So the file of a process that was killed lacks what happened last, and
    the closing bracket, which viewers don't need. When it can't be written
    any more, that is logged once, and the rest is left out. In a forked
    child it does nothing.

    Args:
        path: the file. It must not be there yet.
        limit: records to write; a task makes eight, of 100 bytes or so.
            Then it logs that, and only ends what was begun.
        runtime: that of the executors, if their threads are not those of
            ``threading``.

    Attributes:
        path: the file.
        dropped: how many events were left out so far.

    Raises:
        FileExistsError: the file is there.
        OSError: it can't be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        limit: int = 1_000_000,
        runtime: Runtime | None = None,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be above 0, not {limit!r}")
        self.path = Path(path)
        self.dropped = 0
        self._limit = limit
        self._runtime = runtime = runtime or ThreadRuntime()
        self._process = os.getpid()
        self._closing = False
        # Whoever adds an event looks afterwards whether somebody writes;
        # whoever has written looks afterwards whether there is more. A
        # signal handler or a finalizer may add one while its own thread
        # writes, so that the lock is reentrant, and the writer is known.
        self._events: collections.deque[tuple[ExecutorEvent, Thread]] = (
            collections.deque()
        )
        self._lock = runtime.rlock()
        self._writer: int | None = None
        # What to log once the lock is free: a handler is anybody's code.
        self._messages: collections.deque[tuple[str, object]] = (
            collections.deque()
        )
        # The rest is the writer's.
        self._timeline = Timeline()
        self._records = 0
        self._due = runtime.monotonic() + _BATCH_SECONDS
        self._complete = True
        self._ended = False
        self._file = TraceFile(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChromeTrace({str(self.path)!r})"

    def __call__(self, event: Event) -> None:
        """Add what happened in an executor, in the calling thread."""
        if (
            not isinstance(event, ExecutorEvent)
            or self._closing
            or os.getpid() != self._process
        ):
            return
        runtime = self._runtime
        name = getattr(event, "worker", None) or runtime.thread_name()
        ident = runtime.ident()
        self._events.append((event, (ident, name)))
        if self._writer == ident:
            return
        while self._events:
            behind = len(self._events) > _BACKLOG
            if not self._lock.acquire(blocking=behind):
                return
            try:
                self._write(ident)
            finally:
                self._lock.release()
            self._tell()

    def close(self) -> None:
        """End the file. What happens later is left out."""
        if os.getpid() != self._process:
            self._file.abandon()
            return
        self._closing = True
        ident = self._runtime.ident()
        if self._writer == ident:
            return  # we interrupt it, and it will end the file
        with self._lock:
            self._write(ident)
        self._tell()

    def _tell(self) -> None:
        while True:
            try:
                message, detail = self._messages.popleft()
            except IndexError:
                return
            _log.warning(message, self.path, detail)

    # -- for the one who has the lock

    def _write(self, ident: int) -> None:
        if self._ended:
            self._events.clear()
            return
        self._writer = ident
        try:
            while self._events:
                event, thread = self._events.popleft()
                self._add(event, thread)
                if (
                    self._file.size >= _BATCH
                    or self._runtime.monotonic() >= self._due
                    or isinstance(event, WorkerStopped)
                ):
                    self._due = self._runtime.monotonic() + _BATCH_SECONDS
                    self._output(self._file.flush)
            if self._closing:
                self._end()
        finally:
            self._writer = None

    def _add(self, event: ExecutorEvent, thread: Thread) -> None:
        if not self._complete or self._records >= self._limit:
            self._add_end(event, thread)
            return
        for record in self._timeline.add(event, thread):
            self._file.add(record)
            self._records += 1

    def _add_end(self, event: ExecutorEvent, thread: Thread) -> None:
        """Only what ends something that was begun."""
        if self._complete:
            self._complete = False
            text = "%s has %d records, its limit: what begins is left out"
            self._messages.append((text, self._limit))
        self.dropped += 1
        if self._file.error is None:
            for record in self._timeline.finish(event, thread):
                self._file.add(record)
                self.dropped -= 1

    def _output(self, write: Callable[[], None]) -> None:
        before = self._file.error
        write()
        if self._file.error is not before:
            self._complete = False
            text = "%s can't be written, the rest is left out: %s"
            self._messages.append((text, self._file.error))

    def _end(self) -> None:
        self._ended = True
        self._output(self._file.close)
        if self.dropped:
            text = "%s is not complete: %d events were left out"
            self._messages.append((text, self.dropped))
