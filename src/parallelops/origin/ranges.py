"""Reads all of an image from its origin, in parts."""

from __future__ import annotations

import collections
import logging
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING, Any

from parallelops.errors import ExecutorSaturated
from parallelops.landing.blocks import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.landing import Landing
    from parallelops.landing.device import DeviceLanding
    from parallelops.landing.digest import RunningDigest
    from parallelops.origin.source import Origin

__all__ = ["end_reads", "fetch_in_turn", "fetch_ranges"]

_log = logging.getLogger(__name__)

_TICK = 0.05  # seconds between two looks at the digest
_LONGEST_END = 60.0


def fetch_in_turn(
    origin: Origin,
    landing: Landing | DeviceLanding,
    running: RunningDigest,
    advance: Callable[[int], object],
    *,
    extent: int,
) -> None:
    """Have all of the image on the landing, one part after the other.

    See :func:`fetch_ranges`; nothing but the calling thread is used.
    """
    blocks = landing.blocks
    for begin, end in blocks.holes(extent):
        if not blocks.has(begin, end):
            for _ in _read(origin, landing, begin, end):
                advance(blocks.done())
        while running.advance():
            advance(blocks.done())
    advance(blocks.done())


def fetch_ranges(
    executor: Executor,
    origin: Origin,
    landing: Landing | DeviceLanding,
    running: RunningDigest,
    advance: Callable[[int], object],
    *,
    extent: int,
    connections: int,
) -> None:
    """Have all of the image on the landing; its digest is made meanwhile.

    The first part is asked for alone: the answer tells whether the host
    takes ranges. If it does, others follow side by side.

    Args:
        executor: reads.
        advance: called here with the bytes that are there, now and then;
            what it raises ends the reads.
        extent: bytes of a part; all begin at multiples of it, so that a
            cache on the way is asked for the same parts by everybody.
        connections: how many parts are read at the same time.

    Raises:
        TransferError: it can't be had.
        DestinationError: it can't be written.
    """
    blocks = landing.blocks
    holes = collections.deque(blocks.holes(extent))
    reads: dict[Future[None], None] = {}

    def read(begin: int, end: int) -> None:
        for _ in _read(origin, landing, begin, end):
            pass

    def start() -> None:
        while holes and len(reads) < (connections if origin.ranged else 1):
            begin, end = holes[0]
            if not blocks.has(begin, end):
                try:
                    reads[executor.submit(read, begin, end)] = None
                except ExecutorSaturated:
                    if reads:
                        return
                    read(begin, end)
            holes.popleft()

    try:
        start()
        while reads:
            hashed = running.advance()
            done, _ = executor.wait(
                reads, 0.0 if hashed else _TICK, FIRST_COMPLETED
            )
            for each in done:
                del reads[each]
                each.result()
            advance(blocks.done())
            start()
    finally:
        if reads:
            # The others might take long. The blocks that they wrote are kept,
            # so what is lost is what is on its way, and less than a block of
            # each.
            origin.close()
            end_reads(executor, reads)
    advance(blocks.done())


def _read(
    origin: Origin, landing: Landing | DeviceLanding, begin: int, end: int
) -> Iterator[int]:
    """Read a part; each time some of it is written, yield up to where."""
    blocks, marked = landing.blocks, begin
    for offset, data in origin.stream(begin, end):
        after = offset + len(data)
        if not blocks.has(offset, after):
            landing.write(offset, data)
        landing.mark(marked, after)
        marked = max(marked, after - after % BLOCK)
        yield after


def end_reads(executor: Executor, reads: Collection[Future[Any]]) -> None:
    """Wait for reads whose origin was closed.

    They end as soon as they look. One that can't, since it asks for the
    address of a host or for a new URL, is not waited for without end; what
    it writes then goes nowhere.
    """
    for each in reads:
        each.cancel()
    done, late = executor.wait(reads, _LONGEST_END)
    for each in done:
        if not each.cancelled():
            each.exception()
    if late:
        _log.warning("%d reads from an origin do not end", len(late))
