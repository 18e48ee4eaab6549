"""Where data is to be had over the network, and how it is read from there.

- :class:`HTTPSource` is the same data at one or several URLs, and
  :class:`HTTPOrigin` reads it.
- :func:`fetch_ranges` has all of it on a landing, several parts at a time.
- :func:`read_in_order` hands it on in order, and reads some parts ahead.
"""

from __future__ import annotations

from parallelops.origin.connections import Connections
from parallelops.origin.copies import HTTPOrigin
from parallelops.origin.ordered import read_in_order
from parallelops.origin.ranges import end_reads, fetch_in_turn, fetch_ranges
from parallelops.origin.request import Answer, is_http
from parallelops.origin.source import HTTPSource, Origin, Source, open_source

__all__ = [
    "Answer",
    "Connections",
    "HTTPOrigin",
    "HTTPSource",
    "Origin",
    "Source",
    "end_reads",
    "fetch_in_turn",
    "fetch_ranges",
    "is_http",
    "open_source",
    "read_in_order",
]
