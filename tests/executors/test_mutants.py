"""The contract catches what it is there to catch.

It is run on copies of the library, each with one bug; see mutants.py.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import parallelops
from parallelops import load_executor

pytestmark = pytest.mark.once

PACKAGE = pathlib.Path(parallelops.__file__).parent

# Seconds for one wait, and for one test, which takes a few waits at most.
LIMIT = 1.0
TOO_LONG = 5

RUN_CONTRACT = """
import faulthandler, os, pathlib, sys, unittest
faulthandler.dump_traceback_later({too_long} * 3, exit=True)
import parallelops
assert pathlib.Path(parallelops.__file__).is_relative_to(sys.argv[1])
from parallelops import load_executor
from parallelops.testing import ExecutorContract

class Contract(ExecutorContract, unittest.TestCase):
    limit = {limit}

    def setUp(self):
        faulthandler.dump_traceback_later({too_long}, exit=True)
        super().setUp()

    def make(self, **options):
        return load_executor("thread", **options)

main = unittest.main(argv=["contract"], failfast=True, exit=False)
sys.stdout.flush()
sys.stderr.flush()
# Workers may be stuck for ever.
os._exit(0 if main.result.wasSuccessful() else 1)
"""


def _mutants():
    """The module beside this one, which is not on the path."""
    path = pathlib.Path(__file__).with_name("mutants.py")
    spec = importlib.util.spec_from_file_location("mutants", path)
    module = sys.modules["mutants"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MUTANTS


MUTANTS = _mutants()


def run_contract(folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the contract on the copy of the package in ``folder``."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            RUN_CONTRACT.format(limit=LIMIT, too_long=TOO_LONG),
            str(folder),
        ],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a copy without a bug, on which the contract passes."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copytree(PACKAGE, folder / PACKAGE.name)
    run = run_contract(folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def runs(original, tmp_path_factory):
    """The runs of the contract on the mutants, as futures by name."""

    def run(mutant):
        folder = tmp_path_factory.mktemp("mutant")
        shutil.copytree(original, folder, dirs_exist_ok=True)
        mutant.apply(folder / PACKAGE.name)
        return run_contract(folder)

    # Those that hang leave room for others.
    workers = 2 * len(os.sched_getaffinity(0))
    with load_executor("thread", max_workers=workers) as executor:
        yield {mutant.name: executor.submit(run, mutant) for mutant in MUTANTS}
        executor.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(runs, mutant):
    """One of the tests of the contract fails, or does not end."""
    run = runs[mutant.name].result()
    assert run.returncode != 0, "the contract does not notice it"
    caught = re.findall(r"^(?:FAIL|ERROR): (\w+)", run.stderr, re.MULTILINE)
    hung = "Timeout (0:00:" in run.stderr  # says faulthandler
    # Not because it cannot even be imported.
    assert caught or hung, run.stderr


def test_mutants_have_different_names():
    """Or one would hide another."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
