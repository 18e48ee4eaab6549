"""The downloader: an image, whole and verified, or no file at all."""

from __future__ import annotations

import collections
import logging
import math
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.download.image import DownloadResult
from parallelops.download.ranges import fetch_ranges
from parallelops.download.transfer import Transfer
from parallelops.errors import DataMismatch, TransferError
from parallelops.landing import DeviceLanding, Landing, RunningDigest
from parallelops.landing.blocks import BLOCK

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from parallelops.download.image import Image, Progress
    from parallelops.download.source import Origin, Source
    from parallelops.executor import Executor

__all__ = ["Downloader"]

_log = logging.getLogger(__name__)

_LARGEST = 1 << 44  # 16 TiB; a host that says more is not believed


class Downloader:
    """Downloads images. Several threads may use one.

    Args:
        executor: reads from the origin, and is not shut down. Its tasks
            must see the objects of this process.
        connections: how many parts of an image are read from the origin at
            the same time.
        extent: bytes of a part, a multiple of 256 KiB. Parts begin at
            multiples of it.
        timeout: seconds that one download may take.

    Raises:
        ValueError: one of them can't work.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        connections: int = 4,
        extent: int = 16 << 20,
        timeout: float = 6 * 3600.0,
    ) -> None:
        if not executor.traits.shared_memory:
            raise ValueError(
                f"the tasks of {executor.name} do not share memory with the "
                "downloader; take a thread, greenthread or serial executor"
            )
        if connections < 1:
            raise ValueError(
                f"connections must be above 0, not {connections!r}"
            )
        if extent < BLOCK or extent % BLOCK:
            raise ValueError(
                f"extent must be a multiple of {BLOCK}, not {extent!r}"
            )
        if not 0 < timeout < math.inf:
            raise ValueError(
                f"timeout must be seconds above 0, not {timeout!r}"
            )
        self._executor = executor
        self._connections = connections
        self._extent = extent
        self._timeout = timeout

    def fetch(
        self,
        image: Image,
        to: str | os.PathLike[str],
        *,
        progress: Callable[[Progress], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> DownloadResult:
        """Have the image at ``to``, whole and verified.

        A file that is there already and is that image is left as it is. What
        a download left behind that failed or was killed is used, if it was
        of the same image. See :class:`~parallelops.landing.Landing`,
        and for block devices
        :class:`~parallelops.landing.DeviceLanding`.

        Args:
            image: what to download.
            to: the file, or the block device. What was there is replaced.
            progress: told how far it is, in the calling thread.
            cancelled: asked now and then; True calls it off.

        Raises:
            TransferError: no source gave the data, or it took too long.
            DataMismatch: the data is not what was asked for. Nothing of it
                is kept.
            DestinationError: it can't be written.
            FetchCancelled: it was called off.
        """
        runtime = self._executor.runtime
        transfer = Transfer(runtime, self._timeout, progress, cancelled)
        began = runtime.monotonic()
        size = self._size(image)
        received: dict[str, int] = collections.Counter()

        def result(
            decision: str, reason: str, failures: Sequence[str] = ()
        ) -> DownloadResult:
            return DownloadResult(
                path=landing.path,
                size=size,
                seconds=runtime.monotonic() - began,
                decision=decision,
                reason=reason,
                received=dict(received),
                failures=tuple(failures),
            )

        with _landing(to, size, str(image.wanted)) as landing:
            received["disk"] = landing.blocks.done()
            if not received["disk"] and landing.is_there(image.wanted):
                landing.remove()
                return result("disk", "the file was there already")
            failures = self._from_sources(image, landing, transfer, received)
            return result(
                "origin", "there is no torrent of the image", failures
            )

    def _size(self, image: Image) -> int:
        if image.size is not None:
            return image.size
        failures = []
        for source in image.sources:
            origin = source.open(self._executor.runtime, None)
            try:
                size = origin.size()
            except TransferError as error:
                failures.append(str(error))
            else:
                if size <= _LARGEST:
                    return size
                failures.append(f"a host says it has {size} bytes")
            finally:
                origin.close()
        raise TransferError("; ".join(failures))

    def _from_sources(
        self,
        image: Image,
        landing: Landing | DeviceLanding,
        transfer: Transfer,
        received: dict[str, int],
    ) -> list[str]:
        """Try one source after the other; say what went wrong."""
        sources: collections.deque[Source] = collections.deque(image.sources)
        alone = False
        failures: list[str] = []
        while True:
            before = landing.blocks.done()
            origin = sources[0].open(self._executor.runtime, landing.size)
            try:
                self._from_origin(image, landing, origin, transfer)
            except DataMismatch as error:
                landing.restart()
                failures.append(str(error))
                source = sources.popleft()
                if before:
                    # It may have been what was there before.
                    sources.appendleft(source)
                elif not alone and len(source.copies()) > 1:
                    # One of them is wrong, but nobody knows which.
                    sources.extendleft(reversed(source.copies()))
                    alone = True
                if not sources:
                    landing.remove()
                    raise
            except TransferError as error:
                failures.append(str(error))
                sources.popleft()
                if not sources:
                    raise TransferError("; ".join(failures)) from error
                transfer.check()
            else:
                return failures
            finally:
                origin.close()
                received["origin"] += origin.received
            _log.warning("a download begins anew: %s", failures[-1])

    def _from_origin(
        self,
        image: Image,
        landing: Landing | DeviceLanding,
        origin: Origin,
        transfer: Transfer,
    ) -> None:
        running = RunningDigest(image.wanted, landing.read, landing.blocks)
        fetch_ranges(
            self._executor,
            origin,
            landing,
            running,
            transfer,
            extent=self._extent,
            connections=self._connections,
        )
        running.finish()
        landing.commit()


def _landing(
    to: str | os.PathLike[str], size: int, key: str
) -> Landing | DeviceLanding:
    try:
        device = stat.S_ISBLK(Path(to).stat().st_mode)
    except OSError:
        device = False
    return DeviceLanding(to, size) if device else Landing(to, size, key)
