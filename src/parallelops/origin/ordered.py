"""Reads an image from its origin in order, some parts ahead."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from parallelops.errors import ExecutorSaturated
from parallelops.origin.ranges import end_reads

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.origin.source import Origin

__all__ = ["read_in_order"]

_TICK = 0.05  # seconds between two looks at whether to go on


def read_in_order(
    executor: Executor,
    origin: Origin,
    begin: int,
    size: int,
    check: Callable[[], object],
    *,
    extent: int,
    connections: int,
) -> Generator[bytes]:
    """The data from ``begin`` on.

    The first part is asked for alone: the answer tells whether the host
    takes ranges. If it does, others follow side by side, and are held in
    memory until their turn comes: as many as there are connections.

    Args:
        executor: reads.
        check: called here now and then; what it raises ends the reads.
        extent: bytes of a part; all but the first begin at multiples of it.
        connections: how many parts are read at the same time.

    Raises:
        TransferError: it can't be had.
    """
    reads: collections.deque[Future[list[bytes]]] = collections.deque()
    position = asked = begin

    def part_end(begin: int) -> int:
        return min(size, (begin // extent + 1) * extent)

    def read(begin: int, end: int) -> list[bytes]:
        parts = []
        for offset, data in origin.stream(begin, end):
            parts.append(data[: end - offset])
            if offset + len(data) >= end:
                break
        return parts

    def start() -> None:
        nonlocal asked
        while asked < size and len(reads) < connections and origin.ranged:
            end = part_end(asked)
            try:
                reads.append(executor.submit(read, asked, end))
            except ExecutorSaturated:
                return
            asked = end

    def here_and_now() -> Iterator[bytes]:
        nonlocal asked
        asked = part_end(position)
        # A host that takes no ranges goes on after it, and so do we.
        end = size if origin.ranged is False else asked
        for offset, data in origin.stream(position, end):
            check()
            yield data[: size - offset]

    def ahead() -> list[bytes]:
        while not reads[0].done():
            executor.wait([reads[0]], _TICK)
            check()
        return reads.popleft().result()

    try:
        while position < size:
            start()
            # The first part, or what an executor that is full has left.
            for data in ahead() if reads else here_and_now():
                start()
                yield data
                position += len(data)
            asked = max(asked, position)
    finally:
        origin.close()
        end_reads(executor, reads)
