"""Where an agent learns of a torrent: the look-up answer, or its kernel.

Ironic's answer has room for the torrent itself. The kernel's command line
has room for a URL and a digest of it.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from typing import TYPE_CHECKING, Any

from parallelops.download.torrent import LARGEST_TORRENT, Torrent
from parallelops.errors import TorrentRefused, TransferError
from parallelops.landing import Digest
from parallelops.origin import HTTPSource
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelops.runtime import Runtime

__all__ = [
    "DIGEST_KEY",
    "TORRENT_KEY",
    "URL_KEY",
    "kernel_arguments",
    "torrent_from_instance_info",
    "torrent_from_kernel",
    "torrent_from_url",
]

TORRENT_KEY = "image_torrent"
"""In ``instance_info``: the torrent in base64."""

URL_KEY = "image_torrent_url"
"""In ``instance_info``, and with hyphens for the kernel's arguments: where
the torrent is."""

DIGEST_KEY = "image_torrent_sha256"
"""The same, for the sha256 of the torrent."""

_PREFIX = "image_"
_LONGEST_LINE = 1 << 16


def torrent_from_instance_info(
    info: Mapping[str, Any],
    *,
    size: int | None = None,
    timeout: float = 30.0,
    runtime: Runtime | None = None,
) -> Torrent | None:
    """The torrent that comes with the answer to Ironic's look-up.

    Args:
        info: the answer's ``instance_info``. It has the torrent itself, or
            its URL and sha256; with the torrent, the sha256 may be there.
        size: bytes that the image must have.
        timeout: seconds that getting it from a URL may take.
        runtime: where the clock comes from; real threads by default.

    Returns:
        None if there is none.

    Raises:
        TorrentRefused: there is one that must not be used.
        TransferError: it can't be had from its URL.
    """
    digest = info.get(DIGEST_KEY)
    text = info.get(TORRENT_KEY)
    if text is None:
        return _from_url(info.get(URL_KEY), digest, size, timeout, runtime)
    if not isinstance(text, str) or len(text) > 2 * LARGEST_TORRENT:
        raise TorrentRefused(TORRENT_KEY, "it is no text, or too long")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise TorrentRefused(TORRENT_KEY, "it is not in base64") from error
    if digest is not None:
        _check(data, _digest(digest))
    return Torrent.load(data, size=size)


def torrent_from_kernel(
    command_line: str,
    *,
    size: int | None = None,
    timeout: float = 30.0,
    runtime: Runtime | None = None,
) -> Torrent | None:
    """The torrent that the kernel's command line names.

    It has ``image-torrent-url=https://...`` and
    ``image-torrent-sha256=...``. See :func:`torrent_from_instance_info`.

    Args:
        command_line: the text of ``/proc/cmdline``.
    """
    found = kernel_arguments(command_line)
    return _from_url(
        found.get(URL_KEY), found.get(DIGEST_KEY), size, timeout, runtime
    )


def kernel_arguments(command_line: str) -> dict[str, str]:
    """What a kernel's command line says of an image.

    Returns:
        Values by name, with low lines in the place of hyphens.

    Raises:
        TorrentRefused: it can't be understood, or says two things.
    """
    if len(command_line) > _LONGEST_LINE:
        raise TorrentRefused("the kernel's command line", "it is too long")
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise TorrentRefused(
            "the kernel's command line", "a quotation has no end"
        ) from error
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        key = name.replace("-", "_")
        if (
            equals
            and key.startswith(_PREFIX)
            and found.setdefault(key, value) != value
        ):
            raise TorrentRefused(name, "it is there twice, and differs")
    return found


def torrent_from_url(
    url: str,
    sha256: str,
    *,
    size: int | None = None,
    timeout: float = 30.0,
    runtime: Runtime | None = None,
) -> Torrent:
    """The torrent at a URL, if it is the one that is meant.

    Args:
        url: where it is.
        sha256: what its bytes have to come to, in hexadecimal digits.

    Raises:
        TorrentRefused: it is another one, or must not be used.
        TransferError: it can't be had.
    """
    digest = _digest(sha256)
    runtime = runtime or ThreadRuntime()
    end = runtime.monotonic() + timeout
    try:
        source = HTTPSource(url, timeout=timeout)
    except TransferError as error:
        raise TorrentRefused(URL_KEY, str(error)) from error
    origin = source.open(runtime, None)
    data = bytearray()
    try:
        length = origin.size()
        if length > LARGEST_TORRENT:
            raise TorrentRefused("its length", f"{length} bytes")
        for _, piece in origin.stream(0, length):
            data += piece
            if runtime.monotonic() > end:
                raise TransferError(
                    f"the torrent takes more than {timeout:g} seconds"
                )
    finally:
        origin.close()
    _check(bytes(data), digest)
    return Torrent.load(bytes(data), size=size)


def _from_url(
    url: object,
    digest: object,
    size: int | None,
    timeout: float,
    runtime: Runtime | None,
) -> Torrent | None:
    if url is None:
        return None
    if not isinstance(url, str) or not isinstance(digest, str):
        raise TorrentRefused(
            URL_KEY, f"it has to be a URL, with {DIGEST_KEY} beside it"
        )
    return torrent_from_url(
        url, digest, size=size, timeout=timeout, runtime=runtime
    )


def _digest(text: object) -> Digest:
    try:
        return Digest("sha256", str(text))
    except ValueError as error:
        raise TorrentRefused(DIGEST_KEY, "it is no sha256") from error


def _check(data: bytes, digest: Digest) -> None:
    made = digest.new_hash()
    made.update(data)
    if made.hexdigest() != digest.value:
        raise TorrentRefused("its sha256", "it is another one than is meant")
