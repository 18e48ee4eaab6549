"""Faults that other executors fail at; each ends well, in bounded time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import signal
import subprocess
import sys
import threading

import pytest
from tests.polling import until

from parallelops import (
    DeadlockError,
    ExecutorBroken,
    ExecutorShutdown,
    load_executor,
)
from parallelops.backends.base import PoolExecutor
from parallelops.errors import WorkerStartError
from parallelops.runtime import ThreadRuntime

LIMIT = 20


def python(code: str, **options) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_submit_in_a_signal_handler():
    """A handler that submits while a submit is going on waits for nobody,
    and nothing is lost."""
    executor = load_executor("thread", max_workers=2, max_queue=None)
    futures = []

    def handle(*_):
        futures.append(executor.submit(int))

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        own = [executor.submit(abs, n) for n in range(20_000)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    executor.shutdown(timeout=LIMIT)
    assert [future.result(0) for future in own] == list(range(20_000))
    assert {future.result(0) for future in futures} == {0}
    assert executor.stats().succeeded == len(own) + len(futures)


def test_submit_in_a_finalizer():
    """A finalizer that submits, from anywhere in a task or a submit."""
    executor = load_executor("thread", max_workers=2, max_queue=None)
    futures = []

    class Dying:
        def __del__(self):
            futures.append(executor.submit(int))

    for _ in range(500):
        executor.submit(lambda _: None, Dying())
    executor.submit(int).result(LIMIT)
    until(lambda: len(futures) == 500)
    executor.shutdown(timeout=LIMIT)
    assert [future.result(0) for future in futures] == [0] * 500


def test_serial_work_in_a_callback_leaves_the_worker_a_worker():
    """What a worker runs for others between its tasks does not make the
    pool forget that it is one."""
    with (
        load_executor("serial") as serial,
        load_executor("thread", max_workers=1, max_queue=0) as executor,
    ):
        done = threading.Event()

        def nested():
            return executor.submit(pow, 2, 3).result()

        def callback(_):
            serial.submit(int)
            done.set()

        executor.submit(int).add_done_callback(callback)
        assert done.wait(LIMIT)
        assert executor.submit(nested).result(LIMIT) == 8


def test_two_pools_that_wait_for_each_other():
    """Full pools whose tasks wait for tasks of the other are told so."""
    with (
        load_executor("thread", max_workers=1) as one,
        load_executor("thread", max_workers=1) as two,
    ):
        both = threading.Barrier(2)

        def cross(other, inner):
            both.wait(LIMIT)
            return other.submit(inner).result()

        first = one.submit(cross, two, int)
        second = two.submit(cross, one, int)
        failures = [first.exception(LIMIT), second.exception(LIMIT)]
        assert any(isinstance(f, DeadlockError) for f in failures)


def test_many_workers_that_wait_for_each_other():
    """However many there are, a deadlock is found before long."""
    with (
        load_executor("thread", max_workers=12) as one,
        load_executor("thread", max_workers=12) as two,
    ):
        all_busy = threading.Barrier(24)

        def cross(other):
            all_busy.wait(LIMIT)
            return other.submit(int).result()

        futures = [
            pool.submit(cross, other)
            for pool, other in ((one, two), (two, one))
            for _ in range(12)
        ]
        failures = [future.exception(LIMIT) for future in futures]
        assert any(isinstance(f, DeadlockError) for f in failures)


def test_a_worker_on_its_way_is_no_deadlock():
    """A pool whose only worker just comes or goes can still start what is
    queued."""
    with load_executor("thread", max_workers=1) as executor:
        pool = executor._pool
        pool.seats.take()  # as who is about to hire, or to leave
        assert pool.starters() is None
        pool.seats.give(0)


@pytest.fixture
def unheard():
    """No log: what fails in the test and is not looked at fails a lot."""
    logging.disable()
    yield
    gc.collect()
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unheard")
def test_endless_recursion_through_a_pool():
    """Tasks that wait for their own subtasks without end run out of stack,
    and the pool goes on with all of its room."""
    going = True
    with load_executor("thread", max_workers=1, max_queue=3000) as executor:

        def down(frames):
            return down(frames - 1) if frames else deeper()

        def deeper():
            return going and 1 + executor.submit(deeper).result()

        for frames in range(12):  # to run out of it in different places
            going = True
            future = executor.submit(down, frames)
            assert isinstance(future.exception(LIMIT), RecursionError)
            going = False
        executor.shutdown(timeout=LIMIT)
        slots = executor._pool.admission.slots
        assert len(slots.left) == slots.number


def test_two_pools_that_wait_for_each_others_room():
    """Full pools whose tasks submit to the other are told so."""
    with (
        load_executor("thread", max_workers=1, max_queue=0) as one,
        load_executor("thread", max_workers=1, max_queue=0) as two,
    ):
        both = threading.Barrier(2)

        def cross(other):
            both.wait(LIMIT)
            return other.submit(int).result()

        first = one.submit(cross, two)
        second = two.submit(cross, one)
        failures = [first.exception(LIMIT), second.exception(LIMIT)]
        assert any(isinstance(f, DeadlockError) for f in failures)


def test_a_long_wait_is_not_a_deadlock():
    """A wait that another thread will end is left alone."""
    foreign = concurrent.futures.Future()
    with load_executor("thread", max_workers=2) as executor:
        waiting = [executor.submit(executor.wait, [foreign]) for _ in range(2)]
        queued = executor.submit(int)
        foreign.set_result(1)
        for future in waiting:
            assert future.result(LIMIT).done == {foreign}
        assert queued.result(LIMIT) == 0


class NoThreads(ThreadRuntime):
    """A machine that has no threads left, as long as it is told so."""

    left = 0

    def spawn(self, target, *, name):
        """Start one of those that are left."""
        if not self.left:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        return super().spawn(target, name=name)


def test_no_thread_can_be_started():
    """Submit fails, its task never runs, and the pool goes on later."""
    runtime = NoThreads()
    with PoolExecutor(
        runtime, 2, max_queue=0, on_saturation="reject"
    ) as executor:
        ran = []
        for _ in range(5):
            with pytest.raises(WorkerStartError, match="can't start"):
                executor.submit(ran.append, 1)
        runtime.left = 1
        assert executor.submit(int).result(LIMIT) == 0
        assert executor.stats().workers == 1
        assert not ran


def test_one_thread_too_few():
    """With some workers there, one that cannot be started is no error."""
    runtime = NoThreads()
    runtime.left = 1
    with PoolExecutor(runtime, 3) as executor:
        gate = threading.Event()
        futures = [executor.submit(gate.wait, LIMIT) for _ in range(3)]
        gate.set()
        assert [future.result(LIMIT) for future in futures] == [True] * 3


class Interrupted(ThreadRuntime):
    """Ctrl-C comes once, while a thread is being started.

    Args:
        before: it comes before the thread does anything, or after that.
    """

    def __init__(self, before):
        super().__init__()
        self.before = before
        self.late = threading.Event()
        self.interrupts = 1

    def spawn(self, target, *, name):
        """Start it, and be interrupted."""
        if not self.interrupts:
            return super().spawn(target, name=name)
        self.interrupts -= 1
        started = threading.Event()

        def work():
            if self.before:
                self.late.wait(LIMIT)
            started.set()
            target()

        super().spawn(work, name=name)
        if not self.before:
            assert started.wait(LIMIT)
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False])
def test_ctrl_c_while_a_worker_is_hired(before):
    """It is the caller's; there is never a worker too many or too few."""
    runtime = Interrupted(before)
    with PoolExecutor(runtime, 1) as executor:
        with pytest.raises(KeyboardInterrupt):
            executor.submit(int)
        gate = threading.Event()
        held = executor.submit(gate.wait, LIMIT)
        runtime.late.set()
        queued = executor.submit(int)
        until(held.running)
        stats = executor.stats()
        assert (stats.workers, stats.queued) == (1, 1)
        gate.set()
        assert queued.result(LIMIT) == 0
        assert not executor._pool.seats.left


