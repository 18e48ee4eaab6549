"""Traces of real executors, read back and held against the format."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import ExecutorSaturated, load_executor
from parallelops.events import (
    Event,
    TaskFinished,
    TaskStarted,
    TaskSubmitted,
    WorkerStarted,
    WorkerStopped,
)
from parallelops.images import FileStore, Scrubber, SQLiteCatalog
from parallelops.observe import ChromeTrace, chrometrace
from parallelops.observe.timeline import Timeline
from parallelops.observe.tracefile import TraceFile

LIMIT = 30
GREEN = Path(__file__).with_name("green")


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        # Or pytest would complain that it cannot rewrite what it finds
        # imported, by the patch that must come before it.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


@pytest.fixture
def path(tmp_path):
    """Where a trace may be written."""
    return tmp_path / "trace.json"


@pytest.mark.parametrize("kind", ["serial", "thread"])
def test_each_task_is_a_slice(path, kind, read_trace):
    """A task has its name, its outcome, its lane and its arrow."""
    with (
        ChromeTrace(path) as trace,
        load_executor(
            kind, max_workers=2, name="mine", observers=[trace]
        ) as executor,
    ):
        futures = [executor.submit(pow, 2, n) for n in range(50)]
        futures.append(executor.submit(int, "x"))
        executor.wait(futures, LIMIT)
        assert isinstance(futures[-1].exception(), ValueError)
    read = read_trace(path)
    assert read.names("process") == ["mine"]
    caller = threading.current_thread().name
    assert read.names("thread")[0] == caller
    workers = set(read.names("thread")[1:])
    assert workers <= {"mine_0", "mine_1"}
    assert bool(workers) is (kind == "thread")
    assert len(read.of("B", name="builtins.pow")) == 50
    assert len(read.of("B", name="builtins.int")) == 1
    assert len(read.of("X")) == len(read.of("s")) == len(read.of("f")) == 51
    assert read.counts() == {"succeeded": 50, "failed": 1}
    assert read.outcomes[read.of("M")[0]["pid"], 51] == "failed"
    assert trace.dropped == 0


def test_what_helps_is_drawn_inside(path, read_trace):
    """A task that its parent runs is in the parent's slice, and does not
    make one more that runs."""
    with (
        ChromeTrace(path) as trace,
        load_executor("thread", max_workers=1, observers=[trace]) as executor,
    ):

        def parent():
            return executor.submit(pow, 2, 3).result(LIMIT)

        assert executor.submit(parent).result(LIMIT) == 8
    read = read_trace(path)
    worker = read.of("B")[0]["tid"]
    inside = [r["ph"] for r in read.records if r["tid"] == worker]
    assert "".join(inside) == "MMBfXsBfEE"
    assert max(r["args"]["running"] for r in read.of("C")) == 1


def test_cancelled_and_saturated(path, read_trace):
    """What never ran is an instant at the end of its arrow; so is a submit
    that found no room."""
    with (
        ChromeTrace(path) as trace,
        load_executor(
            "thread",
            max_workers=1,
            max_queue=1,
            on_saturation="reject",
            observers=[trace],
        ) as executor,
    ):
        begun, go_on = threading.Event(), threading.Event()
        executor.submit(lambda: (begun.set(), go_on.wait(LIMIT)))
        assert begun.wait(LIMIT)
        waiting = executor.submit(int)
        with pytest.raises(ExecutorSaturated):
            executor.submit(int)
        assert waiting.cancel()
        go_on.set()
    read = read_trace(path)
    assert read.counts() == {"succeeded": 1, "cancelled": 1}
    (full,) = read.of("i", name="saturated")
    assert full["args"] == {"policy": "reject"}
    (cancelled,) = read.of("i", name="cancelled builtins.int")
    assert cancelled["args"] == {"task": 2}


@settings(deadline=None, max_examples=60)
@given(
    todo=st.lists(
        st.sampled_from(["succeed", "fail", "nest", "cancel"]), max_size=30
    ),
    workers=st.integers(1, 3),
    max_queue=st.sampled_from([None, 0, 1, 5]),
    policy=st.sampled_from(["reject", "caller_runs"]),
)
def test_each_accepted_task_is_there_once(
    tmp_path_factory, read_trace, todo, workers, max_queue, policy
):
    """As one slice, or as cancelled once; and as often as the executor has
    counted it."""
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    begun = threading.Semaphore(0)
    go_on = threading.Event()

    def hold():
        begun.release()
        go_on.wait(LIMIT)

    def fail():
        raise ValueError

    def nest():
        return executor.submit(pow, 2, 3).result(LIMIT)

    run = {"succeed": int, "fail": fail, "nest": nest, "cancel": int}
    with (
        ChromeTrace(path) as trace,
        load_executor(
            "thread",
            max_workers=workers,
            max_queue=max_queue,
            on_saturation=policy,
            observers=[trace],
        ) as executor,
    ):
        futures = [executor.submit(hold) for _ in range(workers)]
        for _ in futures:
            assert begun.acquire(timeout=LIMIT)
        for what in todo:
            try:
                future = executor.submit(run[what])
            except ExecutorSaturated:
                continue
            futures.append(future)
            if what == "cancel":
                future.cancel()
        go_on.set()
        for future in futures:
            if not future.cancelled():
                future.exception(LIMIT)
    read = read_trace(path)
    stats = executor.stats()
    assert read.counts() == {
        outcome: number
        for outcome in ("succeeded", "failed", "cancelled")
        if (number := getattr(stats, outcome))
    }
    assert len(read.outcomes) == len(read.of("X"))
    saturated = read.of("i", name="saturated")
    assert len(saturated) == stats.rejected + stats.caller_runs


def test_one_trace_of_a_scrub_and_of_others(path, tmp_path, read_trace):
    """Executors that share a trace are told apart, and so are their
    tasks."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "kept").touch()
    with (
        ChromeTrace(path) as trace,
        SQLiteCatalog(tmp_path / "catalog.sqlite") as catalog,
        load_executor("serial", name="one", observers=[trace]) as one,
        load_executor("thread", name="scrub", observers=[trace]) as scrub,
    ):
        for number in range(9):
            file = store / str(number)
            file.touch()
            catalog.add_image(file.name, [(file.as_uri(), None)])
            catalog.delete_image(file.name, 1.0)
        one.submit(int)
        report = Scrubber(
            scrub, catalog=catalog, store=FileStore(store)
        ).run_once()
        one.submit(int)
    assert report.ok
    read = read_trace(path)
    assert read.names("process") == ["one", "scrub"]
    assert len({r["id"] for r in read.of("s")}) == 2 + 9
    assert len(read.of("B", name="builtins.int")) == 2
    assert read.counts() == {"succeeded": 11}


