"""The image handler that shares an image with others who fetch it too.

The metadata of a location says where the torrent is, in the words of
Ironic's look-up answer: ``image_torrent_url`` with ``image_torrent_sha256``,
or the torrent itself as ``image_torrent``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops.download.downloader import Downloader
from parallelops.download.image import Image
from parallelops.download.kernel import (
    TORRENT_KEY,
    URL_KEY,
    torrent_from_instance_info,
)
from parallelops.download.plan import HerdOptions
from parallelops.download.swarm import Swarm
from parallelops.errors import DestinationBusy, FetchError, SwarmError
from parallelops.images import Handled, NotForMe, copying
from parallelops.landing import Landing
from parallelops.origin import HTTPSource, is_http

if TYPE_CHECKING:
    from parallelops.download.gate import Gate
    from parallelops.download.image import DownloadResult, Progress
    from parallelops.images import Destination, FetchContext, Selectable

__all__ = ["TorrentHandler", "share"]


class TorrentHandler:
    """A handler that takes part in a swarm which the caller keeps.

    So the images that it brought go on being given to others. Without a
    spool, the file and what others get are one: who writes to the file
    leaves the swarm first. With one the file is a copy, by sharing blocks
    where the file system does that. Groups need one, as their folder moves.

    The location itself is the origin of the swarm, if it is at an http or
    https URL. Who goes there is decided by the gate.

    Args:
        swarm: it is not closed.
        gate, herd: see :class:`~parallelops.download.Downloader`. By
            default a swarm that brings nothing for as long as a host may be
            silent is given up.
        spool: a folder for what is given to others.
    """

    def __init__(
        self,
        swarm: Swarm,
        *,
        gate: Gate | None = None,
        herd: HerdOptions | None = None,
        spool: str | os.PathLike[str] | None = None,
    ) -> None:
        self._swarm = swarm
        self._gate = gate
        self._herd = herd
        self._spool = None if spool is None else Path(spool)

    def __call__(
        self,
        location: Selectable,
        destination: Destination,
        context: FetchContext,
    ) -> Handled | NotForMe:
        """Bring the image of a location that names a torrent.

        Raises:
            TorrentRefused: the torrent must not be used.
            TransferError: neither the swarm nor the origin gave the data.
            SwarmError: the swarm broke, and there is no origin; or the
                image is shared already.
            DataMismatch: it is not the data that is wanted.
            DestinationError: it can't be written.
        """
        reason = _why_not(location, context)
        if reason:
            return NotForMe(reason)
        # It has a name of its own until the caller gives it the right one.
        folder = self._spool or destination.path.parent
        of = f"{destination.path.name} {context.wanted.digest}"
        name = hashlib.sha256(os.fsencode(of)).hexdigest()[:16]
        path = folder / f".parallelops-{name}.torrent"
        try:
            result = self._fetched(location, path, context)
        except DestinationBusy as error:
            # Others can bring it all the same.
            raise SwarmError(
                f"the image is shared already: {error}"
            ) from error
        except BaseException:
            Landing.clear(path)
            raise
        try:
            self._hand_on(path, destination, context)
        finally:
            path.unlink(missing_ok=True)
        came = sum(result.received.values()) - result.received["disk"]
        return Handled("torrent", checked=True, received=came)

    def _hand_on(
        self, path: Path, destination: Destination, context: FetchContext
    ) -> None:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if self._spool is None:
                destination.link(file)
            else:
                copying.copy(
                    file, destination.create(), lambda size: context.check()
                )
        finally:
            os.close(file)

    def _fetched(
        self, location: Selectable, path: Path, context: FetchContext
    ) -> DownloadResult:
        wanted, options = context.wanted, context.options
        assert context.executor is not None  # noqa: S101 - for types
        assert wanted.expected is not None  # noqa: S101 - for types
        torrent = torrent_from_instance_info(
            getattr(location, "metadata", {}),
            size=wanted.size,
            timeout=options.timeout,
            runtime=context.runtime,
        )
        assert torrent is not None  # noqa: S101 - for types
        wanted.check_size(torrent.size)
        sources = []
        if is_http(location.url):
            sources.append(
                HTTPSource(
                    location.url,
                    timeout=options.timeout,
                    ssl_context=options.ssl_context,
                    patient=False,
                )
            )

        def tell(progress: Progress) -> None:
            # Whether it is to go on is asked elsewhere.
            with contextlib.suppress(FetchError):
                context.advance(progress.done)

        def check() -> bool:
            context.check()
            return False

        return Downloader(
            context.executor,
            connections=options.connections,
            timeout=options.time_limit,
            swarm=self._swarm,
            gate=self._gate,
            # There are other handlers and locations to try.
            herd=self._herd or HerdOptions(patience=options.timeout),
        ).fetch(
            Image(
                digest=wanted.expected,
                torrent=torrent,
                sources=sources,
            ),
            path,
            progress=tell,
            cancelled=check,
        )


def share(
    location: Selectable, destination: Destination, context: FetchContext
) -> Handled | NotForMe:
    """As :class:`TorrentHandler`, in a swarm for this image alone.

    It listens at any free port for as long as the image takes, and gives to
    others what it has meanwhile. An agent that is to go on giving has a
    swarm, and a :class:`TorrentHandler`.

    Raises:
        MissingDependency: libtorrent is not installed.
    """
    reason = _why_not(location, context)
    if reason:
        return NotForMe(reason)
    with Swarm("0.0.0.0:0", runtime=context.runtime) as swarm:
        return TorrentHandler(swarm)(location, destination, context)


def _why_not(location: Selectable, context: FetchContext) -> str:
    """Why the image of a location is not to be shared; empty if it is."""
    metadata = getattr(location, "metadata", {})
    if URL_KEY not in metadata and TORRENT_KEY not in metadata:
        return "it names no torrent"
    if context.wanted.container != "bare":
        return "it does not open packages"
    if context.wanted.digest is None:
        return "what comes from others is not taken without a digest"
    if context.executor is None:
        return "the fetcher has no executor"
    return ""
