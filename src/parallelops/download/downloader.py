"""The downloader: an image, whole and verified, or no file at all."""

from __future__ import annotations

import collections
import logging
import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.download.device import DeviceMember, joined
from parallelops.download.gates import GateContext, auto
from parallelops.download.herd import Herd
from parallelops.download.image import DownloadResult
from parallelops.download.plan import HerdOptions
from parallelops.download.sizes import sized
from parallelops.download.stream import ImageStream
from parallelops.download.transfer import Transfer
from parallelops.errors import (
    DataMismatch,
    SwarmError,
    TransferError,
)
from parallelops.landing import Landing
from parallelops.landing.blocks import BLOCK
from parallelops.landing.device import DeviceLanding
from parallelops.landing.digest import RunningDigest
from parallelops.origin import fetch_ranges, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.download.gate import Gate
    from parallelops.download.image import Image, Progress
    from parallelops.download.swarm import Swarm
    from parallelops.executor import Executor
    from parallelops.origin import Origin, Source
    from parallelops.runtime import Runtime

__all__ = ["Downloader"]

_log = logging.getLogger(__name__)


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
        swarm: to share images with others, those that have a torrent. The
            downloader does not close it.
        gate: who of those who share goes to the origin, or what makes that
            for each image; by default a few that the first tracker names, or
            that the agents agree on.
        herd: how patient it is in a swarm.

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
        swarm: Swarm | None = None,
        gate: Gate | Callable[[GateContext], Gate] | None = None,
        herd: HerdOptions | None = None,
    ) -> None:
        executor.traits.check_memory(executor.name, "downloader")
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
        self._swarm = swarm
        self._gate = gate or auto
        self._herd_options = herd or HerdOptions()

    @property
    def runtime(self) -> Runtime:
        """That of its executor."""
        return self._executor.runtime

    @property
    def shares(self) -> bool:
        """Whether it has a swarm."""
        return self._swarm is not None

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
            TransferError: no source gave the data, nor the swarm, or it
                took too long.
            SwarmError: the swarm broke, and there is no source.
            DataMismatch: the data is not what was asked for. Nothing of it
                is kept.
            DestinationError: it can't be written.
            FetchCancelled: it was called off.
        """
        transfer = Transfer(
            self._executor.runtime, self._timeout, progress, cancelled
        )
        return self.run(image, to, transfer)

    def stream(
        self,
        image: Image,
        *,
        spool: str | os.PathLike[str] | None = None,
        progress: Callable[[Progress], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> ImageStream:
        """The image in order, for somebody else to write.

        Args:
            image: what to download.
            spool: a folder for what is shared with others while it is
                handed on, and after that. Without it, and where the image
                does not fit in, it is read from the origin alone, and a few
                parts of it are held in memory.
            progress: told how far it is.
            cancelled: asked now and then; True calls it off.

        Raises:
            SizeUnknown: nobody says how large it is.
            TransferError: no source answers, or it takes too long.
            FetchCancelled: it was called off.
        """
        return ImageStream(
            self,
            self._executor,
            image,
            spool=None if self._swarm is None else spool,
            timeout=self._timeout,
            ahead=(self._extent, self._connections),
            progress=progress,
            cancelled=cancelled,
        )

    def run(
        self,
        image: Image,
        to: str | os.PathLike[str],
        transfer: Transfer,
    ) -> DownloadResult:
        """As :meth:`fetch`, for who has a transfer of his own."""
        runtime = self._executor.runtime
        began = runtime.monotonic()
        size = sized(image, transfer).size or 0
        with _landing(to, size, str(image.wanted)) as landing:
            transfer.landed(landing.file, lambda: landing.blocks)
            log = _Log(landing.blocks.done())
            if not log.received["disk"] and landing.is_there(image.wanted):
                landing.remove()
                log.decide("disk", "the file was there already")
            else:
                self._fetch(image, landing, transfer, log)
            if log.shared:
                landing.hand_over()
        return DownloadResult(
            path=landing.path,
            size=size,
            seconds=runtime.monotonic() - began,
            decision=log.decision,
            reason=log.reason,
            received=dict(log.received),
            peers=log.peers,
            failures=tuple(log.failures),
        )

    def _fetch(
        self,
        image: Image,
        landing: Landing | DeviceLanding,
        transfer: Transfer,
        log: _Log,
    ) -> None:
        """In the swarm if there is one, and else from the origin."""
        if image.torrent is None:
            log.decide("origin", "there is no torrent of the image")
        elif self._swarm is None:
            log.decide("origin", "there is no swarm")
        elif isinstance(landing, DeviceLanding) and not self._swarm.devices:
            why = "the swarm is not for devices, or not of libtorrent 2.1"
            log.decide("origin", why)
        else:
            try:
                self._share(self._swarm, image, landing, transfer, log)
            except (DataMismatch, SwarmError, TransferError) as error:
                if not image.sources:
                    raise
                transfer.check()
                log.fail(str(error))
                log.decide("origin", f"the swarm failed: {error}")
            else:
                return
        if not image.sources:
            raise TransferError(f"{log.reason}, and no source either")
        self._from_sources(image, landing, transfer, log)

    def _share(
        self,
        swarm: Swarm,
        image: Image,
        landing: Landing | DeviceLanding,
        transfer: Transfer,
        log: _Log,
    ) -> None:
        """Take part in the swarm of the image, and stay in it."""
        assert image.torrent is not None  # noqa: S101 - for types
        context = GateContext(
            trackers=image.torrent.trackers,
            runtime=self._executor.runtime,
            executor=self._executor,
        )
        gate = self._gate(context) if callable(self._gate) else self._gate
        member = joined(
            swarm, image.torrent, landing, image.peers, self.runtime
        )
        herd = Herd(
            self._executor,
            member,
            image.sources,
            gate,
            transfer,
            self._herd_options,
        )
        try:
            herd.run()
            landing.blocks.mark(0, landing.size)
            RunningDigest(image.wanted, landing.read, landing.blocks).finish()
            if isinstance(member, DeviceMember):
                member.complete()
            landing.commit(keep=True)
        except TransferError:
            for begin, end in herd.written():
                landing.mark(begin, end)
            member.leave()
            raise
        except DataMismatch:
            member.leave()
            landing.restart()
            raise
        except BaseException:
            member.leave()
            raise
        finally:
            log.received["origin"] += herd.feed.received
            log.received["swarm"] += herd.from_swarm
            log.peers = herd.peers
            log.failures += herd.feed.failures
            if member.bad_pieces:
                log.failures.append(
                    f"{member.bad_pieces} pieces from others were wrong"
                )
            if herd.decision is not None:
                log.decide(herd.decision.way, herd.decision.reason)
        member.seed(landing.remove)
        log.shared = True

    def _from_sources(
        self,
        image: Image,
        landing: Landing | DeviceLanding,
        transfer: Transfer,
        log: _Log,
    ) -> None:
        """Try one source after the other."""
        sources: collections.deque[Source] = collections.deque(image.sources)
        alone = False
        while True:
            before = landing.blocks.done()
            origin = open_source(
                sources[0], self.runtime, landing.size, transfer.check
            )
            try:
                self._from_origin(image, landing, origin, transfer)
            except DataMismatch as error:
                landing.restart()
                log.fail(str(error))
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
                log.fail(str(error))
                sources.popleft()
                if not sources:
                    raise TransferError("; ".join(log.failures)) from error
                transfer.check()
            else:
                return
            finally:
                origin.close()
                log.received["origin"] += origin.received

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
            lambda done: transfer.advance(done, landing.size),
            extent=self._extent,
            connections=self._connections,
        )
        running.finish()
        landing.commit()


class _Log:
    """What comes to be known of a download while it is made."""

    def __init__(self, on_disk: int) -> None:
        self.received = collections.Counter(disk=on_disk)
        self.decision = self.reason = ""
        self.peers = 0
        self.failures: list[str] = []
        self.shared = False

    def decide(self, decision: str, reason: str) -> None:
        self.decision, self.reason = decision, reason

    def fail(self, reason: str) -> None:
        self.failures.append(reason)
        _log.warning("a download goes on elsewhere: %s", reason)


def _landing(
    to: str | os.PathLike[str], size: int, key: str
) -> Landing | DeviceLanding:
    try:
        device = stat.S_ISBLK(Path(to).stat().st_mode)
    except OSError:
        device = False
    return DeviceLanding(to, size) if device else Landing(to, size, key)