@pytest.mark.parametrize("backlog", [0, 3, 1000])
def test_many_threads(path, read_trace, backlog, monkeypatch):
    """Many threads submit to several executors; nothing is lost, whether
    they wait for the writer or not."""
    monkeypatch.setattr(chrometrace, "_BACKLOG", backlog)
    with ChromeTrace(path) as trace, contextlib.ExitStack() as stack:
        executors = [
            stack.enter_context(
                load_executor(kind, name=f"{n}-{kind}", observers=[trace])
            )
            for n, kind in enumerate(["thread", "serial", "thread"])
        ]

        def submit_to_all():
            for executor in executors * 40:
                executor.submit(int).result(LIMIT)

        submitters = [
            threading.Thread(target=submit_to_all, name="same name")
            for _ in range(6)
        ]
        for thread in submitters:
            thread.start()
        for thread in submitters:
            thread.join(LIMIT)
    read = read_trace(path)
    assert read.counts() == {"succeeded": 6 * 3 * 40}


def test_tasks_go_on_while_one_writes(path, read_trace):
    """Whoever finds that somebody writes leaves its events there."""
    with (
        ChromeTrace(path) as trace,
        load_executor("thread", max_workers=2, observers=[trace]) as executor,
        trace._lock,
    ):
        futures = [executor.submit(pow, 2, n) for n in range(20)]
        assert not executor.wait(futures, LIMIT).not_done
    assert read_trace(path).counts() == {"succeeded": 20}


@pytest.mark.parametrize("last", ["submit", "close"])
def test_interrupted_in_the_middle_of_writing(
    path, read_trace, last, monkeypatch, caplog
):
    """A signal handler may submit, or close, while its thread writes."""
    trace = ChromeTrace(path)
    executor = load_executor("serial", observers=[trace])
    add = TraceFile.add
    arrows = itertools.count(1)

    def interrupted(file, record):
        # Between a slice and the arrow that binds to it.
        if record["ph"] == "s" and next(arrows) == 2:
            executor.submit(int)
            if last == "close":
                trace.close()
        add(file, record)

    monkeypatch.setattr(TraceFile, "add", interrupted)
    for _ in range(3):
        executor.submit(int)
    trace.close()
    read = read_trace(path, ended=last == "submit")
    ended = {1, 2, 3, 4} if last == "submit" else {1, 3}
    assert {task for _, task in read.outcomes} == ended
    assert len(read.of("s")) == (4 if last == "submit" else 3)
    assert caplog.messages == []


