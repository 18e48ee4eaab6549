"""The options for reading images."""

from __future__ import annotations

from oslo_config import cfg

from parallelops.config.kinds import Folder

__all__ = ["LOCATIONS"]

LOCATIONS = [
    cfg.ListOpt(
        "location_strategies",
        default=["location_order"],
        help="""
In which order the locations of an image are tried.

Each strategy decides among those that are equal to the ones before
it. So ``store_preference,weight,random`` prefers a store, there the
greatest weight, and of equal weights any.

Possible values, with commas in between:

* ``location_order``: as they come.
* ``store_preference``: as ``location_stores`` has their stores.
* ``weight``: the greatest weight first, the same on every node.
* ``node_weight``: the greatest weight for this node first.
* ``random``: any order.
* ``measured``: by how fast each was from here. Every one is tried
  now and then, to learn whether it has changed.
* The names of plug-ins that are installed, in the namespace
  ``parallelops.location_strategies``.

Related options:

* ``location_stores``
* ``location_metrics_file``
* ``node_name``
""",
    ),
    cfg.ListOpt(
        "location_stores",
        default=[],
        sample_default=["fast", "slow"],
        help="""
The stores to read from, the preferred one first.

Those that are not named come last. It counts when
``location_strategies`` has ``store_preference``.

Possible values:

* Names of stores, with commas in between.
""",
    ),
    cfg.StrOpt(
        "node_name",
        regex=".+",
        sample_default="<the name of this host>",
        help="""
The name of this node, by which weights for single nodes are found.

When it is not set, it is the name that the host has.
""",
    ),
    cfg.StrOpt(
        "location_metrics_file",
        regex=".+",
        sample_default="/var/lib/parallelops/metrics.json",
        help="""
Where this node keeps how fast it could read from where.

When it is not set, that is forgotten when the process ends. A file
that is damaged is renamed, and learning begins anew.

Possible values:

* The path of a file, in a directory that this process may write.
  Two processes do not share one.
""",
    ),
    cfg.ListOpt(
        "image_handlers",
        default=["ova", "file", "http"],
        help="""
How the data of an image is got from a location, the cheapest first.

Possible values, with commas in between:

* ``ova``: takes the disk out of a package, from a file or a host.
* ``file``: copies a file, or shares its blocks.
* ``http``: gets it from a host, over http or https.
* The names of plug-ins that are installed, in the namespace
  ``parallelops.image_handlers``.

Related options:

* ``image_folders``
""",
    ),
    cfg.ListOpt(
        "image_folders",
        item_type=Folder(),
        default=[],
        sample_default=["/srv/images"],
        help="""
The folders that files of images may be read from.

A location is a URL that a user may have chosen. What is not in one
of these folders is not read, whatever a ``file://`` URL says. When
none is set, no file is read.

Possible values:

* Paths of folders, from the root on, with commas in between.
""",
    ),
]
