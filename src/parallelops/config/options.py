"""The options, as oslo.config knows them."""

from __future__ import annotations

from oslo_config import cfg

from parallelops.config.kinds import GROUP, Folder, count, seconds
from parallelops.config.scrub import SCRUB

__all__ = ["BACKEND", "GROUP", "OPTIONS"]

# Lines of help are no longer than 68, so that the sample keeps them.
_EXECUTOR = cfg.StrOpt(
    "executor",
    default="thread",
    help="""
What runs tasks.

Possible values:

* ``serial``: nothing is done at the same time; whoever submits a
  task runs it.
* ``thread``: threads of the operating system.
* ``greenthread``: green threads, for a service that eventlet has
  monkey-patched. It needs the extra ``parallelops[greenthread]``.
* The name of a plug-in that is installed. The command
  ``parallelops executors`` lists them.

Related options:

* ``max_workers``
""",
)

# None leaves each of these to the backend: another one may not take them.
BACKEND = [
    count(
        "max_workers",
        least=1,
        help="""
How many tasks may run at the same time.

When it is not set, the backend chooses: ``thread`` the number of
processors and four more, but 32 at the most, and ``greenthread``
1000. ``serial`` ignores it.

Possible values:

* A whole number, 1 or more.

Related options:

* ``max_queue``
* ``scrub_pool_size`` takes its place when images are scrubbed.
""",
    ),
    count(
        "max_queue",
        least=0,
        sample_default="1000",
        help="""
How many more tasks may wait for a worker.

When that many wait already, ``on_saturation`` says what happens to
the next one. ``serial`` ignores it, since nothing waits there.

Possible values:

* A whole number, 0 or more. With 0 a task is accepted only when a
  worker is free for it.

Related options:

* ``max_workers``
* ``on_saturation``
""",
    ),
    cfg.StrOpt(
        "on_saturation",
        choices=[
            ("block", "The submitter waits until there is room."),
            ("reject", "The submitter gets an error; the task never runs."),
            ("caller_runs", "The submitter runs the task itself."),
        ],
        sample_default="block",
        help="""
What happens to a task for which there is no room.

Related options:

* ``max_queue``
""",
    ),
    seconds(
        "idle_timeout",
        sample_default="60",
        help="""
Seconds after which a worker that has nothing to do ends.

When there is work again, another one is started.

Possible values:

* A number of seconds, 0 or more.
""",
    ),
    seconds(
        "exit_timeout",
        sample_default="60",
        help="""
Seconds that a process which ends waits for tasks it has accepted.

Those that still run then are named in the log, and end with it.

Possible values:

* A number of seconds, 0 or more.
""",
    ),
]

_LOCATIONS = [
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
* ``torrent``: shares it with others who fetch it as well, where the
  metadata of the location names a torrent. It listens at a port
  meanwhile. It belongs before ``http``.
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

OPTIONS = [_EXECUTOR, *BACKEND, *SCRUB, *_LOCATIONS]
