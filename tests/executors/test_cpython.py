"""The standard library's own tests of thread pools, on the thread backend.

They are those of the Python that runs this, where it has them: many
installations leave them out.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from parallelops import load_executor

# What looks into the standard pool, and how it fails for that; and one that
# looks for the name of an error: ours has another, and is one.
NO = "AttributeError: 'ThreadExecutor' object has no attribute '{}'"
EXCLUDED = {
    "ThreadPoolExecutorTest.test_default_workers": NO.format("_max_workers"),
    "ThreadPoolExecutorTest.test_saturation": NO.format("_max_workers"),
    "ThreadPoolExecutorTest.test_idle_thread_reuse": NO.format("_threads"),
    "ThreadPoolShutdownTest.test_threads_terminate": NO.format("_threads"),
    "ThreadPoolShutdownTest.test_context_manager_shutdown": NO.format(
        "_threads"
    ),
    "ThreadPoolShutdownTest.test_del_shutdown": NO.format("_threads"),
    "ThreadPoolShutdownTest.test_shutdown_no_wait": NO.format("_threads"),
    "ThreadPoolShutdownTest.test_thread_names_assigned": NO.format("_threads"),
    "ThreadPoolShutdownTest.test_thread_names_default": NO.format("_threads"),
    "ThreadPoolFailingInitializerTest.test_initializer": NO.format("_broken"),
    "ThreadPoolShutdownTest.test_submit_after_interpreter_shutdown": (
        "'RuntimeError: cannot schedule new futures' not found in"
    ),
}

RUN_TESTS = """
import concurrent.futures, faulthandler, importlib, json, os, sys, unittest
faulthandler.dump_traceback_later(100, exit=True)
from test.support import script_helper
from parallelops.backends.thread import ThreadExecutor

concurrent.futures.ThreadPoolExecutor = ThreadExecutor

# Some tests run a script that imports the class by its name.
run_script = script_helper.assert_python_ok

def run_our_script(*args, **env):
    ours = "from parallelops.backends.thread import ThreadExecutor"
    pairs = {
        "from concurrent.futures import ThreadExecutor": ours,
        "from concurrent.futures import ThreadPoolExecutor":
            ours + " as ThreadPoolExecutor",
    }
    for old, new in pairs.items():
        args = [arg.replace(old, new) for arg in args]
    return run_script(*args, **env)

script_helper.assert_python_ok = run_our_script

def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        elif getattr(test, "executor_type", None) is ThreadExecutor:
            yield test

def name(test):
    return f"{type(test).__name__}.{test._testMethodName}"

module = importlib.import_module(sys.argv[1])
suite = unittest.defaultTestLoader.loadTestsFromModule(module)
tests = list(tests_of(suite))
for test in tests:
    if name(test) in sys.argv[2:]:
        # It will fail, and leave tasks behind that nobody ends.
        test.tearDown = lambda: None
result = unittest.TextTestRunner().run(unittest.TestSuite(tests))
print()
print(json.dumps({
    "run": [name(test) for test in tests],
    "failed": {
        name(getattr(test, "test_case", test)): text.splitlines()[-1]
        for test, text in result.failures + result.errors
    },
}))
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
"""


def modules() -> list[str]:
    """The modules with the tests; none if this Python has none."""
    package = "test.test_concurrent_futures"
    try:
        spec = importlib.util.find_spec(package)
    except ImportError:
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [package]  # until Python 3.11
    parts = ("as_completed", "init", "shutdown", "thread_pool", "wait")
    return [f"{package}.test_{part}" for part in parts]


def run(module: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a module in a process of their own."""
    return subprocess.run(
        [sys.executable, "-c", RUN_TESTS, module, *EXCLUDED],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_they_pass():
    """All of them but those that read what the standard pool keeps to
    itself, which fail for that: one that passes is to be excluded no
    more."""
    if not modules():
        pytest.skip("this Python was installed without its tests")
    with load_executor("thread") as executor:
        runs = list(executor.map(run, modules()))
    ran, failed, logs = set(), {}, []
    for each in runs:
        assert each.stdout, each.stderr
        outcome = json.loads(each.stdout.splitlines()[-1])
        ran.update(outcome["run"])
        failed.update(outcome["failed"])
        logs.append(each.stderr)
    assert len(ran) > 40
    logs = "\n".join(logs)
    assert failed.keys() == EXCLUDED.keys() & ran, logs
    for name, error in failed.items():
        assert EXCLUDED[name] in error, logs
