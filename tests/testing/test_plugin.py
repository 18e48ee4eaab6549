"""The pytest plug-in, in runs of pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.once


def pytest_of(tmp_path, text, *arguments):
    """Run pytest on a file with this text."""
    (tmp_path / "test_it.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
    )


def test_executor_fixture(tmp_path):
    """A test with it runs on each backend; green ones say why not."""
    run = pytest_of(
        tmp_path,
        "def test_it(executor):\n"
        "    assert executor.submit(pow, 2, 3).result() == 8\n",
        "-vv",
    )
    assert run.returncode == 0, run.stdout
    for name in ("serial", "thread"):
        assert re.search(rf"test_it\[{name}\] PASSED", run.stdout)
    if "greenthread" in run.stdout:
        assert "prepare_process('greenthread')" in run.stdout


def test_own_fixture_of_that_name(tmp_path):
    """Who has a fixture of that name keeps it."""
    run = pytest_of(
        tmp_path,
        "import pytest\n"
        "@pytest.fixture\n"
        "def executor():\n"
        "    return 'mine'\n"
        "def test_it(executor):\n"
        "    assert executor == 'mine'\n",
    )
    assert "1 passed" in run.stdout


RACE = """
import pytest
counted = []
def test_it(sim):
    counted.append(sim.seed)
    lock = sim.runtime.lock()
    n = [0]
    def add():
        with lock:
            v = n[0]
        with lock:
            n[0] = v + 1
    sim.together(add, add)
    assert n[0] == 2
@pytest.mark.explore(schedules=7, strategy="pct")
def test_fine(sim, tmp_path):
    counted.append(sim.seed)
    assert tmp_path.exists()
def test_count():
    print("counted", counted.count(6), len(counted))
"""


def test_sim_fixture(tmp_path):
    """A test with it is explored, and a failure tells its seed."""
    run = pytest_of(tmp_path, RACE, "-s")
    assert run.returncode == 1
    assert "PARALLELOPS_SEED=" in run.stdout
    assert "1 failed, 2 passed" in run.stdout


def test_number_of_schedules(tmp_path):
    """--schedules says how many, where the marker does not."""
    run = pytest_of(
        tmp_path,
        "seeds = []\n"
        "def test_it(sim):\n"
        "    seeds.append(sim.seed)\n"
        "def test_number():\n"
        "    assert len(seeds) == 13\n",
        "--schedules=13",
    )
    assert "2 passed" in run.stdout, run.stdout