def test_keyboard_interrupt_in_the_caller():
    """Ctrl-C while the caller runs a task is the caller's, too."""

    def interrupt():
        raise KeyboardInterrupt

    with load_executor("serial") as executor:
        with pytest.raises(KeyboardInterrupt):
            executor.submit(interrupt)
        assert executor.stats().failed == 1


def test_one_ctrl_c_is_enough():
    """One SIGINT ends a program that waits for much queued work."""
    run = python(
        "import os, signal, threading, time\n"
        "from parallelops import load_executor\n"
        "started = threading.Event()\n"
        "def task():\n"
        "    started.set()\n"
        "    time.sleep(0.2)\n"
        "def interrupt():\n"
        "    started.wait()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n"
        "    with load_executor('thread', max_workers=2) as executor:\n"
        "        futures = [executor.submit(task) for _ in range(500)]\n"
        "        threading.Thread(target=interrupt).start()\n"
        "        futures[-1].result()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', sum(f.cancelled() for f in futures) > 400)\n"
    )
    assert run.stdout == "interrupted True\n", run.stderr


def test_accepted_work_is_done_at_exit():
    """Leaving without a shutdown does what was accepted first."""
    run = python(
        "from parallelops import load_executor\n"
        "import time\nfrom sys import stdout\nw = stdout.write\n"
        "executor = load_executor('thread', max_workers=2)\n"
        "for n in range(9):\n"
        "    executor.submit(lambda n=n: (time.sleep(0.01), w(f'{n} ')))\n"
    )
    assert sorted(run.stdout.split()) == list("012345678"), run.stderr


