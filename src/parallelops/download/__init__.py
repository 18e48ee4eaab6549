"""Downloading images: to one machine, or to many at the same time.

- :class:`Image` is what to download, and :class:`Downloader` does it. An
  :class:`ImageStream` is an image that comes in order, for others to write.
- :class:`HTTPSource` is an origin: the same data at one or several URLs.
- :class:`Torrent` is what a swarm knows of an image: made by a
  :class:`TorrentWriter`, or loaded from the answer to a look-up or from the
  kernel's command line.
- :class:`Swarm` shares images with others. A :class:`Gate` says who of them
  goes to the origin.
- :class:`Tracker` tells those who share of each other.
"""

from __future__ import annotations

from parallelops.download.asking import lease_client, scrape
from parallelops.download.downloader import Downloader
from parallelops.download.gate import (
    Always,
    Decision,
    Gate,
    Lottery,
    Nearby,
    Never,
    Outlook,
    Pass,
    Rendezvous,
    View,
    decide,
)
from parallelops.download.gates import GateContext, load_gate
from parallelops.download.image import DownloadResult, Image, Progress
from parallelops.download.kernel import (
    torrent_from_instance_info,
    torrent_from_kernel,
    torrent_from_url,
)
from parallelops.download.lease import Grant, Lease
from parallelops.download.lookup import (
    image_from_instance_info,
    image_from_kernel,
)
from parallelops.download.member import SeedLimits
from parallelops.download.plan import HerdOptions
from parallelops.download.register import Register
from parallelops.download.stream import ImageStream
from parallelops.download.swarm import Swarm
from parallelops.download.tls import PeerTLS
from parallelops.download.torrent import Torrent, TorrentWriter
from parallelops.download.tracker import Tracker
from parallelops.origin import HTTPSource, Origin, Source

__all__ = [
    "Always",
    "Decision",
    "DownloadResult",
    "Downloader",
    "Gate",
    "GateContext",
    "Grant",
    "HTTPSource",
    "HerdOptions",
    "Image",
    "ImageStream",
    "Lease",
    "Lottery",
    "Nearby",
    "Never",
    "Origin",
    "Outlook",
    "Pass",
    "PeerTLS",
    "Progress",
    "Register",
    "Rendezvous",
    "SeedLimits",
    "Source",
    "Swarm",
    "Torrent",
    "TorrentWriter",
    "Tracker",
    "View",
    "decide",
    "image_from_instance_info",
    "image_from_kernel",
    "lease_client",
    "load_gate",
    "scrape",
    "torrent_from_instance_info",
    "torrent_from_kernel",
    "torrent_from_url",
]
