"""The faults of the standard library's thread pool, which this one has not.

Each scenario says "right" at its end. It is run on both pools, so that we
know that it bites, and that it is fair.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from parallelops import load_executor

# Seconds after which a process of its own counts as hanging: many of the
# standard pool's do, and none of ours may, however slow the machine is.
LIMIT = 4
PATIENCE = 60

PREPARE = """
import faulthandler, sys
faulthandler.dump_traceback_later({limit}, exit=True)
import collections, contextvars, gc, itertools, logging, os, signal
import threading, time, traceback, warnings
from concurrent import futures
import parallelops

def make(max_workers, **options):
    if {standard}:
        return futures.ThreadPoolExecutor(max_workers)
    return parallelops.load_executor(
        "thread", max_workers=max_workers, **options
    )

def tell(right):
    print("right" if right else "wrong", flush=True)

def until(condition):
    while not condition():
        time.sleep(0.001)
"""

FAULTS = {
    "a task that waits for its own pool": """
executor = make(1)
tell(executor.submit(lambda: executor.submit(int).result()).result() == 0)
""",
    "a task that waits for itself": """
executor, own, known = make(1), [], threading.Event()
own.append(executor.submit(lambda: known.wait() and own[0].result()))
known.set()
tell(isinstance(own[0].exception(), parallelops.DeadlockError))
""",
    "two pools that wait for each other": """
pools, both = [make(1), make(1)], threading.Barrier(2)
def cross(other):
    both.wait()
    return other.submit(int).result()
waiting = [one.submit(cross, two) for one, two in (pools, pools[::-1])]
kinds = [type(future.exception()) for future in waiting]
tell(parallelops.DeadlockError in kinds)
""",
    "context variables are lost": """
variable = contextvars.ContextVar("variable", default="lost")
variable.set("there")
with make(1) as executor:
    tell(executor.submit(variable.get).result() == "there")
""",
    "context variables leak": """
variable = contextvars.ContextVar("variable", default="clean")
with make(1) as executor:
    executor.submit(variable.set, "leaked").result()
    tell(executor.submit(variable.get).result() == "clean")
""",
    "wait() does not see what shutdown cancelled": """
executor, gate = make(1), threading.Event()
executor.submit(gate.wait)
queued = executor.submit(int)
executor.shutdown(wait=False, cancel_futures=True)
seen = futures.wait([queued], 0.5).done
gate.set()
tell(seen == {queued})
""",
    "the queue has no bound": """
executor, gate, accepted = make(1), threading.Event(), []
executor.submit(gate.wait)
def flood():
    for _ in range(5000):
        accepted.append(executor.submit(int))
thread = threading.Thread(target=flood)
thread.start()
until(lambda: len(accepted) >= 1000)
thread.join(0.5)
bounded = len(accepted) == 1000
gate.set()
tell(bounded)
""",
    "map reads all of its input": """
read = []
with make(1) as executor:
    results = executor.map(abs, map(read.append, range(5000)))
    tell(len(read) < 5000)
""",
    "nobody hears of a failure": """
heard = []
class Hear(logging.Handler):
    def emit(self, record):
        heard.append(record.getMessage())
logging.getLogger().addHandler(Hear())
with make(1) as executor:
    executor.submit(int, "x")
gc.collect()
tell(len(heard) == 1)
""",
    "the traceback grows with each look": """
def look():
    try:
        future.result()
    except ValueError as error:
        return len(traceback.extract_tb(error.__traceback__))
with make(1) as executor:
    future = executor.submit(int, "x")
    tell(look() == look() == look())
""",
    "SystemExit in a callback takes the worker": """
threading.excepthook = lambda _: None
gate = threading.Event()
executor = make(1)
future = executor.submit(gate.wait)
future.add_done_callback(lambda _: sys.exit())
gate.set()
future.result()
tell(executor.submit(int).result() == 0)
""",
    "a task that shuts its pool down fails": """
executor = make(1)
tell(executor.submit(executor.shutdown).exception() is None)
""",
    "a submit in a signal handler": """
executor = make(2, max_queue=None)
signal.signal(signal.SIGALRM, lambda *_: executor.submit(int))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(20_000):
    executor.submit(int)
signal.setitimer(signal.ITIMER_REAL, 0)
tell(True)
""",
    "a submit in a finalizer": """
executor = make(2, max_queue=None)
class Dying:
    def __init__(self):
        self.own = self
    def __del__(self):
        executor.submit(int)
gc.freeze()
for allocations in [*range(1, 100)] * 20:
    gc.collect()
    gc.set_threshold(allocations)
    Dying()
    executor.submit(int)
tell(True)
""",
    "what submit refused for want of a thread runs": """
start, threading.Thread.start = threading.Thread.start, None
executor, ran = make(1), []
try:
    executor.submit(ran.append, 1)
except Exception:
    threading.Thread.start = start
executor.submit(int).result()
tell(not ran)
""",
    "a forked child": """
warnings.simplefilter("ignore", DeprecationWarning)
executor = make(1)
executor.submit(int).result()
pid = os.fork()
if not pid:
    try:
        executor.submit(int).result(0.5)
    except BaseException:
        os._exit(1)
    os._exit(0)
tell(os.waitpid(pid, 0)[1] == 0)
""",
    "a with block that fails runs what is queued": """
gate, ran = threading.Event(), []
try:
    with make(1) as executor:
        executor.submit(gate.wait)
        queued = executor.submit(ran.append, 1)
        threading.Timer(0.1, gate.set).start()
        raise LookupError
except LookupError:
    tell(not ran)
""",
    "one Ctrl-C is not enough": """
# As Ctrl-C would, when all is submitted.
signal.signal(signal.SIGALRM, signal.default_int_handler)
try:
    with make(1) as executor:
        for _ in range(500):
            last = executor.submit(time.sleep, 0.1)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        last.result()
except KeyboardInterrupt:
    tell(True)
""",
    "a task that never ends keeps the process": """
logging.disable()
executor = make(1, exit_timeout=0.1)
executor.submit(threading.Event().wait)
tell(True)
""",
}


def outcome(code: str, standard: bool) -> str:
    """What a process that runs the scenario says, if it ends."""
    limit = LIMIT if standard else PATIENCE
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            PREPARE.format(limit=limit, standard=standard) + code,
        ],
        capture_output=True,
        text=True,
        timeout=10 * limit,
        check=False,
    )
    if "Timeout (" in run.stderr:
        return "hangs"
    return run.stdout.strip() or f"raises\n{run.stderr}"


@pytest.fixture(scope="module")
def outcomes():
    """Futures of the outcomes, by scenario and by whose pool it is."""
    with load_executor("thread", max_workers=8) as executor:
        yield {
            (name, standard): executor.submit(outcome, code, standard)
            for name, code in FAULTS.items()
            for standard in (True, False)
        }
        executor.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", FAULTS)
def test_the_standard_pool_has_it(outcomes, name):
    """The scenario goes wrong, hangs, or ends in an error."""
    said = outcomes[name, True].result().partition("\n")[0]
    assert said in {"wrong", "hangs", "raises"}


@pytest.mark.parametrize("name", FAULTS)
def test_this_pool_has_it_not(outcomes, name):
    """The same scenario goes well."""
    assert outcomes[name, False].result() == "right"
