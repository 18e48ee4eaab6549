"""The handler of ``http://`` and ``https://`` URLs: ranged GETs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelops.images.handler import Handled, NotForMe
from parallelops.images.httpreader import HTTPReader, is_http

if TYPE_CHECKING:
    from parallelops.images.destination import Destination
    from parallelops.images.handler import FetchContext
    from parallelops.images.strategy import Selectable

__all__ = ["get"]

_PIECE = 1024 * 1024


def get(
    location: Selectable, destination: Destination, context: FetchContext
) -> Handled | NotForMe:
    """Get what is at the URL; see :class:`HTTPReader`.

    Raises:
        TransferError: the host does not give it, or not all of it.
        DataMismatch: it has not the size that is wanted.
        OSError: it can't be written.
    """
    if context.wanted.container != "bare":
        return NotForMe("it does not open packages")
    if not is_http(location.url):
        return NotForMe("it is no http or https URL")
    with HTTPReader(location.url, context) as reader:
        file = destination.create()
        done = 0
        while piece := reader.read(_PIECE):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest) :]
            done += len(piece)
            context.advance(done)
    return Handled("http")
