"""Keyed executors: against the theoretical limit, and what order costs."""

from __future__ import annotations

import functools
import itertools
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

import harness

import parallelops
from parallelops import KeyedExecutor, KeySaturated

OPERATIONS = 50_000
KEYS = 1000
WORKERS = 16
SECONDS = 0.001
NO_OPS = 50_000


def zipf(seed: int) -> list[int]:
    """Keys of which the n-th comes 1/n times as often as the first."""
    chance = random.Random(seed)
    weights = [1 / rank for rank in range(1, KEYS + 1)]
    return chance.choices(range(KEYS), weights, k=OPERATIONS)


def hot(seed: int) -> list[int]:
    """One key has 30 in 100, the others share the rest."""
    chance = random.Random(seed)
    return [
        0 if chance.random() < 0.3 else chance.randrange(1, KEYS)
        for _ in range(OPERATIONS)
    ]


def uniform(seed: int) -> list[int]:
    """All keys alike."""
    chance = random.Random(seed)
    return [chance.randrange(KEYS) for _ in range(OPERATIONS)]


def fraction_of_limit(keys: Sequence[int], ordered: bool = True) -> float:
    """How near to the best that is possible: 1 is there.

    The limit is the hottest key's time, or all time shared by the workers,
    whichever is more; without order, only the latter. What counts is how
    long the operations really took: a sleep of a millisecond takes longer.
    """
    took: Counter[int | None] = Counter()

    def work(key: int) -> None:
        begin = time.perf_counter()
        time.sleep(SECONDS)
        took[key] += time.perf_counter() - begin  # type: ignore[assignment]

    with (
        parallelops.load_executor(
            "thread", max_workers=WORKERS, max_queue=OPERATIONS
        ) as executor,
        KeyedExecutor(
            executor,
            max_pending=OPERATIONS,
            max_pending_per_key=OPERATIONS,
        ) as keyed,
    ):
        executor.wait([executor.submit(time.sleep, 0.01)] * WORKERS)
        begin = time.perf_counter()
        if ordered:
            for key in keys:
                keyed.submit(key, work, key)
            keyed.drain()
        else:
            executor.wait([executor.submit(work, key) for key in keys])
        whole = time.perf_counter() - begin
    shared = sum(took.values()) / WORKERS
    return (max(max(took.values()), shared) if ordered else shared) / whole


def nothing() -> None:
    """What is left is the cost of the executor."""


def plain() -> float:
    """Microseconds of CPU a task, submitted to the executor."""
    with parallelops.load_executor(
        "thread", max_workers=4, max_queue=NO_OPS
    ) as executor:
        begin = time.process_time()
        for future in [executor.submit(nothing) for _ in range(NO_OPS)]:
            future.result()
        return (time.process_time() - begin) / NO_OPS * 1e6


def keyed_no_op(keys: int) -> float:
    """The same, through a keyed executor with so many keys."""
    with (
        parallelops.load_executor(
            "thread", max_workers=4, max_queue=NO_OPS
        ) as executor,
        KeyedExecutor(
            executor, max_pending=NO_OPS, max_pending_per_key=NO_OPS
        ) as keyed,
    ):
        begin = time.process_time()
        futures = [keyed.submit(n % keys, nothing) for n in range(NO_OPS)]
        for future in futures:
            future.result()
        return (time.process_time() - begin) / NO_OPS * 1e6


def least() -> float:
    """The same, with no more than order takes: a number, an entry, a place
    in a bound, and one lock at the end."""
    entries: dict[int, list[int]] = {}
    room = bytearray(NO_OPS)
    arrive = itertools.count().__next__
    lock = threading.RLock()

    def run(key: int, mine: list[int]) -> None:
        nothing()
        with lock:
            if entries[key] is mine:
                del entries[key]
            room.append(0)

    def submit(key: int) -> parallelops.Future[None]:
        room.pop()
        mine = entries.setdefault(key, [arrive()])
        return executor.submit(run, key, mine)

    with parallelops.load_executor(
        "thread", max_workers=4, max_queue=NO_OPS
    ) as executor:
        begin = time.process_time()
        for future in [submit(n) for n in range(NO_OPS)]:
            future.result()
        return (time.process_time() - begin) / NO_OPS * 1e6


def standard() -> float:
    """The same, submitted to the standard pool, unordered."""
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        begin = time.process_time()
        for future in [executor.submit(nothing) for _ in range(NO_OPS)]:
            future.result()
        return (time.process_time() - begin) / NO_OPS * 1e6


def cold_latency(loaded: bool) -> float:
    """Milliseconds from submit to the end of an operation of a cold key,
    median; beside a hot key that is offered 1.5 times what it can do."""
    took: list[float] = []
    stop = threading.Event()

    def cold(begin: float) -> None:
        time.sleep(SECONDS)
        took.append(time.perf_counter() - begin)

    with (
        parallelops.load_executor("thread", max_workers=WORKERS) as executor,
        KeyedExecutor(
            executor, max_pending_per_key=32, on_full="reject"
        ) as keyed,
    ):

        def offer() -> None:
            while not stop.is_set():
                try:
                    keyed.submit("hot", time.sleep, SECONDS)
                except KeySaturated:
                    pass
                time.sleep(SECONDS / 1.5)

        thread = threading.Thread(target=offer)
        if loaded:
            thread.start()
        for key in itertools.islice(itertools.cycle(range(100)), 1000):
            keyed.submit(key, cold, time.perf_counter())
            time.sleep(0.001)
        keyed.drain()
        stop.set()
        if loaded:
            thread.join()
    return statistics.median(took) * 1e3


COMPARISONS = [
    harness.Comparison(
        "no-op, CPU, each its own key",
        "us",
        "plain submit",
        plain,
        functools.partial(keyed_no_op, NO_OPS),
    ),
    harness.Comparison(
        "the least that order takes",
        "us",
        "plain submit",
        plain,
        least,
    ),
    harness.Comparison(
        "no-op, CPU, 1,000 keys",
        "us",
        "plain submit",
        plain,
        functools.partial(keyed_no_op, 1000),
    ),
    harness.Comparison(
        "no-op, CPU, one key",
        "us",
        "plain submit",
        plain,
        functools.partial(keyed_no_op, 1),
    ),
    harness.Comparison(
        "no-op, CPU, 1,000 keys",
        "us",
        "ThreadPoolExecutor, unordered",
        standard,
        functools.partial(keyed_no_op, 1000),
    ),
    harness.Comparison(
        "cold key beside a hot one",
        "ms",
        "without the hot one",
        functools.partial(cold_latency, False),
        functools.partial(cold_latency, True),
    ),
]


if __name__ == "__main__":
    rounds = harness.rounds_wanted(__doc__, default=5)
    for name, make in (
        ("Zipf", zipf),
        ("30 % hot", hot),
        ("uniform", uniform),
    ):
        fractions = [fraction_of_limit(make(seed)) for seed in range(rounds)]
        print(
            f"{name:<10} {statistics.median(fractions):.3f} of the limit",
            flush=True,
        )
    fractions = [
        fraction_of_limit(uniform(seed), ordered=False)
        for seed in range(rounds)
    ]
    print(
        f"no order   {statistics.median(fractions):.3f} of the limit, by a "
        "plain submit",
        flush=True,
    )
    harness.report(COMPARISONS, rounds)
    sys.exit()
