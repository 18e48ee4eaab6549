"""The greenthread backend, in processes of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("eventlet", reason="the greenthread extra is missing")

GREEN = pathlib.Path(__file__).with_name("green")

RUN_PYTEST = """
import sys
import parallelops
parallelops.prepare_process("greenthread")
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with warnings as errors."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            # Eventlet warns of forking; a test process starts others.
            "-W",
            "ignore:Using fork:DeprecationWarning",
            "-c",
            code,
            *args,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        # Or pytest would complain that it cannot rewrite what it finds
        # imported, by the patch that must come before it.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


@pytest.mark.parametrize("name", ["contract", "hub"])
def test_in_a_patched_process(name):
    """A whole file of tests passes in a patched process."""
    run = python(
        RUN_PYTEST, "-q", "-p", "no:cacheprovider", f"{GREEN}/{name}.py"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_refuses_an_unpatched_process():
    """Without the patch it does not start, and says what to call."""
    run = python(
        "import parallelops\n"
        "try:\n"
        "    parallelops.load_executor('greenthread')\n"
        "except parallelops.errors.NotPatched as error:\n"
        "    print(error.modules, error)\n"
    )
    assert "prepare_process('greenthread')" in run.stdout, run.stderr
    assert "'time'" in run.stdout


def test_refuses_what_was_patched_too_late():
    """A module that kept a blocking function is named."""
    code = (
        "from time import sleep\n"
        "import parallelops\n"
        "parallelops.prepare_process('greenthread')\n"
        "try:\n"
        "    parallelops.load_executor('greenthread', allow_unpatched=[{}])\n"
        "except parallelops.errors.NotPatched as error:\n"
        "    print('refused', error.modules, error)\n"
        "else:\n"
        "    print('started')\n"
    )
    run = python(code.format(""))
    assert "refused ('__main__',)" in run.stdout, run.stderr
    assert "__main__ has time.sleep" in run.stdout
    run = python(code.format("'__main__'"))
    assert run.stdout == "started\n", run.stderr


def test_what_old_configuration_imports_is_not_too_late():
    """oslo.config before 10.0 imports wrapt, and a program reads its
    configuration before it knows that it is to be patched."""
    pytest.importorskip("wrapt")
    run = python(
        "import wrapt.synchronization\n"
        "import parallelops\n"
        "parallelops.prepare_process('greenthread')\n"
        "with parallelops.load_executor('greenthread') as executor:\n"
        "    print(executor.submit(int).result())\n"
    )
    assert run.stdout == "0\n", run.stderr


def test_importing_before_the_patch_does_no_harm():
    """The library may be imported before the process is patched."""
    run = python(
        "import parallelops\n"
        "import parallelops.backends.thread\n"
        "import parallelops.backends.serial\n"
        "import parallelops.images\n"
        "parallelops.prepare_process('greenthread')\n"
        "with parallelops.load_executor('greenthread') as executor:\n"
        "    print(executor.submit(pow, 2, 5).result(20))\n"
    )
    assert run.stdout == "32\n", run.stderr


def test_finishes_at_exit():
    """What was accepted is done when the interpreter exits."""
    run = python(
        "import parallelops\n"
        "parallelops.prepare_process('greenthread')\n"
        "import time\nfrom sys import stdout\nw = stdout.write\n"
        "executor = parallelops.load_executor('greenthread', max_workers=2)\n"
        "for n in range(6):\n"
        "    executor.submit(lambda n=n: (time.sleep(0.01), w(f'{n} ')))\n"
    )
    assert sorted(run.stdout.split()) == list("012345"), run.stderr


def test_says_when_eventlet_is_missing():
    """Without eventlet there is one clear error, with the remedy."""
    run = python(
        "import sys\n"
        "sys.modules['eventlet'] = None\n"
        "import parallelops\n"
        "try:\n"
        "    parallelops.load_executor('greenthread')\n"
        "except parallelops.MissingDependency as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'parallelops[greenthread]'" in run.stdout, run.stderr
