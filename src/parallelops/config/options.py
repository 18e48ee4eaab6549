"""The options, as oslo.config knows them."""

from __future__ import annotations

from oslo_config import cfg

from parallelops.config.kinds import Folders, Numbers, count, seconds
from parallelops.config.locations import LOCATIONS

__all__ = ["BACKEND", "GROUP", "OPTIONS"]

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
        type=Folders(),
        default={},
        sample_default="fast:/srv/fast,slow:/srv/slow",
        help="""
The stores that the command parallelops scrub deletes from.

Possible values:

* Names and folders, as ``name:folder`` with commas in between. The
  names are those that the catalogue has for its locations.
""",
    ),
    count(
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
    seconds(
        "scrub_time",
        default=0,
        help="""
Seconds for which a deleted image waits in ``pending_delete``.

For so long it can be restored; after that its data is deleted.

Possible values:

* A number of seconds, 0 or more. With 0 the next scrub takes it.
""",
    ),
    seconds(
        "scrub_delete_timeout",
        least=1,
        default=300,
        help="""
Seconds after which the delete of one location counts as hung.

The scrubber reports it as unknown and no longer waits for it. Set
it well above what the slowest store takes for its largest image.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    cfg.Opt(
        "scrub_rates",
        type=Numbers(float),
        default={},
        sample_default="fast:50,slow:2.5",
        help="""
How many deletes a second a store gets at the most.

A store that is not named gets as many as the workers can make. When
it says that this is too many, with a status of 429 or 503, or 498
where it is Swift, the scrubber slows down and finds out how many it
takes.

WARNING: The limit is for this process. Several scrubbers that share
a store add up: give each its part.

Possible values:

* Names and rates, as ``name:rate`` with commas in between. The name
  ``*`` is for each store that is not named.

Related options:

* ``scrub_max_in_flight``
* ``scrub_pool_size``
""",
    ),
    cfg.Opt(
        "scrub_max_in_flight",
        type=Numbers(int),
        default={},
        sample_default="slow:4",
        help="""
How many deletes a store gets at the same time, at the most.

A store that is not named gets as many as there are workers, when
no other store has work.

Possible values:

* Names and whole numbers, as ``name:number`` with commas in
  between. The name ``*`` is for each store that is not named.

Related options:

* ``scrub_rates``
* ``scrub_pool_size``
""",
    ),
    seconds(
        "scrub_interval",
        least=1,
        default=300,
        help="""
Seconds from one wake-up of a scrubber daemon to the next.

It is ``wakeup_time`` in Glance. Runs do not overlap: after a run
that took longer, the next multiple of the interval is the time.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
    seconds(
        "scrub_drain",
        default=30,
        help="""
Seconds to wait for deletes that are under way, when told to stop.

What has not ended by then is reported as unknown, and the next run
tries again.

Possible values:

* A number of seconds, 0 or more.
""",
    ),
    seconds(
        "scrub_lease",
        least=1,
        default=60,
        help="""
Seconds after which other scrubbers take over what a dead one had.

A scrubber that lives says so three times in that time.

Possible values:

* A number of seconds, 1 or more.
""",
    ),
]

OPTIONS = [_EXECUTOR, *BACKEND, *_SCRUB, *LOCATIONS]
