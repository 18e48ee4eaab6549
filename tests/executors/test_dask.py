"""The dask backend, on a cluster of two processes that can be killed.

What goes to the cluster is nested in the tests: its workers cannot import
this file, and get what is nested by value.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.polling import until

from parallelops import (
    ExecutorBroken,
    ExecutorSaturated,
    KeyedExecutor,
    ShutdownTimeout,
    load_executor,
)
from parallelops.errors import NotPicklable, TaskLost
from parallelops.testing import ExecutorContract

pytestmark = pytest.mark.once

MISSING = "the dask extra is missing"
dask = pytest.importorskip("dask", reason=MISSING)
distributed = pytest.importorskip("distributed", reason=MISSING)

LIMIT = 20

SCHEDULER = """
import asyncio
from distributed import Scheduler

async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as one:
        print(one.address, flush=True)
        await one.finished()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def cluster():
    """A scheduler in this process, and two worker processes."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    """A client of the cluster."""
    with distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def make(client):
    """Makes executors, which are shut down after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            load_executor("dask", client_or_address=client, **options)
        )


class Runs:
    """A file in which each run of a task leaves its process, and another
    that lets the runs end."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "runs"
        self.file.touch()
        self.gate = folder / "gate"

    def task(self, held: int = 0):
        """A task that leaves its mark; its first runs are held."""

        def task(file=self.file, gate=self.gate, limit=LIMIT):
            with file.open("a+") as runs:
                runs.write(f"{os.getpid()}\n")
                runs.flush()
                runs.seek(0)
                number = len(runs.readlines())
            end = time.monotonic() + limit
            while number <= held and not gate.exists():
                assert time.monotonic() < end, "nobody opened the gate"
                time.sleep(0.01)
            return os.getpid()

        return task

    def processes(self) -> list[int]:
        """The process of each run so far."""
        return [int(line) for line in self.file.read_text().splitlines()]

    def wait_for(self, number: int) -> list[int]:
        """Wait until so many runs have begun."""
        until(lambda: len(self.processes()) >= number)
        return self.processes()

    def open(self) -> None:
        """Let all runs end."""
        self.gate.touch()


@pytest.fixture
def runs(tmp_path):
    """Where the tasks of a test leave their marks."""
    runs = Runs(tmp_path)
    yield runs
    runs.open()


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestContract(ExecutorContract):
    """What every executor promises."""

    @pytest.fixture(autouse=True)
    def _client(self, client):
        self.client = client

    def make(self, **options):
        """One of them."""
        return load_executor("dask", client_or_address=self.client, **options)


# -- what goes there, and what comes back


def test_runs_elsewhere(make):
    """Tasks run in the worker processes, as many at once as have threads."""
    executor = make()
    assert executor.stats().max_workers == 2
    assert executor.submit(os.getpid).result(LIMIT) != os.getpid()


def test_the_same_call_twice_is_made_twice(make, runs):
    """dask itself would make one task of the two."""
    executor = make()
    task = runs.task()
    for future in [executor.submit(task) for _ in range(2)]:
        future.result(LIMIT)
    assert len(runs.processes()) == 2


def test_dask_does_not_look_into_the_call(make):
    """Arguments that mean something to dask arrive as they are."""

    def given(*args, **kwargs):
        return args, kwargs

    call = (abs, -1)  # a task, to dask
    future = make().submit(given, call, [call], key="a", pure=2, retries=3)
    assert future.result(LIMIT) == (
        (call, [call]),
        {"key": "a", "pure": 2, "retries": 3},
    )


def test_arguments_are_copied_at_once(make):
    """What the caller changes after the submit changes nothing."""
    argument = [1]
    future = make().submit(sum, argument)
    argument.append(1)
    assert future.result(LIMIT) == 1


@pytest.mark.parametrize("unpicklable", ["function", "argument"])
def test_what_cannot_be_pickled_is_refused(make, unpicklable):
    """Submit names it and says why; nothing runs, and no room is lost."""
    executor = make(max_workers=1, max_queue=0, on_saturation="reject")
    lock = threading.Lock()
    call = (lambda: lock,) if unpicklable == "function" else (repr, lock)
    for _ in range(3):
        with pytest.raises(NotPicklable, match=r"(lambda|repr).*lock"):
            executor.submit(*call)
    assert executor.submit(int).result(LIMIT) == 0
    assert executor.stats().succeeded == 1


def test_wrap_goes_along(make):
    """What ``wrap`` returns is called there."""

    def wrap(fn):
        return lambda *args: ("wrapped", fn(*args))

    assert make(wrap=wrap).submit(abs, -1).result(LIMIT) == ("wrapped", 1)


# -- the bound


def test_what_waits_here_is_bounded_and_can_be_cancelled(make, runs):
    """What is in the cluster is running; the rest never got there."""
    executor = make(max_workers=1, max_queue=1, on_saturation="reject")
    held = executor.submit(runs.task(held=1))
    runs.wait_for(1)
    queued = executor.submit(runs.task())
    with pytest.raises(ExecutorSaturated):
        executor.submit(runs.task())
    assert not held.cancel()
    assert queued.cancel()
    runs.open()
    held.result(LIMIT)
    executor.shutdown(timeout=LIMIT)
    assert len(runs.processes()) == 1


def test_caller_runs(make, runs):
    """With no room the caller runs the task, here."""
    executor = make(max_workers=1, max_queue=0, on_saturation="caller_runs")
    executor.submit(runs.task(held=1))
    assert executor.submit(os.getpid).result(0) == os.getpid()


# -- the end


def test_shutdown_names_what_does_not_end(make, runs):
    """It waits no longer than it is told to."""
    executor = make(max_workers=1)
    executor.submit(runs.task(held=1))
    runs.wait_for(1)
    with pytest.raises(ShutdownTimeout, match="task"):
        executor.shutdown(timeout=0.01)


def test_a_client_that_was_handed_in_stays_open(make, client):
    """Who creates a client closes it."""
    make().shutdown(timeout=LIMIT)
    assert client.submit(abs, -1).result(LIMIT) == 1


@pytest.mark.parametrize("end", ["wait", "leave", "drop"])
def test_a_client_of_its_own_is_closed(cluster, runs, end):
    """However the executor ends, its client does so after the last task."""
    others = set(cluster.scheduler.clients)
    executor = load_executor(
        "dask", client_or_address=cluster.scheduler_address
    )
    future = executor.submit(runs.task(held=1))
    runs.wait_for(1)
    if end == "leave":
        executor.shutdown(wait=False)
    if end == "drop":
        del executor
    runs.open()
    if end == "wait":
        executor.shutdown(timeout=LIMIT)
    until(lambda: set(cluster.scheduler.clients) == others)
    assert future.result(0) in runs.processes()


def test_a_client_of_its_own_is_closed_when_an_option_is_wrong(cluster):
    """A constructor that fails leaves nothing behind."""
    others = set(cluster.scheduler.clients)
    with pytest.raises(ValueError, match="max_queue"):
        load_executor(
            "dask", client_or_address=cluster.scheduler_address, max_queue=-1
        )
    until(lambda: set(cluster.scheduler.clients) == others)


@pytest.mark.parametrize(
    "options",
    [{}, {"initializer": int, "client_or_address": "tcp://127.0.0.1:1"}],
)
def test_what_it_cannot_do_is_refused(options):
    """It starts no cluster, and its workers have begun already."""
    with pytest.raises(TypeError, match=r"cluster|initializer"):
        load_executor("dask", **options)


def test_nobody_at_the_address():
    """The constructor says so, in the time that dask is configured to."""
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:1\b"),
    ):
        load_executor("dask", client_or_address="tcp://127.0.0.1:1")


def test_accepted_work_is_done_at_exit(cluster, tmp_path):
    """Leaving without a shutdown does what was accepted first."""
    run = python(
        "import pathlib, sys\n"
        "from parallelops import load_executor\n"
        "executor = load_executor('dask', client_or_address=sys.argv[1])\n"
        "for n in range(9):\n"
        "    executor.submit(pathlib.Path(sys.argv[2], str(n)).touch)\n",
        cluster.scheduler_address,
        str(tmp_path),
    )
    assert run.stderr == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == list(
        "012345678"
    )


def test_forked_child_is_told(cluster):
    """A client does not survive a fork: submit says so, and nothing
    hangs."""
    run = python(
        "import os, sys, warnings\n"
        "from parallelops import load_executor, ExecutorBroken\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "executor = load_executor('dask', client_or_address=sys.argv[1])\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    try:\n"
        "        executor.submit(int)\n"
        "    except ExecutorBroken as error:\n"
        "        executor.shutdown(timeout=20)\n"
        "        os._exit(0 if 'fork' in str(error) else 1)\n"
        "    os._exit(2)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "print(executor.submit(pow, 2, 3).result(20))\n"
        "executor.shutdown(timeout=20)\n",
        cluster.scheduler_address,
    )
    assert run.stdout == "0\n8\n", run.stderr


# -- faults


def test_a_killed_worker_means_another_run(make, client, runs):
    """Delivered at least once: what the first run did, it did."""
    future = make().submit(runs.task(held=1))
    (killed,) = runs.wait_for(1)
    os.kill(killed, signal.SIGKILL)
    survivor = future.result(LIMIT)
    assert runs.processes() == [killed, survivor]
    assert killed != survivor
    client.wait_for_workers(2, timeout=LIMIT)


def test_a_task_that_killed_enough_workers_is_lost(
    make, cluster, client, runs, monkeypatch
):
    """The error says that it may have run, and what dask says of it."""
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    future = make().submit(runs.task(held=1))
    (killed,) = runs.wait_for(1)
    os.kill(killed, signal.SIGKILL)
    failure = future.exception(LIMIT)
    assert isinstance(failure, TaskLost)
    assert "task was lost, and may have run: KilledWorker" in str(failure)
    assert isinstance(failure.__cause__, distributed.KilledWorker)
    assert runs.processes() == [killed]
    client.wait_for_workers(2, timeout=LIMIT)


def test_a_task_that_somebody_else_cancels_is_lost(make, client, runs):
    """That is no cancelled future: nobody here cancelled it, and it ran."""
    executor = make()
    future = executor.submit(runs.task(held=1))
    runs.wait_for(1)
    until(lambda: len(client.futures) == 1)  # others have been let go
    (key,) = client.futures
    client.cancel([distributed.Future(key, client)])
    failure = future.exception(LIMIT)
    assert not future.cancelled()
    assert isinstance(failure, TaskLost)
    assert "cancelled" in str(failure).lower()


def test_a_client_that_is_closed_too_early(cluster, runs):
    """What is in the cluster is lost; what is here never ran."""
    with distributed.Client(cluster, set_as_default=False) as client:
        executor = load_executor(
            "dask", client_or_address=client, max_workers=1
        )
        there = executor.submit(runs.task(held=1))
        here = executor.submit(runs.task())
        runs.wait_for(1)
    assert isinstance(there.exception(LIMIT), TaskLost)
    assert isinstance(here.exception(LIMIT), ExecutorBroken)
    with pytest.raises(ExecutorBroken, match="closed"):
        executor.submit(int)
    executor.shutdown(timeout=LIMIT)
    assert len(runs.processes()) == 1


def test_lost_scheduler():
    """What was there is lost, and submit says that there is no more."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", SCHEDULER],
            stdout=subprocess.PIPE,
            text=True,
        ) as scheduler,
        distributed.Client(
            scheduler.stdout.readline().strip(),
            timeout=1,
            set_as_default=False,
        ) as client,
    ):
        executor = load_executor(
            "dask", client_or_address=client, max_workers=1
        )
        there, here = executor.submit(int), executor.submit(int)
        until(lambda: client.futures)
        scheduler.kill()
        assert isinstance(there.exception(LIMIT), TaskLost)
        assert isinstance(here.exception(LIMIT), TaskLost | ExecutorBroken)
        until(lambda: client.status == "closed")
        with pytest.raises(ExecutorBroken, match="lost its scheduler"):
            executor.submit(int)
        executor.shutdown(timeout=LIMIT)


