"""Downloading images: to one machine, or to many at the same time.

- :class:`Image` is what to download, and :class:`Downloader` does it.
- :class:`HTTPSource` is an origin: the same data at one or several URLs.
"""

from __future__ import annotations

from parallelops.download.downloader import Downloader
from parallelops.download.image import DownloadResult, Image, Progress
from parallelops.download.source import HTTPSource, Origin, Source

__all__ = [
    "DownloadResult",
    "Downloader",
    "HTTPSource",
    "Image",
    "Origin",
    "Progress",
    "Source",
]
