"""Where data is to be had over the network, and how it is read from there.

- :class:`HTTPSource` is the same data at one or several URLs, and
  :class:`HTTPOrigin` reads it.
- :func:`fetch_ranges` has all of it on a landing, several parts at a time.
"""

from __future__ import annotations

from parallelops.origin.copies import HTTPOrigin
from parallelops.origin.ranges import end_reads, fetch_in_turn, fetch_ranges
from parallelops.origin.request import Answer, Connections
from parallelops.origin.source import HTTPSource, Origin, Source

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
]
