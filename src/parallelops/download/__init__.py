"""Downloading images: to one machine, or to many at the same time.

- :class:`Image` is what to download, and :class:`Downloader` does it.
- :class:`HTTPSource` is an origin: the same data at one or several URLs.
- :class:`Torrent` is what a swarm knows of an image: made by a
  :class:`TorrentWriter`, or loaded from the answer to a look-up or from the
  kernel's command line.
"""

from __future__ import annotations

from parallelops.download.downloader import Downloader
from parallelops.download.image import DownloadResult, Image, Progress
from parallelops.download.kernel import (
    torrent_from_instance_info,
    torrent_from_kernel,
    torrent_from_url,
)
from parallelops.download.source import HTTPSource, Origin, Source
from parallelops.download.torrent import Torrent, TorrentWriter

__all__ = [
    "DownloadResult",
    "Downloader",
    "HTTPSource",
    "Image",
    "Origin",
    "Progress",
    "Source",
    "Torrent",
    "TorrentWriter",
    "torrent_from_instance_info",
    "torrent_from_kernel",
    "torrent_from_url",
]
