"""Reads an image from its origin alone, in ranges, several at a time."""

from __future__ import annotations

import collections
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING

from parallelops.download.feed import end_reads
from parallelops.errors import ExecutorSaturated
from parallelops.landing.blocks import BLOCK

if TYPE_CHECKING:
    from concurrent.futures import Future

    from parallelops.download.source import Origin
    from parallelops.download.transfer import Transfer
    from parallelops.executor import Executor
    from parallelops.landing import DeviceLanding, Landing, RunningDigest

__all__ = ["fetch_ranges"]

_TICK = 0.05  # seconds between two looks at the digest


def fetch_ranges(
    executor: Executor,
    origin: Origin,
    landing: Landing | DeviceLanding,
    running: RunningDigest,
    transfer: Transfer,
    *,
    extent: int,
    connections: int,
) -> None:
    """Have all of the image on the landing; its digest is made meanwhile.

    The first part is asked for alone: the answer tells whether the host
    takes ranges. If it does, others follow side by side.

    Args:
        extent: bytes of a part; all begin at multiples of it, so that a
            cache on the way is asked for the same parts by everybody.
        connections: how many parts are read at the same time.

    Raises:
        TransferError: it can't be had, or takes too long.
        DestinationError: it can't be written.
        FetchCancelled: it was called off.
    """
    blocks = landing.blocks
    holes = collections.deque(blocks.holes(extent))
    reads: dict[Future[None], None] = {}

    def read(begin: int, end: int) -> None:
        marked = begin
        for offset, data in origin.stream(begin, end):
            after = offset + len(data)
            if not blocks.has(offset, after):
                landing.write(offset, data)
            landing.mark(marked, after)
            marked = max(marked, after - after % BLOCK)

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
            transfer.check()
            transfer.tell(blocks.done(), blocks.size)
            start()
    finally:
        if reads:
            origin.close()
            end_reads(executor, reads)
    transfer.tell(blocks.done(), blocks.size)
