"""Fetches an image: from the first location, and by the first way, that
work."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from parallelops.errors import (
    DestinationError,
    FetchCancelled,
    NoLocationWorked,
    ParallelopsError,
    PluginError,
    TransferError,
)
from parallelops.images.destination import Destination
from parallelops.images.handler import (
    FetchContext,
    FetchOptions,
    Handled,
    Handler,
    NotForMe,
    Wanted,
)
from parallelops.images.location import LocationStatus
from parallelops.images.metrics import LocationMetrics
from parallelops.images.strategy import Chain, SelectionContext
from parallelops.plugins import IMAGE_HANDLERS
from parallelops.redact import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from parallelops.executor import Executor
    from parallelops.images.metrics import Measurement
    from parallelops.images.strategy import Selectable, Strategy

__all__ = ["HANDLERS", "Attempt", "FetchResult", "Fetcher", "load_handlers"]

HANDLERS = ("ova", "file", "http")
"""The handlers that come with this library, in the order to try them."""

_PIECE = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One that came to nothing.

    Attributes:
        location: the URL, without secrets.
        handler: the name of the handler; empty if none was asked.
        reason: what went wrong, without secrets.
        declined: nothing went wrong: it was not made for such a location.
    """

    location: str
    handler: str
    reason: str
    declined: bool = False

    def __str__(self) -> str:
        by = f" by {self.handler}" if self.handler else ""
        return f"{self.location}{by}: {self.reason}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """How an image was fetched.

    Attributes:
        path: the file that has it.
        location: the location it came from.
        handler: the name of the handler that brought it.
        method: how it did that, such as "reflink".
        size: bytes of the file.
        seconds: how long all of it took.
        attempts: what came to nothing before.
    """

    path: Path
    location: Selectable
    handler: str
    method: str
    size: int
    seconds: float
    attempts: tuple[Attempt, ...]


def load_handlers(
    names: Iterable[str] = HANDLERS,
) -> tuple[tuple[str, Handler], ...]:
    """The handlers of those names, with their names.

    Args:
        names: those that come with this library, or what plug-ins in the
            entry-point namespace ``parallelops.image_handlers`` are called.

    Raises:
        PluginError: there is no such handler, or it is broken.
        MissingDependency: it needs something that is not installed.
    """
    return tuple((name, IMAGE_HANDLERS.load(name)) for name in names)


class Fetcher:
    """Fetches images. Several threads may use one.

    A location after the other is tried, in the order of the strategy, and
    at each one handler after the other. Who declines costs nothing; who
    fails is noted, and the next one begins anew.

    Args:
        handlers: handlers with their names, the cheapest first; by default
            those that come with this library.
        strategy: in which order locations are tried; as they come, by
            default.
        context: what the strategy may know. If it has metrics, what is
            fetched is measured. Its runtime gives the clocks; by default it
            is that of the executor.
        options: what handlers may do.
        executor: for handlers that do several things side by side, such as
            reading parts of an image. It is not shut down. Without one they
            do it in turn.

    Raises:
        ValueError: the executor's tasks don't share memory.
    """

    def __init__(
        self,
        *,
        handlers: Sequence[tuple[str, Handler]] | None = None,
        strategy: Strategy | None = None,
        context: SelectionContext | None = None,
        options: FetchOptions | None = None,
        executor: Executor | None = None,
    ) -> None:
        if executor is not None:
            executor.traits.check_memory(executor.name, "fetcher")
            # Its threads may be green ones, and wait as it does.
            context = context or SelectionContext(runtime=executor.runtime)
        self._handlers = load_handlers() if handlers is None else handlers
        self._strategy = strategy or Chain(())
        self._context = context or SelectionContext()
        self._options = options or FetchOptions()
        self._executor = executor
        self._runtime = self._context.runtime
        # What nobody asks is forgotten.
        self._metrics = self._context.metrics or LocationMetrics(
            window=1, max_sources=1, runtime=self._runtime
        )

    def fetch(
        self,
        locations: Iterable[Selectable],
        to: str | os.PathLike[str],
        wanted: Wanted | None = None,
        *,
        progress: Callable[[int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FetchResult:
        """Have the image at ``to``, whole and verified, or leave no trace.

        Args:
            locations: where its data is. Of those with a status, only
                active ones are read.
            to: the file; what was there is replaced.
            wanted: what is known of the data.
            progress: called with the bytes of this attempt, now and then.
                What it raises is logged.
            cancelled: asked now and then, by workers of the executor too;
                True calls the fetch off.

        Raises:
            NoLocationWorked: no location gave the data.
            DestinationError: the file can't be written.
            FetchCancelled: it was called off.
            PluginError: the strategy is broken.
        """
        with Destination(to) as destination:
            result = self.stage(
                locations,
                destination,
                wanted,
                progress=progress,
                cancelled=cancelled,
            )
            destination.commit()
        return result

    def stage(
        self,
        locations: Iterable[Selectable],
        destination: Destination,
        wanted: Wanted | None = None,
        *,
        progress: Callable[[int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FetchResult:
        """As :meth:`fetch`, but leave the commit to the caller."""
        began = self._runtime.monotonic()
        chosen = wanted or Wanted()

        def start(measurement: Measurement) -> FetchContext:
            return FetchContext(
                chosen,
                self._options,
                self._runtime,
                measurement,
                executor=self._executor,
                progress=progress,
                cancelled=cancelled,
            )

        attempts: list[Attempt] = []
        readable = []
        for location in locations:
            status = getattr(location, "status", LocationStatus.ACTIVE)
            if status == LocationStatus.ACTIVE:
                readable.append(location)
            else:
                url = redact_url(location.url)
                attempts.append(Attempt(url, "", f"it is {status}", True))
        for location in self._strategy(readable, self._context):
            for name, handler in self._handlers:
                done = self._try(name, handler, location, destination, start)
                if isinstance(done, Attempt):
                    attempts.append(done)
                    continue
                return FetchResult(
                    path=destination.path,
                    location=location,
                    handler=name,
                    method=done.method,
                    size=os.fstat(destination.file).st_size,
                    seconds=self._runtime.monotonic() - began,
                    attempts=tuple(attempts),
                )
        failed = [each for each in attempts if not each.declined] or attempts
        raise NoLocationWorked([str(attempt) for attempt in failed])

    def _try(
        self,
        name: str,
        handler: Handler,
        location: Selectable,
        destination: Destination,
        start: Callable[[Measurement], FetchContext],
    ) -> Handled | Attempt:
        url = redact_url(location.url)
        try:
            with self._metrics.measure(location) as measurement:
                context = start(measurement)
                done = _called(name, handler, location, destination, context)
                if isinstance(done, NotForMe):
                    return Attempt(url, name, redact_text(done.reason), True)
                received = done.received
                if received is None:
                    received = os.fstat(destination.file).st_size
                measurement.finish(received)
                if not done.checked:
                    _verify(destination, context)
        except (DestinationError, FetchCancelled):
            destination.discard()
            raise
        except Exception as error:  # noqa: BLE001 - it is in the result
            if isinstance(error, TransferError):
                destination.set_aside()
            else:
                destination.discard()
            reason = redact_text(str(error))
            if not isinstance(error, ParallelopsError):
                reason = f"{type(error).__name__}: {reason}"
            return Attempt(url, name, reason)
        return done


def _called(
    name: str,
    handler: Handler,
    location: Selectable,
    destination: Destination,
    context: FetchContext,
) -> Handled | NotForMe:
    context.check()
    try:
        done: object = handler(location, destination, context)
    except OSError as error:
        if Destination.is_to_blame(error):
            raise destination.refusal(error) from error
        raise
    if not isinstance(done, Handled | NotForMe):
        raise PluginError(
            IMAGE_HANDLERS.name,
            name,
            "it must return Handled or NotForMe, and it returned "
            f"{type(done).__name__}",
        )
    return done


def _verify(destination: Destination, context: FetchContext) -> None:
    """See that what is there is what was wanted.

    What is read is what was written, and not what was sent.
    """
    wanted, file = context.wanted, destination.file
    wanted.check_size(os.fstat(file).st_size)
    made = wanted.new_hash()
    if made is None:
        return
    offset = 0
    while piece := os.pread(file, _PIECE, offset):
        made.update(piece)
        offset += len(piece)
        context.check()
    wanted.check_digest(made)
