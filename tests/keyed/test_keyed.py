"""Keyed executors on the backends that need no preparation."""

from __future__ import annotations

import gc
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from tests.executors.test_greenthread import RUN_PYTEST, python
from tests.keyed.base import LIMIT
from tests.keyed.contract import KeyedContract
from tests.polling import until

from parallelops import (
    ExecutorBroken,
    KeyedExecutor,
    events,
    load_executor,
)
from parallelops.testing.contract.base import log_of

GREEN = pathlib.Path(__file__).with_name("green")


class TestThread(KeyedContract):
    """On threads."""

    def make(self, **options):
        """A pool of threads."""
        return load_executor("thread", **options)


class TestSerial(KeyedContract):
    """In the caller."""

    parallel = False

    def make(self, **options):
        """No pool at all."""
        return load_executor("serial", **options)


def test_greenthread():
    """On green threads, in a patched process."""
    pytest.importorskip("eventlet", reason="the greenthread extra is missing")
    run = python(
        RUN_PYTEST, "-q", "-p", "no:cacheprovider", f"{GREEN}/keyed.py"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_observers_see_the_operations():
    """Under their own names, and with the time in the queue."""
    seen = []
    with (
        load_executor("thread", max_workers=1, observers=[seen.append]) as e,
        KeyedExecutor(e) as keyed,
    ):
        gate = threading.Event()
        keyed.submit("k", gate.wait, LIMIT)
        keyed.submit("k", abs, 1)
        keyed.submit("k", int).cancel()
        gate.set()
        keyed.drain(timeout=LIMIT)
    ended = [x for x in seen if isinstance(x, events.TaskFinished)]
    assert sorted(x.outcome for x in ended) == [
        "cancelled",
        "succeeded",
        "succeeded",
    ]
    assert "builtins.abs" in [x.name for x in ended]


def test_wrapping_is_done_by_submit():
    """In the caller, once for each operation and not for its ticket."""
    wrapped = []

    def wrap(fn):
        wrapped.append((fn, threading.get_ident()))
        return fn

    with (
        load_executor("thread", max_workers=2, wrap=wrap) as executor,
        KeyedExecutor(executor) as keyed,
    ):
        for _ in range(3):
            keyed.submit("k", int)
        keyed.drain(timeout=LIMIT)
    assert wrapped == [(int, threading.get_ident())] * 3


def test_it_takes_no_slots():
    """Its own bounds hold, not those of the pool's queue."""
    with (
        load_executor(
            "thread", max_workers=1, max_queue=0, on_saturation="reject"
        ) as executor,
        KeyedExecutor(executor) as keyed,
    ):
        gate = threading.Event()
        futures = [keyed.submit(n, gate.wait, LIMIT) for n in range(50)]
        # The pool has its one slot still.
        plain = executor.submit(int)
        gate.set()
        assert all(future.result(LIMIT) for future in futures)
        assert plain.result(LIMIT) == 0
        assert executor.submit(int).result(LIMIT) == 0


def test_plain_tasks_keep_their_turn():
    """What comes later to a busy key does not go before them."""
    with (
        load_executor("thread", max_workers=1) as executor,
        KeyedExecutor(executor) as keyed,
    ):
        gate = threading.Event()
        ran = []
        keyed.submit("k", gate.wait, LIMIT)
        keyed.submit("k", ran.append, "before")
        keyed.submit("other", ran.append, "before")
        executor.submit(ran.append, "plain")
        for _ in range(50):
            keyed.submit("k", ran.append, "after")
        gate.set()
        keyed.drain(timeout=LIMIT)
        assert ran.index("plain") <= 2


def test_a_signal_handler_in_the_midst_of_a_change():
    """What it submits is run there, by an executor that does so at once."""
    with (
        log_of("parallelops") as records,
        load_executor("serial") as executor,
        KeyedExecutor(executor) as keyed,
    ):
        futures = []

        def handle():
            futures.append(keyed.submit("k", int))

        keyed._turns.do(handle)
        keyed.drain(timeout=LIMIT)
        assert futures[0].result(LIMIT) == 0
        assert not keyed._turns._serving
        futures.clear()
        gc.collect()
    assert not records


def test_surplus_workers_leave():
    """A pool that shrinks does so under a load of operations too."""
    with (
        load_executor("thread", max_workers=3) as executor,
        KeyedExecutor(executor) as keyed,
    ):
        gates = [threading.Event() for _ in range(3)]
        for n, gate in enumerate(gates):
            keyed.submit(n, gate.wait, LIMIT)
            for _ in range(20):
                keyed.submit(n, int)
        until(lambda: executor.stats().workers == 3)
        executor.resize(1)
        for gate in gates:
            gate.set()
        keyed.drain(timeout=LIMIT)
        until(lambda: executor.stats().workers == 1)


FORK = """
import os, threading, warnings
from parallelops import ExecutorBroken, KeyedExecutor, load_executor
warnings.simplefilter("ignore", DeprecationWarning)
executor = load_executor("thread", max_workers=1)
keyed = KeyedExecutor(executor)
gate, began = threading.Event(), threading.Event()
futures = [keyed.submit("k", lambda: (began.set(), gate.wait()))]
futures += [keyed.submit(key, int) for key in "kkab"]
began.wait()
child = os.fork()
if child == 0:
    for future in futures:
        assert isinstance(future.exception(10), ExecutorBroken), future
    assert keyed.stats().pending == 0
    assert keyed.submit("k", int).result(10) == 0
    print("fine", flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
gate.set()
assert [f.result(10) for f in futures[1:]] == [0] * 4
print("parent", flush=True)
"""


def test_a_forked_child():
    """What was pending fails there with a clear error; the rest works."""
    run = subprocess.run(
        [sys.executable, "-c", FORK],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert run.stdout.split() == ["fine", "parent"], run.stderr


FORK_INSIDE = """
import os, warnings
from parallelops import KeyedExecutor, load_executor
warnings.simplefilter("ignore", DeprecationWarning)
executor = load_executor("thread", max_workers=1)
keyed = KeyedExecutor(executor)
futures = []
def run():
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # It has ended, for all books, when it is told.
    futures[0].add_done_callback(lambda _: os._exit(7 + keyed.pending("k")))
executor.submit(lambda: futures.append(keyed.submit("k", run))).result()
assert futures[0].result(10) == 7
print("fine")
"""


def test_a_fork_in_an_operation():
    """It goes on in the child, and ends there."""
    run = subprocess.run(
        [sys.executable, "-c", FORK_INSIDE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert run.stdout.split() == ["fine"], run.stderr


def test_an_executor_that_breaks():
    """Its error reaches each future, and each submit."""

    def fail():
        raise LookupError

    with (
        load_executor("thread", max_workers=1, initializer=fail) as executor,
        KeyedExecutor(executor) as keyed,
    ):
        errors = []
        for _ in range(5):
            try:
                errors.append(keyed.submit("k", int).exception(LIMIT))
            except ExecutorBroken as error:
                errors.append(error)
        assert all(isinstance(error, ExecutorBroken) for error in errors)


@pytest.mark.parametrize(
    "options",
    [
        {"max_pending": 0},
        {"max_pending_per_key": 0},
        {"on_full": "panic"},
    ],
)
def test_options_that_cannot_work(options):
    """They are refused at once."""
    with (
        load_executor("serial") as executor,
        pytest.raises(ValueError, match="must be"),
    ):
        KeyedExecutor(executor, **options)
