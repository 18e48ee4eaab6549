"""Parts of an image that have one reader each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelops.download.gate import WHOLE, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from parallelops.download.torrent import Torrent

__all__ = ["Extents", "Runs"]

_LEAST = 64  # so that many can have a share
_LARGEST = 16 << 20  # bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Runs:
    """Consecutive pieces that nobody has, each a part of one extent.

    Attributes:
        own: of extents that are to be read here.
        others: extents of others, who have not begun with them.
        begun: what is left of extents of others, who have.
    """

    own: list[range]
    others: list[range]
    begun: list[range]


class Extents:
    """An image in parts of up to 16 MiB, at least 64 if there are pieces.

    All go through their extents in the same order, by a hash. So who takes
    over what is late in it comes seldom in the way of its owner.

    Args:
        torrent: of the image.
    """

    def __init__(self, torrent: Torrent) -> None:
        self._torrent = torrent
        self._size = max(
            1, min(len(torrent) // _LEAST, _LARGEST // torrent.piece_size)
        )
        self._order = [
            weight(torrent.info_hash, extent.to_bytes(8, "big"))
            for extent in range(-(-len(torrent) // self._size))
        ]

    def __len__(self) -> int:
        return len(self._order)

    def place(self, piece: int, start: float = 0.0) -> float:
        """When the extent of a piece has its turn, from 0 to 1, for one who
        begins at ``start``."""
        return self._turn(piece // self._size, start) / WHOLE

    def runs(
        self,
        wanted: Iterable[int],
        owns: Callable[[int], bool],
        start: float = 0.0,
    ) -> Runs:
        """What is to be read, each in the order of its turn.

        Args:
            wanted: pieces that nobody has, in ascending order.
            owns: whether an extent is to be read here.
            start: where to begin in the order, as a part of it.
        """
        own: list[tuple[int, range]] = []
        others: list[tuple[int, range]] = []
        begun: list[tuple[int, range]] = []
        for extent, pieces in self._split(wanted):
            first = extent * self._size
            last = min(first + self._size, len(self._torrent))
            run = self._turn(extent, start), pieces
            if owns(extent):
                own.append(run)
            elif len(pieces) == last - first:
                others.append(run)
            else:
                begun.append(run)
        return Runs(_in_order(own), _in_order(others), _in_order(begun))

    def _turn(self, extent: int, start: float) -> int:
        return (self._order[extent] - int(start * WHOLE)) % WHOLE

    def _split(self, wanted: Iterable[int]) -> Iterator[tuple[int, range]]:
        """Runs of consecutive pieces, cut where extents end."""
        begin = last = -1
        for piece in wanted:
            if piece != last + 1 or piece % self._size == 0:
                if begin >= 0:
                    yield begin // self._size, range(begin, last + 1)
                begin = piece
            last = piece
        if begin >= 0:
            yield begin // self._size, range(begin, last + 1)


def _in_order(runs: list[tuple[int, range]]) -> list[range]:
    return [pieces for _, pieces in sorted(runs, key=lambda run: run[0])]
