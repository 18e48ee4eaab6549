"""The options for downloading images."""

from __future__ import annotations

from oslo_config import cfg

from parallelops.config.kinds import (
    Address,
    Endpoint,
    Folder,
    Network,
    Tracker,
    count,
    number,
    seconds,
)

__all__ = ["DOWNLOAD"]


# Lines of help are no longer than 68, so that the sample keeps them.
DOWNLOAD = [
    cfg.BoolOpt(
        "download_in_agent",
        default=False,
        help="""
Whether Ironic's agent downloads its images with this library.

The agent finds it by itself where it is installed beside it. What
can't be had this way is left to the agent: images of which nobody
says the size, or with a digest that is not trusted any more.
""",
    ),
    cfg.Opt(
        "download_spool",
        type=Folder(),
        sample_default="/tmp",  # noqa: S108 - all that an agent has
        help="""
The folder for images that Ironic's agent shares with others.

It has to have room for an image as a whole, for as long as it is
shared. Where it has not, or is not set, nothing is shared, and the
image is read from the origin.

Possible values:

* A path from the root on. The folder must be there, and writable.
""",
    ),
    count(
        "download_connections",
        least=1,
        default=4,
        help="""
How many parts of an image are read from the origin at a time.

It is for an image that is not shared. Of one that is, an agent
reads one part at a time.

Possible values:

* A whole number, 1 or more.
""",
    ),
    seconds(
        "download_timeout",
        least=1,
        default=21600,
        help="""
Seconds that one download may take.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    seconds(
        "download_origin_timeout",
        least=1,
        default=30,
        help="""
Seconds that the origin may be silent, before another one is asked.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    cfg.Opt(
        "download_listen",
        type=Endpoint(),
        default="0.0.0.0:6881",
        help="""
Where to listen for others who want the same images.

Possible values:

* An address of this machine and a port, as ``address:port``. With
  port 0 it is any that is free.
""",
    ),
    cfg.Opt(
        "download_ip",
        type=Address(),
        sample_default="10.0.0.5",
        help="""
Where others find this machine, if it has several addresses.

It listens there, at the port of ``download_listen``, and calls the
others and the trackers from there. Without it, the system chooses.

Possible values:

* An address of this machine.

Related options:

* ``download_listen``
""",
    ),
    cfg.ListOpt(
        "download_networks",
        item_type=Network(),
        default=[],
        sample_default=["10.0.0.0/8"],
        help="""
The networks of those with whom images are shared.

Without any it is everybody.

Possible values:

* Networks, as ``address/bits``, with commas in between.
""",
    ),
    cfg.StrOpt(
        "download_tls_ca",
        regex=".+",
        sample_default="/etc/parallelops/ca.pem",
        help="""
The CA of those with whom images are shared.

With it, peers talk by TLS, and to nobody whose certificate it has
not signed itself. If an intermediate signs them, it is that one.

Possible values:

* The path of a file with one certificate, in PEM.

Related options:

* ``download_tls_certificate``
* ``download_tls_key``
""",
    ),
    cfg.StrOpt(
        "download_tls_certificate",
        regex=".+",
        sample_default="/etc/parallelops/peer.pem",
        help="""
The certificate that is shown to those with whom images are shared.

It has to be for the name ``parallelops``. It is read anew for each
image.

Possible values:

* The path of a file with that certificate first, in PEM.

Related options:

* ``download_tls_ca``
* ``download_tls_key``
""",
    ),
    cfg.StrOpt(
        "download_tls_key",
        regex=".+",
        sample_default="/etc/parallelops/peer.key",
        help="""
The private key of that certificate.

Possible values:

* The path of a file with one key, in PEM, without a passphrase.

Related options:

* ``download_tls_ca``
* ``download_tls_certificate``
""",
    ),
    cfg.ListOpt(
        "download_trackers",
        item_type=Tracker(),
        default=[],
        sample_default=["http://10.0.0.1:6969/announce"],
        help="""
The trackers to ask for others, in the place of a torrent's own.

Possible values:

* URLs, the best first, with commas in between.
""",
    ),
    cfg.StrOpt(
        "download_rack",
        regex=".+",
        sample_default="r12",
        help="""
What machines have in common that share a switch.

A tracker tells them of each other, and of few of other racks.
Without a name, a rack is a network: a /24, or a /64 of IPv6.

Possible values:

* Any name.
""",
    ),
    cfg.BoolOpt(
        "download_local_discovery",
        default=False,
        help="""
Whether others are looked for in the local network.

It works for torrents that are not private.
""",
    ),
    cfg.StrOpt(
        "download_gate",
        default="auto",
        help="""
Who of those who share an image goes to the origin.

Possible values:

* ``auto``: as ``lease`` if there is a tracker. While it does not
  answer, or has no leases, as ``rendezvous`` for those who see most
  of the others, and as ``lottery`` for the rest.
* ``rendezvous``: some, on whom those agree who see each other.
* ``lease``: those to whom the tracker gives a lease. Where there is
  no tracker, nothing is shared.
* ``lottery``: each draws a lot.
* ``always``: all. It is for an origin that is much faster.
* ``never``: nobody, unless nothing comes any more.
* The name of a plug-in that is installed.

Related options:

* ``download_fetchers``
* ``download_trackers``
""",
    ),
    count(
        "download_fetchers",
        least=1,
        default=8,
        help="""
How many go to the origin at the same time.

Possible values:

* A whole number, 1 or more.

Related options:

* ``download_gate``
""",
    ),
    seconds(
        "download_grace",
        default=0.5,
        help="""
Seconds to find others in, before anything is read from the origin.

It takes up to three times as long, and ends early once there are
some.

Possible values:

* A number of seconds, 0 or more.
""",
    ),
    seconds(
        "download_stall",
        least=1,
        default=8,
        help="""
Seconds in which nothing comes from others, before one who may not
go to the origin goes all the same.

It takes up to twice as long, so that not all go at once.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    seconds(
        "download_patience",
        least=1,
        default=300,
        help="""
Seconds in which nothing comes at all, before sharing is given up.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    count(
        "download_upload_limit",
        least=0,
        default=0,
        help="""
Bytes a second that are sent to others; 0 is without limit.

Possible values:

* A whole number, 0 or more.
""",
    ),
    seconds(
        "download_seed_time",
        default=3600,
        help="""
Seconds for which an image is given to others that is complete.

Possible values:

* A number of seconds, 0 or more.

Related options:

* ``download_seed_ratio``
* ``download_seed_idle``
""",
    ),
    number(
        "download_seed_ratio",
        sample_default="3",
        help="""
How many times its size of an image is given to others.

Without it there is no such limit.

Possible values:

* A number, 0 or more.

Related options:

* ``download_seed_time``
""",
    ),
    seconds(
        "download_seed_idle",
        default=600,
        help="""
Seconds without anybody who wants it, before an image is no longer
given to others.

Possible values:

* A number of seconds, 0 or more.

Related options:

* ``download_seed_time``
""",
    ),
    count(
        "download_seed_free_memory",
        least=0,
        default=0,
        help="""
Bytes of memory that the machine has to spare. With less, images are
no longer given to others.

Possible values:

* A whole number, 0 or more.

Related options:

* ``download_seed_time``
""",
    ),
]
