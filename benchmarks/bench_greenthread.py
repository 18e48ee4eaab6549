"""The greenthread executor against futurist's, in a patched process."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable

import parallelops

parallelops.prepare_process("greenthread")

import eventlet  # noqa: E402
import futurist  # noqa: E402
import harness  # noqa: E402

TASKS = 100_000
WORKERS = 16


def nothing() -> None:
    """The task: what is left is the cost of the executor."""


def ours() -> object:
    return parallelops.load_executor(
        "greenthread", max_workers=WORKERS, max_queue=TASKS
    )


def theirs() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return futurist.GreenThreadPoolExecutor(WORKERS)


def submit_and_result(make: Callable[[], object]) -> float:
    """Microseconds a task: submit all, then ask for all results."""
    with make() as executor:
        begin = time.perf_counter()
        for future in [executor.submit(nothing) for _ in range(TASKS)]:
            future.result()
        return (time.perf_counter() - begin) / TASKS * 1e6


def green_pool() -> float:
    """Microseconds a task, with eventlet's own pool."""
    pool = eventlet.GreenPool(WORKERS)
    begin = time.perf_counter()
    for thread in [pool.spawn(nothing) for _ in range(TASKS)]:
        thread.wait()
    return (time.perf_counter() - begin) / TASKS * 1e6


MINE = functools.partial(submit_and_result, ours)
COMPARISONS = [
    harness.Comparison(
        "submit and result",
        "us",
        "futurist.GreenThreadPoolExecutor",
        functools.partial(submit_and_result, theirs),
        MINE,
    ),
    harness.Comparison(
        "the same", "us", "eventlet.GreenPool", green_pool, MINE
    ),
]


if __name__ == "__main__":
    harness.report(COMPARISONS, harness.rounds_wanted(__doc__, default=5))
