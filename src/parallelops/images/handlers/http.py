"""The handler of ``http://`` and ``https://`` URLs: ranged GETs."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from parallelops.errors import DataMismatch, DestinationBusy
from parallelops.images.handler import Handled, NotForMe
from parallelops.landing.digest import RunningDigest
from parallelops.origin import (
    HTTPSource,
    fetch_in_turn,
    fetch_ranges,
    is_http,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.images.destination import Destination
    from parallelops.images.handler import FetchContext
    from parallelops.images.strategy import Selectable
    from parallelops.landing import Digest, Landing
    from parallelops.origin import HTTPOrigin

__all__ = ["get", "opened", "read_all"]

_EXTENT = 16 << 20


def get(
    location: Selectable, destination: Destination, context: FetchContext
) -> Handled | NotForMe:
    """Get what is at the URL; see :class:`~parallelops.origin.HTTPSource`.

    Where a digest is wanted the data comes in parts, side by side if there
    is an executor, and what an attempt before has left is used. Else it
    comes in one go: nobody could tell whether two parts belong together.

    Raises:
        TransferError: the host does not give it, or not all of it.
        DataMismatch: it is not the data that is wanted.
        DestinationError: it can't be written.
        OSError: it can't be written.
    """
    if context.wanted.container != "bare":
        return NotForMe("it does not open packages")
    if not is_http(location.url):
        return NotForMe("it is no http or https URL")
    expected = context.wanted.expected
    with opened(location, context) as origin:
        size = origin.ask()
        if expected is not None and size is not None:
            context.wanted.check_size(size)
            # Where somebody else makes the same file, the last one wins.
            with contextlib.suppress(DestinationBusy):
                landing = destination.resume(size, str(expected))
                _in_parts(origin, landing, expected, context)
                return Handled("http", checked=True, received=origin.received)
        _in_one_go(origin, destination, context)
        return Handled("http")


@contextlib.contextmanager
def opened(
    location: Selectable, context: FetchContext
) -> Iterator[HTTPOrigin]:
    """Read from the URL of a location, for a ``with`` block.

    Raises:
        TransferError: the URL can't be used.
    """
    wanted, options = context.wanted, context.options
    source = HTTPSource(
        location.url,
        timeout=options.timeout,
        ssl_context=options.ssl_context,
        # Of a host that gave nothing so far another location is better.
        patient=False,
        verified=wanted.digest is not None,
    )
    origin = source.open(context.runtime, wanted.size, context.check)
    with contextlib.closing(origin):
        yield origin


def read_all(origin: HTTPOrigin, context: FetchContext) -> Iterator[bytes]:
    """The data in order; a byte too much, at the most.

    Raises:
        TransferError: the host does not give it, or not all of it.
        DataMismatch: it has not the size that is wanted.
    """
    size = origin.ask()
    if size is None:
        size = context.wanted.max_size + 1
    else:
        context.wanted.check_size(size)
    for _, data in origin.stream(0, size):
        yield data


def _in_one_go(
    origin: HTTPOrigin, destination: Destination, context: FetchContext
) -> None:
    file, done = destination.create(), 0
    for data in read_all(origin, context):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        done += len(data)
        context.advance(done)


def _in_parts(
    origin: HTTPOrigin,
    landing: Landing,
    expected: Digest,
    context: FetchContext,
) -> None:
    before = landing.blocks.done()
    while True:
        running = RunningDigest(expected, landing.read, landing.blocks)
        if context.executor is None:
            fetch_in_turn(
                origin, landing, running, context.advance, extent=_EXTENT
            )
        else:
            fetch_ranges(
                context.executor,
                origin,
                landing,
                running,
                context.advance,
                extent=_EXTENT,
                connections=context.options.connections,
            )
        try:
            running.finish()
        except DataMismatch:
            if not before:
                raise
            # It may have been what was there before.
            before = 0
            landing.restart()
        else:
            return