def test_threads_of_one_name(path, read_trace):
    """Each has a lane of its own, so that their slices don't mix."""
    first, second, go_on = (threading.Event() for _ in range(3))

    def fail():
        first.set()
        assert second.wait(LIMIT)
        raise ValueError

    def succeed():
        second.set()
        assert go_on.wait(LIMIT)

    with (
        ChromeTrace(path) as trace,
        load_executor("serial", observers=[trace]) as executor,
    ):
        threads = [
            threading.Thread(
                target=lambda fn=fn: executor.submit(fn).exception(),
                name="same name",
            )
            for fn in (fail, succeed)
        ]
        threads[0].start()
        assert first.wait(LIMIT)
        threads[1].start()
        threads[0].join(LIMIT)
        go_on.set()
        threads[1].join(LIMIT)
    read = read_trace(path)
    assert read.names("thread") == ["same name"] * 2
    assert list(read.outcomes.items()) == [
        ((1, 1), "failed"),
        ((1, 2), "succeeded"),
    ]


def test_a_full_trace_ends_what_was_begun(path, read_trace, caplog):
    """At its limit it says so, and leaves no slice without an end."""
    begun, go_on = threading.Event(), threading.Event()
    with (
        ChromeTrace(path, limit=100) as trace,
        load_executor("thread", max_workers=2, observers=[trace]) as executor,
    ):
        executor.submit(lambda: (begun.set(), go_on.wait(LIMIT)))
        assert begun.wait(LIMIT)
        executor.wait([executor.submit(int) for _ in range(50)], LIMIT)
        go_on.set()
    read = read_trace(path, ended=False)
    assert 100 <= len(read.records) < 120
    assert len(read.of("B")) == len(read.of("E"))
    assert caplog.messages == [
        f"{path} has 100 records, its limit: what begins is left out",
        f"{path} is not complete: {trace.dropped} events were left out",
    ]
    # Three for each task, and two for each worker.
    assert 0 < trace.dropped < 51 * 3 + 2 * 2


def test_nested_tasks_at_the_limit(path, read_trace):
    """Only what has a begin gets an end, the inner ones before the outer."""
    for limit in range(1, 60):
        trace = ChromeTrace(path.with_suffix(f".{limit}"), limit=limit)
        with trace, load_executor("serial", observers=[trace]) as executor:

            def nest(depth, executor=executor):
                if depth:
                    executor.submit(nest, depth - 1).exception()
                if depth % 2:
                    raise ValueError

            executor.submit(nest, 5).exception()
        read = read_trace(trace.path, ended=False)
        for (_, task), outcome in read.outcomes.items():
            assert outcome == ("failed" if task % 2 else "succeeded")
        assert len(read.of("B")) == len(read.of("E"))
        assert (trace.dropped > 0) is (len(read.outcomes) < 6)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import logging
logging.basicConfig(level="DEBUG")
from parallelops import load_executor
from parallelops.observe import ChromeTrace
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
with (
    ChromeTrace(sys.argv[1]) as trace,
    load_executor("thread", max_workers=2, observers=[trace]) as executor,
):
    results = list(executor.map(pow, range(3000), [2] * 3000))
assert results == [n * n for n in range(3000)]
"""


def test_a_full_disk_harms_no_task(path, read_trace):
    """It is logged once, and the file is whole up to there."""
    run = python(FULL_DISK, str(path))
    assert run.returncode == 0, run.stderr
    first, second = run.stderr.splitlines()
    assert "can't be written" in first
    assert "File too large" in first
    assert "events were left out" in second
    assert len(read_trace(path, ended=False).records) > 500


KILLED = """
import os, signal, sys
from parallelops import load_executor
from parallelops.observe import ChromeTrace
executor = load_executor("thread", observers=[ChromeTrace(sys.argv[1])])
list(executor.map(pow, range(500), [2] * 500))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_trace(path, read_trace):
    """It has whole records, and lacks only the last ones."""
    run = python(KILLED, str(path))
    assert run.returncode == -9, run.stderr
    read = read_trace(path, ended=False)
    assert len(read.outcomes) > 250


FORKED = """
import os, sys
from parallelops import load_executor
from parallelops.observe import ChromeTrace
with ChromeTrace(sys.argv[1]) as trace:
    executor = load_executor("serial", observers=[trace])
    executor.submit(int)
    trace._lock.acquire()  # as by another thread, which the child has not
    child = os.fork()
    if not child:
        for _ in range(2000):
            executor.submit(int)
        trace.close()
        os._exit(0)
    trace._lock.release()
    assert os.waitpid(child, 0) == (child, 0)
    executor.submit(int)
"""


def test_a_forked_child_leaves_the_file_alone(path, read_trace):
    """The file is its parent's; the child neither writes nor hangs."""
    run = python(FORKED, str(path))
    assert run.returncode == 0, run.stderr
    assert read_trace(path).counts() == {"succeeded": 2}


