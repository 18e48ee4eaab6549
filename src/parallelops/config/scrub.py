"""The options for scrubbing images, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from parallelops.config.kinds import (
    GROUP,
    Folders,
    Numbers,
    count,
    seconds,
)
from parallelops.errors import ConfigError
from parallelops.plugins import near_match
from parallelops.ratelimit import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelops.images import StorePolicy
    from parallelops.runtime import Runtime

__all__ = ["SCRUB", "policies"]

# Lines of help are no longer than 68, so that the sample keeps them.
SCRUB = [
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
    cfg.StrOpt(
        "scrub_limits_file",
        regex=".+",
        sample_default="/var/lib/parallelops/limits.json",
        help="""
Where a scrubber keeps the rates that it found stores to take.

The next process begins with them, and the stores need not refuse
deletes to be found out anew. It is written every few seconds, for
the case of a crash. Without it, they are forgotten when the process
ends. A file that is damaged is renamed, and nothing is lost but a
few refusals.

Possible values:

* The path of a file, in a directory that this process may write.
  Two processes do not share one.

Related options:

* ``scrub_rates``: what is set there need not be found.
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


def policies(
    values: Mapping[str, Any], stores: Iterable[str], runtime: Runtime
) -> dict[str, StorePolicy]:
    """A policy for each store; see ``scrub_policies_from``."""
    from parallelops.images import StorePolicy

    names = list(stores)
    for option in ("scrub_rates", "scrub_max_in_flight"):
        for name in values[option].keys() - {*names, "*"}:
            raise ConfigError(
                f"[{GROUP}] {option}",
                f"there is no store {name!r}{near_match(name, names)}",
            )

    def of(option: str, store: str) -> Any:
        return values[option].get(store, values[option].get("*"))

    found = {}
    for store in names:
        rate = of("scrub_rates", store)
        found[store] = StorePolicy(
            limiter=rate and RateLimiter(rate, runtime=runtime),
            max_in_flight=of("scrub_max_in_flight", store),
        )
    return found
