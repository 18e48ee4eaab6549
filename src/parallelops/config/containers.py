"""The options for container operations, and what is made of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from parallelops.config.kinds import GROUP, count
from parallelops.errors import ConfigError
from parallelops.plugins import load_executor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelops.containers import ContainerOperations

__all__ = ["CONTAINERS", "running"]

CONTAINERS = [
    count(
        "executor_threadpool_size",
        least=1,
        default=64,
        help="""
How many operations on containers are done at the same time.

Those of one container are done one after the other, in the order in
which they were requested.

Possible values:

* A whole number, 1 or more.

Related options:

* ``executor`` says what does them. With ``serial`` each request
  does its operation itself.
""",
    ),
    cfg.StrOpt(
        "container_journal",
        regex=".+",
        sample_default="/var/lib/magnum/operations.sqlite",
        help="""
The file that operations on containers are kept in.

It is made if there is none. It must be on a local disk, and each
conductor needs one of its own.

Possible values:

* A path. Its directory must be there, and writable.
""",
    ),
    count(
        "container_max_pending",
        least=1,
        default=10_000,
        help="""
How many operations on containers may wait or run at once.

Possible values:

* A whole number, 1 or more.

Related options:

* ``container_max_pending_each``
* ``container_on_full``
""",
    ),
    count(
        "container_max_pending_each",
        least=1,
        default=100,
        help="""
How many operations of one container may wait or run at once.

It keeps a container that gets more requests than it can take from
filling the line for all others.

Possible values:

* A whole number, 1 or more.

Related options:

* ``container_max_pending``
* ``container_on_full``
""",
    ),
    cfg.StrOpt(
        "container_on_full",
        default="caller_runs",
        choices=[
            ("caller_runs", "The request does its operation itself."),
            ("block", "The request waits until there is room."),
            ("reject", "The request gets an error."),
        ],
        help="""
What happens to a request for which there is no room.

Related options:

* ``container_max_pending``
* ``container_max_pending_each``
""",
    ),
    cfg.StrOpt(
        "container_on_error",
        default="fail_fast",
        choices=[
            ("fail_fast", "They are cancelled, up to a delete."),
            ("continue", "They are done."),
            ("quarantine", "They wait until an operator has looked."),
        ],
        help="""
What happens to those that wait when one of their container fails.
""",
    ),
]


@contextlib.contextmanager
def running(
    values: Mapping[str, Any],
    backend: Mapping[str, Any],
    handlers: Any,
    options: Mapping[str, Any],
) -> Iterator[ContainerOperations]:
    """See :func:`parallelops.config.container_operations_from`."""
    from parallelops.containers import ContainerOperations, SQLiteJournal

    path = values["container_journal"]
    if not path:
        raise ConfigError(
            f"[{GROUP}] container_journal",
            "it is not set; give the path of a file on a local disk",
        )
    size = {"max_workers": values["executor_threadpool_size"]}
    with (
        load_executor(
            values["executor"], name="containers", **dict(backend) | size
        ) as executor,
        SQLiteJournal(path, runtime=executor.runtime) as journal,
        ContainerOperations(
            executor,
            handlers=handlers,
            journal=journal,
            **{
                "max_pending": values["container_max_pending"],
                "max_pending_per_container": values[
                    "container_max_pending_each"
                ],
                "on_full": values["container_on_full"],
                "on_error": values["container_on_error"],
            }
            | dict(options),
        ) as operations,
    ):
        yield operations
