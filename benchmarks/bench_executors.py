"""The thread and serial executors against those that people have now."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
import tracemalloc
from collections.abc import Callable

import futurist
import harness
import joblib
import more_executors

import parallelops

TASKS = 100_000
ROUND_TRIPS = 10_000
HOPS = 1_000
WORKING = 2_000
WORKERS = 4

Make = Callable[[], concurrent.futures.Executor]


def nothing(*_: object) -> None:
    """The task: what is left is the cost of the executor."""


def standard() -> concurrent.futures.Executor:
    return concurrent.futures.ThreadPoolExecutor(WORKERS)


def thread() -> concurrent.futures.Executor:
    # Bounded, and with room for all, since the standard one has no bound.
    return parallelops.load_executor(
        "thread", max_workers=WORKERS, max_queue=TASKS
    )


def throttled() -> concurrent.futures.Executor:
    """What comes nearest to a bound in more-executors: a wrapper with a
    thread of its own, here around the standard library's pool."""
    return more_executors.Executors.thread_pool(
        max_workers=WORKERS
    ).with_throttle(WORKERS)


def by_joblib() -> float:
    """Microseconds a call, by threads of joblib's."""
    with joblib.parallel_config(backend="threading", n_jobs=WORKERS):
        begin = time.perf_counter()
        joblib.Parallel()(joblib.delayed(nothing)(n) for n in range(TASKS))
        return (time.perf_counter() - begin) / TASKS * 1e6


def serial() -> concurrent.futures.Executor:
    return parallelops.load_executor("serial")


def submit_and_result(make: Make) -> float:
    """Microseconds a task: submit all, then ask for all results."""
    with make() as executor:
        begin = time.perf_counter()
        for future in [executor.submit(nothing) for _ in range(TASKS)]:
            future.result()
        return (time.perf_counter() - begin) / TASKS * 1e6


def round_trip(make: Make) -> float:
    """Microseconds a task: ask for each result before the next submit."""
    with make() as executor:
        begin = time.perf_counter()
        for _ in range(ROUND_TRIPS):
            executor.submit(nothing).result()
        return (time.perf_counter() - begin) / ROUND_TRIPS * 1e6


def hand_over() -> float:
    """Microseconds for a thread to wake another and be woken by it: what a
    round trip between threads cannot cost less than, on this machine."""
    go, back = threading.Lock(), threading.Lock()
    go.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(ROUND_TRIPS):
            go.acquire()
            back.release()

    thread = threading.Thread(target=answer)
    thread.start()
    begin = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        go.release()
        back.acquire()
    took = time.perf_counter() - begin
    thread.join()
    return took / ROUND_TRIPS * 1e6


def on_an_idle_pool(make: Make, quantile: float, *, back: bool) -> float:
    """Microseconds from submit until the task begins, or, with ``back``,
    until its result is there; all workers sleep before."""
    took = []
    with make() as executor:
        for _ in range(HOPS):
            # Back to back, the worker of the last task is still awake.
            time.sleep(0.0005)
            begin = time.perf_counter()
            began = executor.submit(time.perf_counter).result()
            end = time.perf_counter() if back else began
            took.append((end - begin) * 1e6)
    took.sort()
    return took[int(quantile * len(took))]


def nested_round_trip(make: Make) -> float:
    """Microseconds a task: the same, asked for by a task of the pool."""

    def ask() -> None:
        for _ in range(ROUND_TRIPS):
            executor.submit(nothing).result()

    with make() as executor:
        begin = time.perf_counter()
        executor.submit(ask).result()
        return (time.perf_counter() - begin) / ROUND_TRIPS * 1e6


def busy(make: Make, work: Callable[[], object]) -> float:
    """Microseconds a task that does some work of its own."""
    with make() as executor:
        begin = time.perf_counter()
        for future in [executor.submit(work) for _ in range(WORKING)]:
            future.result()
        return (time.perf_counter() - begin) / WORKING * 1e6


def map_all(make: Make, chunksize: int) -> float:
    """Microseconds a call."""
    with make() as executor:
        begin = time.perf_counter()
        for _ in executor.map(nothing, range(TASKS), chunksize=chunksize):
            pass
        return (time.perf_counter() - begin) / TASKS * 1e6


def memory(make: Make) -> float:
    """Bytes a queued task, its future held."""
    gate = threading.Event()
    with make() as executor:
        futures = [executor.submit(gate.wait) for _ in range(WORKERS)]
        futures += futures[:1] * TASKS
        tracemalloc.start()
        for number in range(WORKERS, len(futures)):
            futures[number] = executor.submit(nothing)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gate.set()
        executor.shutdown(cancel_futures=True)
    return used / TASKS


def cancel_all(make: Make) -> float:
    """Milliseconds to shut down and cancel all that is queued."""
    gate = threading.Event()
    with make() as executor:
        futures = [executor.submit(gate.wait) for _ in range(WORKERS)]
        futures += [executor.submit(nothing) for _ in range(TASKS)]
        begin = time.perf_counter()
        executor.shutdown(wait=False, cancel_futures=True)
        took = time.perf_counter() - begin
        gate.set()
        return took * 1e3


def against_standard(
    what: str, unit: str, measure: Callable[[Make], float]
) -> harness.Comparison:
    return harness.Comparison(
        what,
        unit,
        "ThreadPoolExecutor",
        functools.partial(measure, standard),
        functools.partial(measure, thread),
    )


COMPARISONS = [
    against_standard("submit and result", "us", submit_and_result),
    against_standard("round trip, back to back", "us", round_trip),
    harness.Comparison(
        "its floor: two locks, back to back",
        "us",
        "ThreadPoolExecutor",
        functools.partial(round_trip, standard),
        hand_over,
    ),
    against_standard("round trip in a task", "us", nested_round_trip),
    *(
        against_standard(
            f"{what} on an idle pool, p{quantile * 100:.0f}",
            "us",
            functools.partial(on_an_idle_pool, quantile=quantile, back=back),
        )
        for what, back in (("round trip", True), ("hop", False))
        for quantile in (0.5, 0.99)
    ),
    against_standard(
        "1 ms of sleep",
        "us",
        functools.partial(busy, work=functools.partial(time.sleep, 0.001)),
    ),
    against_standard(
        "0.1 ms of sums",
        "us",
        functools.partial(busy, work=lambda: sum(range(6000))),
    ),
    against_standard("map", "us", functools.partial(map_all, chunksize=1)),
    against_standard(
        "map in chunks of 100", "us", functools.partial(map_all, chunksize=100)
    ),
    harness.Comparison(
        "map",
        "us",
        "joblib, threads",
        by_joblib,
        functools.partial(map_all, thread, chunksize=1),
    ),
    harness.Comparison(
        "submit and result",
        "us",
        "futurist.ThreadPoolExecutor",
        functools.partial(
            submit_and_result, lambda: futurist.ThreadPoolExecutor(WORKERS)
        ),
        functools.partial(submit_and_result, thread),
    ),
    harness.Comparison(
        "submit and result",
        "us",
        "more-executors, throttled",
        functools.partial(submit_and_result, throttled),
        functools.partial(submit_and_result, thread),
    ),
    against_standard("memory a queued task", "B", memory),
    against_standard("cancel 100,000 tasks", "ms", cancel_all),
    harness.Comparison(
        "serial",
        "us",
        "futurist.SynchronousExecutor",
        functools.partial(submit_and_result, futurist.SynchronousExecutor),
        functools.partial(submit_and_result, serial),
    ),
]


if __name__ == "__main__":
    harness.report(COMPARISONS, harness.rounds_wanted(__doc__, default=5))
