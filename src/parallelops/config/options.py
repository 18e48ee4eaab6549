"""The options, as oslo.config knows them."""

from __future__ import annotations

import math
from typing import Any

from oslo_config import cfg, types

__all__ = ["BACKEND", "GROUP", "OPTIONS"]

_WORDS = {int: "a whole number", float: "a number of seconds"}


class _Number(types.Number):
    """A finite number from a minimum on.

    That of oslo.config lets NaN and infinity pass, and an empty value.
    """

    def __call__(self, value: object) -> int | float:
        least = self.min or 0
        try:
            number = self.num_type(str(value))
        except ValueError:
            number = math.nan
        if not least <= number < math.inf:
            raise ValueError(
                f"{value!r} is not {_WORDS[self.num_type]}; "
                f"it must be {least} or more"
            )
        return number


class _Folders(types.Dict):
    """Names and folders; says what is wrong with a value, and with which."""

    def __call__(self, value: object) -> dict[str, str]:
        try:
            folders: dict[str, str] = super().__call__(value)
        except ValueError as error:
            raise ValueError(
                f"{value!r} is not name:folder, with commas in between"
            ) from error
        return folders


class _Folder(types.String):
    """The path of a folder, the same wherever a process was started."""

    def __call__(self, value: object) -> str:
        folder: str = super().__call__(value)
        if not folder.startswith("/"):
            raise ValueError(f"{value!r} is not a path from the root on")
        return folder


def _count(name: str, least: int, **others: Any) -> cfg.Opt:
    kind = _Number(int, "integer value", min=least)
    return cfg.Opt(name, type=kind, **others)


def _seconds(name: str, least: int = 0, **others: Any) -> cfg.Opt:
    kind = _Number(float, "floating point value", min=least)
    return cfg.Opt(name, type=kind, **others)


GROUP = "parallelops"

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
    _count(
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
    _count(
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
    _seconds(
        "idle_timeout",
        sample_default="60",
        help="""
Seconds after which a worker that has nothing to do ends.

When there is work again, another one is started.

Possible values:

* A number of seconds, 0 or more.
""",
    ),
    _seconds(
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

_SCRUB = [
    cfg.StrOpt(
        "scrub_catalog",
        regex=".+",
        help="""
The catalogue of images that the command parallelops scrub works on.

Possible values:

* The path of an SQLite file.
""",
    ),
    cfg.Opt(
        "scrub_stores",
        type=_Folders(),
        default={},
        sample_default="fast:/srv/fast,slow:/srv/slow",
        help="""
The stores that the command parallelops scrub deletes from.

Possible values:

* Names and folders, as ``name:folder`` with commas in between. The
  names are those that the catalogue has for its locations.
""",
    ),
    _count(
        "scrub_pool_size",
        least=1,
        default=1,
        help="""
How many images are scrubbed at the same time.

This one option chooses between a serial and a parallel scrub, and
sets the degree. Whatever it is, the locations of one image are
deleted one after the other.

WARNING: Many stores limit the rate of requests, and count those of
all their clients together. The more images are scrubbed at the same
time, the more requests a second a store gets. One that is pushed
past its limit refuses or delays deletes, and the uploads and
downloads of users as well. Learn the limits of each store, start
low, and raise this step by step.

Possible values:

* 1: images are scrubbed one after the other, without more threads.
* A whole number above 1: that many images at the same time.

Related options:

* ``executor`` says what scrubs in parallel. It must not be
  ``serial`` when this is above 1.
""",
    ),
    _seconds(
        "scrub_time",
        default=0,
        help="""
Seconds for which a deleted image waits in ``pending_delete``.

For so long it can be restored; after that its data is deleted.

Possible values:

* A number of seconds, 0 or more. With 0 the next scrub takes it.
""",
    ),
    _seconds(
        "scrub_delete_timeout",
        least=1,
        default=300,
        help="""
Seconds after which the delete of one location counts as hung.

The scrubber reports it as failed and no longer waits for it. Set it
well above what the slowest store takes for its largest image.

Possible values:

* A number of seconds, 1 or more.
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
* The names of plug-ins that are installed, in the namespace
  ``parallelops.image_handlers``.

Related options:

* ``image_folders``
""",
    ),
    cfg.ListOpt(
        "image_folders",
        item_type=_Folder(),
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

OPTIONS = [_EXECUTOR, *BACKEND, *_SCRUB, *_LOCATIONS]
