"""An image that is handed on in order while it is fetched."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.download.sizes import sized
from parallelops.download.transfer import Transfer
from parallelops.errors import (
    DestinationError,
    FetchCancelled,
    FetchError,
    TransferError,
)
from parallelops.origin import open_source, read_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from parallelops.download.downloader import Downloader
    from parallelops.download.image import Image, Progress
    from parallelops.download.torrent import Torrent
    from parallelops.executor import Executor
    from parallelops.landing.blocks import Blocks
    from parallelops.runtime import Runtime

__all__ = ["ImageStream"]

_log = logging.getLogger(__name__)

_PIECE = 1 << 20
_TICK = 0.05  # seconds
_LONGEST_END = 60.0
_HASH = 20


class ImageStream:
    """An image to iterate over, once, by one thread.

    :meth:`Downloader.stream` makes them. What has come is compared with the
    digest by :meth:`verify_image`, after all of it has come. It has the
    shape of ``ImageDownload`` in Ironic's agent.

    Attributes:
        image: what is downloaded.
        decision: "origin", "swarm" or "both": where it came from; "disk" if
            it was there already.
        reason: why.
        failures: what went wrong on the way, in words without secrets.
    """

    def __init__(
        self,
        downloader: Downloader,
        executor: Executor,
        image: Image,
        *,
        spool: str | os.PathLike[str] | None,
        timeout: float,
        ahead: tuple[int, int],
        progress: Callable[[Progress], object] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.decision = self.reason = ""
        self.failures: list[str] = []
        self._downloader = downloader
        self._executor = executor
        self._spool = spool if image.torrent is not None else None
        self._extent, self._connections = ahead
        self._hash = image.wanted.new_hash()
        self._position = 0
        self._closed = executor.runtime.event()
        self._transfer = _Arriving(
            executor.runtime,
            timeout,
            progress,
            lambda: self._closed.is_set() or bool(cancelled and cancelled()),
            image.torrent,
        )
        self.image = sized(image, self._transfer)
        self._size = self.image.size or 0

    @property
    def bytes_transferred(self) -> int:
        """How many bytes were handed on."""
        return self._position

    @property
    def content_length(self) -> int:
        """How many there are in all."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """The data, in order.

        Who ends early ends the download: what came of it is kept in the
        spool for the next one.

        Raises:
            TransferError: no source gave the data, nor the swarm, or it
                took too long.
            SwarmError: the swarm broke, and there is no source.
            DataMismatch: the data is not what was asked for.
            FetchCancelled: it was called off, or is iterated over again.
        """
        if self._closed.is_set():
            raise FetchCancelled("an image is iterated over once")
        try:
            if self._spool is None:
                self._decide("origin", "it is not shared")
            else:
                yield from self._together(Path(self._spool))
            yield from self._alone()
        finally:
            self._closed.set()
        _log.info(
            "an image of %d bytes came: %s, because %s",
            self._size,
            self.decision,
            self.reason,
        )

    def verify_image(self, image_location: object = None) -> None:
        """Compare what was handed on with the digest.

        Args:
            image_location: where it was written, for the error.

        Raises:
            DataMismatch: it is not the data that was asked for.
        """
        of = "the data" if image_location is None else str(image_location)
        self.image.wanted.check(self._hash, of)

    # -- from the origin alone

    def _alone(self) -> Iterator[bytes]:
        """What has not come yet, from one source after the other."""
        sources = list(self.image.sources)
        while self._position < self._size:
            if not sources:
                reasons = self.failures or ["there is no source"]
                raise TransferError("; ".join(reasons))
            origin = open_source(
                sources.pop(0),
                self._executor.runtime,
                self._size,
                self._transfer.check,
            )
            parts = read_in_order(
                self._executor,
                origin,
                self._position,
                self._size,
                self._transfer.check,
                extent=self._extent,
                connections=self._connections,
            )
            try:
                with contextlib.closing(parts):
                    for data in parts:
                        yield self._take(data)
                        self._transfer.tell(self._position, self._size)
            except TransferError as error:
                self._transfer.check()
                self._fail(error)

    # -- together with others

    def _together(self, spool: Path) -> Iterator[bytes]:
        """What a download to the spool has brought so far, and waits."""
        runtime = self._executor.runtime
        path = spool / self.image.wanted.value
        ended = runtime.event()
        errors: list[BaseException] = []

        def fetch() -> None:
            try:
                done = self._downloader.run(self.image, path, self._transfer)
                self._decide(done.decision, done.reason)
                self.failures += done.failures
                self._transfer.whole(done.path)
            except BaseException as error:  # noqa: BLE001 - goes to who reads
                errors.append(error)
            finally:
                ended.set()

        runtime.spawn(fetch, name="parallelops-stream")
        try:
            while self._position < self._size:
                if data := self._transfer.read(self._position):
                    yield self._take(data)
                elif ended.wait(_TICK) and not self._transfer.is_whole:
                    break
            else:
                if self._hash.hexdigest() == self.image.wanted.value:
                    # It is read once more, and given to others from then on.
                    ended.wait()
        finally:
            self._closed.set()
            if not ended.wait(_LONGEST_END):
                _log.warning("a download does not end that was called off")
            self._transfer.close()
            with contextlib.suppress(OSError):
                path.unlink()
        for error in errors:
            if self._position == self._size:
                _log.warning("an image is not given to others: %s", error)
                self.failures.append(str(error))
            elif isinstance(error, DestinationError):
                self._decide("origin", f"the spool cannot be used: {error}")
                self._closed.clear()
                self._fail(error)
            else:
                raise error

    # -- keeping count

    def _take(self, data: bytes) -> bytes:
        self._hash.update(data)
        self._position += len(data)
        return data

    def _decide(self, decision: str, reason: str) -> None:
        self.decision, self.reason = decision, reason

    def _fail(self, error: FetchError) -> None:
        self.failures.append(str(error))
        _log.warning("a download goes on elsewhere: %s", error)


class _Arriving(Transfer):
    """A download to a file that is read while it is written.

    One thread downloads, another one reads.
    """

    in_order = True

    def __init__(
        self,
        runtime: Runtime,
        timeout: float,
        progress: Callable[[Progress], object] | None,
        cancelled: Callable[[], bool],
        torrent: Torrent | None,
    ) -> None:
        super().__init__(runtime, timeout, progress, cancelled)
        self.is_whole = False
        self._torrent = torrent
        self._blocks: Callable[[], Blocks] | None = None
        self._have: Sequence[bool] = ()
        # Descriptors; the last one counts.
        self._files: list[int] = []

    def landed(self, file: int, blocks: Callable[[], Blocks]) -> None:
        self._files.append(os.dup(file))
        self._blocks = blocks

    def arrived(self, pieces: Sequence[bool]) -> None:
        self._have = pieces

    def whole(self, path: Path) -> None:
        """All of it is there, under its name, and verified."""
        self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self.is_whole = True

    def read(self, position: int) -> bytes:
        """What is there from ``position`` on, some of it; may be nothing."""
        if self._blocks is None:
            return b""
        count = _PIECE
        if not self.is_whole:
            written = self._blocks().written_up_to(position)
            count = min(count, written - position)
        if count:
            return os.pread(self._files[-1], count, position)
        return self._piece(position)

    def close(self) -> None:
        """Read no more."""
        while self._files:
            os.close(self._files.pop())

    def _piece(self, position: int) -> bytes:
        """The rest of the piece that ``position`` is in.

        A swarm says that it has a piece before it is on the file.
        """
        if self._torrent is None or not self._have:
            return b""
        index = position // self._torrent.piece_size
        if not self._have[index]:
            return b""
        begin, end = self._torrent.piece(index)
        data = os.pread(self._files[-1], end - begin, begin)
        made = hashlib.sha1(data, usedforsecurity=False).digest()
        if made != self._torrent.pieces[_HASH * index : _HASH * (index + 1)]:
            return b""
        return data[position - begin :]
