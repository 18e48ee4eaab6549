"""Downloading images: to one machine, or to many at the same time.

- :class:`Image` is what to download, and :class:`Downloader` does it.
- :class:`HTTPSource` is an origin: the same data at one or several URLs.
- :class:`Torrent` is what a swarm knows of an image: made by a
  :class:`TorrentWriter`, or loaded from the answer to a look-up or from the
  kernel's command line.
- :class:`Swarm` shares images with others. A :class:`Gate` says who of them
  goes to the origin.
"""

from __future__ import annotations

from parallelops.download.downloader import Downloader
from parallelops.download.gate import (
    Always,
    Decision,
    Gate,
    Lease,
    Lottery,
    Never,
    Outlook,
    Rendezvous,
    View,
    decide,
)
from parallelops.download.herd import HerdOptions
from parallelops.download.image import DownloadResult, Image, Progress
from parallelops.download.kernel import (
    torrent_from_instance_info,
    torrent_from_kernel,
    torrent_from_url,
)
from parallelops.download.source import HTTPSource, Origin, Source
from parallelops.download.swarm import SeedLimits, Swarm
from parallelops.download.torrent import Torrent, TorrentWriter

__all__ = [
    "Always",
    "Decision",
    "DownloadResult",
    "Downloader",
    "Gate",
    "HTTPSource",
    "HerdOptions",
    "Image",
    "Lease",
    "Lottery",
    "Never",
    "Origin",
    "Outlook",
    "Progress",
    "Rendezvous",
    "SeedLimits",
    "Source",
    "Swarm",
    "Torrent",
    "TorrentWriter",
    "View",
    "decide",
    "torrent_from_instance_info",
    "torrent_from_kernel",
    "torrent_from_url",
]
