"""Container operations on green threads, in a process of their own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
FILES = ("operations", "requests", "failures", "failing_journal")

RUN_PYTEST = """
import sys
import parallelops
parallelops.prepare_process("greenthread")
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_same_on_green_threads():
    """All that holds for real threads."""
    pytest.importorskip("eventlet", reason="the greenthread extra is missing")
    run = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", RUN_PYTEST),
            *("-q", "-p", "no:cacheprovider"),
            *(HERE / f"test_{name}.py" for name in FILES),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "PARALLELOPS_TEST_EXECUTOR": "greenthread",
            # Or pytest would complain that it cannot rewrite what it finds
            # imported, by the patch that must come before it.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