def test_a_cluster_without_workers_cannot_be_counted(monkeypatch, client):
    """Whoever waits for workers to come says how many tasks to send."""
    monkeypatch.setattr(client, "nthreads", dict)
    with pytest.raises(ValueError, match="say max_workers"):
        load_executor("dask", client_or_address=client)


def test_says_when_distributed_is_missing():
    """Without it there is one clear error, with the remedy."""
    run = python(
        "import sys\n"
        "sys.modules['distributed'] = None\n"
        "import parallelops\n"
        "try:\n"
        "    parallelops.load_executor('dask')\n"
        "except parallelops.MissingDependency as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'parallelops[dask]'" in run.stdout, run.stderr


def test_keyed_operations(make, tmp_path):
    """A key's operations run in order, on whatever machine is free."""

    def note(path, entry):
        with path.open("a") as file:
            file.write(f"{entry} ")

    with KeyedExecutor(make(max_workers=2)) as keyed:
        for entry in range(20):
            for name in ("a", "b"):
                keyed.submit(name, note, tmp_path / name, entry)
        pid = keyed.submit("c", os.getpid)
        with pytest.raises(NotPicklable):
            keyed.submit("c", threading.Lock().acquire)
        assert pid.result(LIMIT) != os.getpid()
        keyed.drain(timeout=LIMIT)
    for name in ("a", "b"):
        entries = (tmp_path / name).read_text().split()
        assert entries == [str(entry) for entry in range(20)]