def test_stuck_task_at_exit():
    """A task that never ends is named, and does not keep the process."""
    run = python(
        "import logging, threading\n"
        "logging.basicConfig()\n"
        "from parallelops import load_executor\n"
        "executor = load_executor('thread', name='mine', exit_timeout=0.1)\n"
        "def stuck():\n"
        "    threading.Event().wait()\n"
        "executor.submit(stuck)\n"
    )
    assert run.returncode == 0
    assert "mine" in run.stderr
    assert "stuck" in run.stderr


def test_forked_child_uses_the_inherited_pool():
    """In a forked child the pool works, and what it had accepted in the
    parent is not waited for in vain."""
    run = python(
        "import os, threading, warnings\n"
        "from parallelops import load_executor, ExecutorBroken\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "executor = load_executor('thread', max_workers=1)\n"
        "gate = threading.Event()\n"
        "held = executor.submit(gate.wait)\n"
        "while not held.running(): pass\n"
        "queued = executor.submit(int)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    lost = [type(f.exception(20)) for f in (held, queued)]\n"
        "    good = executor.submit(pow, 2, 3).result(20) == 8\n"
        "    good = good and lost == [ExecutorBroken] * 2\n"
        "    executor.shutdown(timeout=20)\n"
        "    os._exit(0 if good else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "gate.set()\n"
        "print(held.result(20), queued.result(20))\n"
    )
    assert run.stdout == "0\nTrue 0\n", run.stderr


def test_forked_child_of_a_pool_with_helped_tasks():
    """What a lost worker was helping with is lost as well; a fair queue
    goes on, and who has the lost worker's identity is no worker."""
    run = python(
        "import os, threading, warnings\n"
        "from parallelops import load_executor, ExecutorBroken, waiting\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "executor = load_executor('thread', max_workers=1, fair=True)\n"
        "gate, inner = threading.Event(), []\n"
        "def outer():\n"
        "    inner.append(executor.submit(gate.wait))\n"
        "    return inner[0].result()\n"
        "lost = executor.submit(outer)\n"
        "while not (inner and inner[0].running()): pass\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    kinds = [type(f.exception(20)) for f in (lost, inner[0])]\n"
        "    good = kinds == [ExecutorBroken] * 2\n"
        "    good = good and not waiting._parties and not waiting._inner\n"
        "    good = good and executor.submit(pow, 2, 3).result(20) == 8\n"
        "    executor.shutdown(timeout=20)\n"
        "    os._exit(0 if good else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "gate.set()\n"
        "print(lost.result(20))\n"
    )
    assert run.stdout == "0\nTrue\n", run.stderr


