"""What Ironic's agent iterates over to have an image."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.download import (
    Image,
    torrent_from_instance_info,
    torrent_from_kernel,
)
from parallelops.errors import (
    DataMismatch,
    MissingDependency,
    ParallelopsError,
    SizeUnknown,
    TorrentRefused,
    TransferError,
)
from parallelops.integrations.ironic.agentlog import Redacted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from parallelops.download import Downloader, ImageStream, Torrent
    from parallelops.runtime import Runtime

__all__ = ["AgentDownload", "AgentDownloads"]

_log = logging.getLogger(__name__)

_COMMAND_LINE = Path("/proc/cmdline")


class AgentDownloads:
    """Stands where the agent has its class ``ImageDownload``.

    What it can't do is left to that class: an image of which nobody says
    the size, or with a digest that is not trusted any more, such as md5.

    Args:
        downloader: downloads. Its executor has to be there as long as this
            is used.
        spool: a folder for what is shared with others; see
            :meth:`~parallelops.download.Downloader.stream`.
        trackers: in the place of those that torrents name.
        command_line: the kernel's arguments; by default those of this
            machine.
        owned: what is closed by :meth:`remove`.

    Raises:
        MissingDependency: ironic-python-agent is not installed.
    """

    def __init__(
        self,
        downloader: Downloader,
        *,
        spool: str | os.PathLike[str] | None = None,
        trackers: Sequence[str] = (),
        command_line: str | None = None,
        owned: contextlib.ExitStack | None = None,
    ) -> None:
        try:
            from parallelops.integrations.ironic import agent
        except ImportError as error:
            raise MissingDependency(
                "downloading in Ironic's agent",
                "ironic-python-agent",
                "ironic",
            ) from error
        self._agent = agent
        self._own = agent.standby.ImageDownload
        self._log = Redacted()
        self._downloader = downloader
        self._runtime = downloader.runtime
        self._spool = spool
        self._trackers = tuple(trackers)
        self._command_line = command_line
        self._owned = owned or contextlib.ExitStack()
        # Of torrents that were of another image than they were said to be.
        self._refuted: set[bytes] = set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """In the ``with`` block, the agent uses this."""
        self.install()
        try:
            yield
        finally:
            self.remove()

    def install(self) -> None:
        """The agent uses this from now on, and logs no secrets of URLs."""
        self._log.install()
        self._agent.standby.ImageDownload = self

    def remove(self) -> None:
        """The agent uses its own again."""
        self._log.remove()
        self._agent.standby.ImageDownload = self._own
        self._owned.close()

    def __call__(
        self, image_info: Mapping[str, Any], time_obj: float | None = None
    ) -> Any:
        """Begin a download, as making an ``ImageDownload`` does.

        Args:
            image_info: what Ironic says of the image.
            time_obj: when the agent began, in seconds since the epoch.

        Raises:
            ImageDownloadError: that of the agent: it can't be had.
        """
        began = self._runtime.time() if time_obj is None else time_obj
        try:
            image = Image(
                digest=self._agent.digest_of(image_info),
                sources=self._agent.sources_of(image_info),
                torrent=self._torrent(image_info),
            )
            stream = self._downloader.stream(image, spool=self._spool)
        except self._agent.LeftToAgent as left:
            return self._leave(left.image_info, left.reason, time_obj)
        except SizeUnknown as error:
            return self._leave(image_info, str(error), time_obj)
        except ParallelopsError as error:
            raise self._agent.errors.ImageDownloadError(
                image_info["id"], str(error)
            ) from error
        return AgentDownload(
            self._agent,
            stream,
            image_info["id"],
            began,
            self._runtime,
            self._refute,
        )

    def _leave(
        self,
        image_info: Mapping[str, Any],
        reason: str,
        time_obj: float | None,
    ) -> Any:
        said = "image %s is left to the agent: %s"
        _log.info(said, image_info["id"], reason)
        return self._own(image_info, time_obj=time_obj)

    def _torrent(self, image_info: Mapping[str, Any]) -> Torrent | None:
        """The torrent of the image, if there is one that can be used."""
        if self._spool is None or not self._downloader.shares:
            return None
        known = {**self._agent.known_of_the_node(), **image_info}
        runtime = self._runtime
        try:
            torrent = torrent_from_instance_info(known, runtime=runtime)
            if torrent is None:
                line = self._command_line
                if line is None:
                    line = _COMMAND_LINE.read_text()
                torrent = torrent_from_kernel(line, runtime=runtime)
        except (OSError, TorrentRefused, TransferError) as error:
            _log.warning("image %s is not shared: %s", known["id"], error)
            return None
        if torrent is None or torrent.info_hash in self._refuted:
            return None
        if self._trackers:
            torrent = dataclasses.replace(torrent, trackers=self._trackers)
        return torrent

    def _refute(self, image: Image) -> None:
        if image.torrent is not None:
            self._refuted.add(image.torrent.info_hash)


class AgentDownload:
    """An image on its way, with the face of the agent's ``ImageDownload``.

    :class:`AgentDownloads` makes them. What fails is raised as the agent's
    errors, so that it tries again, or gives up, as it does with its own.
    """

    def __init__(
        self,
        agent: Any,
        stream: ImageStream,
        image_id: str,
        began: float,
        runtime: Runtime,
        refute: Callable[[Image], None],
    ) -> None:
        self._agent = agent
        self._stream = stream
        self._id = image_id
        self._began = began
        self._runtime = runtime
        self._refute = refute

    def __iter__(self) -> Iterator[bytes]:
        """The data, in order.

        Raises:
            ImageDownloadError: that of the agent.
            ImageDownloadTimeoutError: that of the agent.
        """
        errors, most = self._agent.errors, self._longest()
        chunks = iter(self._stream)
        try:
            for data in chunks:
                if most and self._runtime.time() - self._began > most:
                    raise errors.ImageDownloadTimeoutError(
                        self._id,
                        f"Download exceeded max allowed time ({most} seconds)",
                    )
                yield data
        except ParallelopsError as error:
            if isinstance(error, DataMismatch):
                self._refute(self._stream.image)
            raise errors.ImageDownloadError(self._id, str(error)) from error

    def verify_image(self, image_location: str) -> None:
        """See that what came is what was asked for.

        Raises:
            ImageChecksumError: that of the agent.
        """
        try:
            self._stream.verify_image(image_location)
        except DataMismatch as error:
            self._refute(self._stream.image)
            raise self._agent.errors.ImageChecksumError(
                image_location, self._id, error.expected, error.actual
            ) from error

    @property
    def bytes_transferred(self) -> int:
        """How many bytes were handed on."""
        return self._stream.bytes_transferred

    @property
    def content_length(self) -> int:
        """How many there are in all."""
        return self._stream.content_length

    def _longest(self) -> int:
        most: int = self._agent.CONF.image_download_max_duration
        return most
