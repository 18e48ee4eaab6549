"""Errors of downloads that share images with others."""

from __future__ import annotations

from parallelops.errors.images import FetchError, TransferError

__all__ = ["CertificateRefused", "SizeUnknown", "SwarmError", "TorrentRefused"]


class TorrentRefused(FetchError):
    """Torrent metadata is hostile, damaged or of a kind that is not taken.

    Attributes:
        field: what of it is at fault, as "info.pieces".
        reason: what is wrong.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"the torrent is refused: {field}: {reason}")
        self.field = field
        self.reason = reason


class SizeUnknown(TransferError):
    """Nobody says how large an image is."""


class SwarmError(FetchError):
    """A swarm cannot be joined, or has stopped working."""


class CertificateRefused(SwarmError):
    """A file for TLS between peers cannot be used.

    Attributes:
        path: the file.
        reason: what is wrong, and what it has to be; nothing of what is in
            it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be used for TLS: {reason}")
        self.path = path
        self.reason = reason