def test_fork_in_a_task():
    """The task goes on in the child, as the one worker that is there."""
    run = python(
        "import os, warnings\n"
        "from parallelops import load_executor\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "executor = load_executor('thread', max_workers=1)\n"
        "def fork():\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        good = executor.submit(pow, 2, 3).result() == 8\n"
        "        os._exit(0 if good else 1)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "print(executor.submit(fork).result(20))\n"
    )
    assert run.stdout == "0\n", run.stderr


def test_dropped_executor_ends_its_threads():
    """When nobody holds the executor its threads end."""
    executor = load_executor("thread", thread_name_prefix="dropped")
    executor.submit(int).result(LIMIT)
    del executor

    def gone():
        names = [thread.name for thread in threading.enumerate()]
        return not any(name.startswith("dropped") for name in names)

    until(gone)


def test_failing_initializer_fails_what_is_queued():
    """Everybody who waits learns of it, with the cause."""
    gate = threading.Event()

    def initialize():
        gate.wait(LIMIT)
        raise LookupError("no such thing")

    executor = load_executor("thread", max_workers=1, initializer=initialize)
    futures = [executor.submit(int) for _ in range(5)]
    gate.set()
    for future in futures:
        failure = future.exception(LIMIT)
        assert isinstance(failure, ExecutorBroken)
        assert isinstance(failure.__cause__, LookupError)
    executor.shutdown(timeout=LIMIT)
    with pytest.raises(ExecutorBroken) as caught:
        executor.submit(int)
    assert isinstance(caught.value.__cause__, LookupError)


def test_asyncio_takes_its_futures():
    """asyncio waits for them and cancels them."""

    async def main(executor, gate):
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        assert await asyncio.to_thread(pow, 2, 4) == 16
        assert await loop.run_in_executor(executor, pow, 2, 3) == 8
        with pytest.raises(ValueError):
            await asyncio.wrap_future(executor.submit(int, "x"))
        held = executor.submit(gate.wait, LIMIT)
        queued = executor.submit(int)
        wrapped = asyncio.wrap_future(queued)
        wrapped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped
        await asyncio.sleep(0)  # where asyncio passes it on
        assert queued.cancelled()
        gate.set()
        assert await asyncio.wrap_future(held)

    with load_executor("thread", max_workers=1) as executor:
        asyncio.run(main(executor, threading.Event()))


def test_shutdown_while_a_submitter_is_blocked_in_another_thread():
    """The blocked submit raises, and the accepted tasks are done."""
    executor = load_executor("thread", max_workers=1, max_queue=1)
    gate = threading.Event()
    accepted = [executor.submit(gate.wait, LIMIT), executor.submit(int)]
    errors = []

    def submit():
        try:
            executor.submit(int)
        except ExecutorShutdown as error:
            errors.append(error)

    threads = [threading.Thread(target=submit) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: executor.stats().blocked == 5)
    executor.shutdown(wait=False)
    for thread in threads:
        thread.join(LIMIT)
    gate.set()
    assert [future.result(LIMIT) for future in accepted] == [True, 0]
    assert len(errors) == 5


def test_observers_are_told_of_what_never_began():
    """Each task that was submitted has an end for them, too."""
    gate = threading.Event()
    seen = []

    def initialize():
        gate.wait(LIMIT)
        raise LookupError("no such thing")

    executor = load_executor(
        "thread",
        max_workers=1,
        initializer=initialize,
        observers=[seen.append],
    )
    futures = [executor.submit(int) for _ in range(3)]
    gate.set()
    for future in futures:
        assert isinstance(future.exception(LIMIT), ExecutorBroken)
    executor.shutdown(timeout=LIMIT)
    kinds = [type(event).__name__ for event in seen]
    assert kinds.count("TaskSubmitted") == 3
    assert kinds.count("TaskFinished") == 3
