"""What to download, as Ironic says it: all of an image in one place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from parallelops.download.image import Image
from parallelops.download.kernel import (
    kernel_arguments,
    torrent_from_instance_info,
)
from parallelops.errors import FetchError
from parallelops.landing import Digest
from parallelops.origin import HTTPSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelops.origin import Source
    from parallelops.runtime import Runtime

__all__ = ["image_from_instance_info", "image_from_kernel"]

_URL = "image_url"
_ALGORITHM = "image_os_hash_algo"
_VALUE = "image_os_hash_value"


def image_from_instance_info(
    info: Mapping[str, Any],
    *,
    source: Callable[[Sequence[str]], Source] = HTTPSource,
    trackers: Sequence[str] = (),
    timeout: float = 30.0,
    runtime: Runtime | None = None,
) -> Image:
    """The image that the answer to Ironic's look-up names.

    Args:
        info: the answer's ``instance_info``, with ``image_os_hash_algo``
            and ``image_os_hash_value``, and with ``image_url`` or a torrent;
            see :func:`torrent_from_instance_info`. Several URLs are apart by
            blanks.
        source: makes the origin of the URLs.
        trackers: in the place of those that the torrent names.
        timeout: seconds that getting the torrent from a URL may take.
        runtime: where the clock comes from; real threads by default.

    Raises:
        FetchError: something is not there, or is not what it has to be.
        TorrentRefused: there is a torrent that must not be used.
        TransferError: the torrent can't be had, or a URL can't be used.
    """
    missing = [key for key in (_ALGORITHM, _VALUE) if not info.get(key)]
    if missing:
        raise FetchError(f"nothing says {' and '.join(missing)} of the image")
    torrent = torrent_from_instance_info(
        info, timeout=timeout, runtime=runtime
    )
    if torrent is not None and trackers:
        torrent = dataclasses.replace(torrent, trackers=tuple(trackers))
    urls = str(info.get(_URL) or "").split()
    try:
        return Image(
            digest=Digest(str(info[_ALGORITHM]), str(info[_VALUE])),
            sources=[source(urls)] if urls else [],
            torrent=torrent,
        )
    except ValueError as error:
        raise FetchError(f"the image cannot be had: {error}") from error


def image_from_kernel(command_line: str, **options: Any) -> Image:
    """The image that the kernel's command line names.

    It has ``image-url=``, ``image-os-hash-algo=`` and
    ``image-os-hash-value=``, and for an image that is shared
    ``image-torrent-url=`` and ``image-torrent-sha256=``.

    Args:
        command_line: the text of ``/proc/cmdline``.
        options: those of :func:`image_from_instance_info`.
    """
    return image_from_instance_info(kernel_arguments(command_line), **options)