def test_a_file_that_is_there_is_kept(path):
    """Nothing is ever overwritten."""
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        ChromeTrace(path)
    assert path.read_text() == "precious"


def test_nothing_happened(path, read_trace):
    """A trace of nothing is one all the same; closing twice is no error."""
    with ChromeTrace(path) as trace:
        trace(Event(time=1.0))  # not an executor's
        assert str(path) in repr(trace)
    trace.close()
    assert read_trace(path).records == []


def test_what_comes_after_the_end_is_left_out(path, read_trace):
    """An executor may outlive the trace."""
    trace = ChromeTrace(path)
    with load_executor("serial", observers=[trace]) as executor:
        executor.submit(int)
        trace.close()
        assert executor.submit(pow, 2, 3).result() == 8
        trace._closing = False  # as for one that looked just before
        assert executor.submit(pow, 2, 3).result() == 8
    assert len(read_trace(path).outcomes) == 1
    assert not trace._events


@pytest.mark.parametrize("limit", [0, -1])
def test_bad_limit(path, limit):
    """A limit without records is a mistake; no file is made."""
    with pytest.raises(ValueError, match="limit"):
        ChromeTrace(path, limit=limit)
    assert not path.exists()


def test_a_stopped_worker_is_written_and_forgotten():
    """Workers that come and go leave nothing behind in memory; nor do
    tasks, whatever becomes of them."""
    timeline = Timeline()
    at = functools.partial(dict, time=1.0, executor="e")
    me = (1, "me")
    for number in range(1, 1001):
        worker = f"e_{number}"
        task = at(task=number, name="f")
        for event, thread in (
            (WorkerStarted(worker=worker, **at()), (number, worker)),
            (TaskSubmitted(**task), me),
            (TaskStarted(worker=worker, waited=0.0, **task), (number, worker)),
            (
                TaskFinished(worker=worker, ran=0.0, outcome="failed", **task),
                (number, worker),
            ),
            (WorkerStopped(worker=worker, **at()), (number, worker)),
        ):
            assert all(r["pid"] == 1 for r in timeline.add(event, thread))
    (process,) = timeline._processes.values()
    assert list(process.lanes) == [me]


def test_a_clock_that_stands_still():
    """In a simulation all may happen at once: submits still don't overlap,
    and arrows have something to bind to."""
    timeline = Timeline()
    records = [
        record
        for task in range(1, 4)
        for record in timeline.add(
            TaskSubmitted(time=5.0, executor="e", task=task, name="f"),
            (1, "me"),
        )
    ]
    submits = [r for r in records if r["ph"] == "X"]
    assert [r["ts"] for r in submits] == [5e6, 5e6 + 0.1, 5e6 + 0.2]
    assert all(r["dur"] == 0.1 for r in submits)


def test_threads_that_overtake_each_other():
    """The clock was read before another thread was faster to tell: the
    counters never go back in time."""
    timeline = Timeline()
    records = [
        record
        for task, time in ((1, 5.0), (2, 4.0))
        for record in timeline.add(
            TaskSubmitted(time=time, executor="e", task=task, name="f"),
            (task, "thread"),
        )
    ]
    counters = [record for record in records if record["ph"] == "C"]
    assert [r["ts"] for r in counters] == [5e6, 5e6]
    assert [r["args"]["queued"] for r in counters] == [1, 2]
    assert [r["ts"] for r in records if r["ph"] == "X"] == [5e6, 4e6]


def test_lines_in_the_log_wait_for_the_lock(path):
    """A log handler may run tasks itself; the lock is free by then."""
    free = []

    def try_lock():
        free.append(trace._lock.acquire(timeout=LIMIT))
        trace._lock.release()

    class Handler(logging.Handler):
        def emit(self, record):
            if "its limit" in record.msg:
                thread = threading.Thread(target=try_lock)
                thread.start()
                thread.join()
                executor.submit(int)

    handler = Handler()
    logger = logging.getLogger("parallelops.observe.chrometrace")
    logger.addHandler(handler)
    try:
        with (
            ChromeTrace(path, limit=1) as trace,
            load_executor("serial", observers=[trace]) as executor,
        ):
            executor.submit(int)
    finally:
        logger.removeHandler(handler)
    assert free == [True]


RUN_PYTEST = """
import sys
import parallelops
parallelops.prepare_process("greenthread")
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_green_threads():
    """The same holds in a process of green threads."""
    pytest.importorskip("eventlet", reason="the greenthread extra is missing")
    run = python(
        RUN_PYTEST, "-q", "-p", "no:cacheprovider", f"{GREEN}/traces.py"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
