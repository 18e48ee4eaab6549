"""A campaign shows how far it is, and survives being stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parallelops.testing import Exploration
from parallelops.testing.campaign import (
    CHUNK,
    Campaign,
    Scenario,
    main,
    scenarios_in,
)

pytestmark = pytest.mark.once

TESTS = """
from pathlib import Path
from parallelops.testing import explore

seeds = Path(__file__).with_name("seeds")


@explore(schedules=7, seed=1000)
def test_passes(sim):
    with seeds.open("a") as file:
        file.write(f"{sim.seed}\\n")


@explore(schedules=7)
def test_passes_too(sim):
    sim.runtime.sleep(1)


def test_is_not_explored():
    assert False
"""
MORE_THAN_SIM = """
from parallelops.testing import explore

@explore()
def test_it(sim, tmp_path):
    pass
"""
RACE = """
from parallelops.testing import explore


@explore(schedules=1)
def test_race(sim):
    order = []
    lock = sim.runtime.lock()

    def first():
        with lock:
            pass
        with lock:
            order.append(1)

    def second():
        with lock:
            order.append(2)

    sim.together(first, second)
    assert order == [1, 2]
"""


@pytest.fixture
def tests(tmp_path):
    """A file of tests that pass."""
    path = tmp_path / "test_them.py"
    path.write_text(TESTS)
    return path


def start(schedules, *arguments):
    """A campaign in a process of its own; each turn is a line."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "parallelops.testing.campaign"),
            *("--every", "0", str(schedules), *map(str, arguments)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_of(process, number):
    """So many lines that it says."""
    return [process.stderr.readline() for _ in range(number)]


def seeds_of(tests):
    """The seeds that were run, in order."""
    return [int(seed) for seed in tests.with_name("seeds").read_text().split()]


def test_says_how_far_it_is(tests, tmp_path, capsys):
    """How many of how many, how fast, how long still, and where it is; each
    schedule is run once, from the test's first seed on."""
    state = tmp_path / "kept" / "state.json"
    total = 5 * CHUNK
    assert main([str(total), str(tests), f"--state={state}", "--every=0"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert f"{CHUNK} of {total} schedules, " in lines[0]
    assert " a second, " in lines[0]
    assert " left; " in lines[0]
    assert lines[0].endswith("test_them.py::test_passes")
    assert lines[1].endswith("test_them.py::test_passes_too")
    assert lines[-1] == f"{total} schedules of 2 tests"
    assert seeds_of(tests) == list(range(1000, 1000 + total // 2))
    assert not state.exists()


def test_goes_on_after_a_kill(tests, tmp_path):
    """Of what it did at most one turn is done again, and nothing is left
    out. A later run begins anew."""
    state = tmp_path / "state.json"
    process = start(10**7, tests, f"--state={state}")
    lines_of(process, 5)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    process.stderr.close()
    kept = json.loads(state.read_text())
    place = kept[f"{tests}::test_passes"]
    assert place["strategy"] == "random"
    assert place["next_seed"] >= 1000 + 3 * CHUNK
    ran = seeds_of(tests)
    total = 2 * (place["next_seed"] - 1000) + 4 * CHUNK
    assert main([str(total), str(tests), f"--state={state}"]) == 0
    again = seeds_of(tests)[len(ran) :]
    assert again[0] == place["next_seed"]
    assert set(ran) | set(again) == set(range(1000, 1000 + total // 2))
    assert len(ran) + len(again) - total // 2 <= CHUNK
    assert not state.exists()


def test_goes_on_after_ctrl_c(tests, tmp_path):
    """It says so, with a status of its own."""
    state = tmp_path / "state.json"
    process = start(10**7, tests, f"--state={state}")
    lines_of(process, 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted after " in said
    assert "goes on from there" in said
    campaign = Campaign(scenarios_in([tests]), 10**7, state)
    assert campaign.done >= 3 * CHUNK


def test_stops_at_a_failure(tmp_path, capsys):
    """It says which schedule fails, and how to run that one; so does the
    next run at once, until it is mended."""
    tests, state = tmp_path / "test_race.py", tmp_path / "state.json"
    tests.write_text(RACE)
    arguments = ["1000", str(tmp_path), f"--state={state}"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "assert order == [1, 2]" in said
    assert "switches it fails as well" in said
    seed, _, command = (
        said.rpartition("PARALLELOPS_SEED=")[2].strip().partition(" ")
    )
    assert command == f"pytest {tests}::test_race"
    assert json.loads(state.read_text())[f"{tests}::test_race"][
        "next_seed"
    ] == int(seed)
    replay = subprocess.run(
        [sys.executable, "-m", *command.split(), "-p", "no:cacheprovider"],
        env={**os.environ, "PARALLELOPS_SEED": seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert replay.returncode == 1
    assert f"PARALLELOPS_SEED={seed}" in replay.stdout
    assert main(arguments) == 1
    assert f"PARALLELOPS_SEED={seed} " in capsys.readouterr().err
    tests.write_text(RACE.replace("    assert order", "    # assert order"))
    assert main([str(int(seed) + 5), *arguments[1:]]) == 0


def test_a_tree_is_run_in_one_turn(tmp_path):
    """There is no seed to go on from in the middle of it."""
    seen = []
    scenario = Scenario(
        "tree",
        lambda sim: seen.append(sim.seed),
        Exploration(strategy="bounded:1"),
    )
    campaign = Campaign([scenario], 3 * CHUNK, tmp_path / "state")
    assert len(list(campaign.run())) == 1
    assert campaign.done == 3 * CHUNK
    assert seen == [0]


def test_a_strategy_that_changed_begins_anew(tmp_path):
    """The seeds of the one are not those of the other."""

    def campaign(strategy):
        scenario = Scenario(
            "it", lambda sim: None, Exploration(strategy=strategy)
        )
        return Campaign([scenario], 3 * CHUNK, tmp_path / "state")

    next(campaign("random").run())
    assert campaign("random").done == CHUNK
    assert campaign("pct").done == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no explored tests"),
        (MORE_THAN_SIM, "takes more than sim"),
    ],
)
def test_files_that_it_cannot_run(tmp_path, text, said, capsys):
    """It names them, before it begins."""
    (tmp_path / "test_it.py").write_text(text)
    with pytest.raises(SystemExit) as caught:
        main(["10", str(tmp_path)])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_what_it_cannot_go_on_from(tests, tmp_path, capsys, monkeypatch):
    """A file that is not its own, no schedules, and a seed that is set."""
    state = tmp_path / "state"
    state.write_text("not mine")
    with pytest.raises(SystemExit):
        main(["10", str(tests), f"--state={state}"])
    assert "remove it to begin anew" in capsys.readouterr().err
    assert state.read_text() == "not mine"
    with pytest.raises(SystemExit):
        main(["0", str(tests)])
    monkeypatch.setenv("PARALLELOPS_SEED", "3")
    with pytest.raises(SystemExit):
        main(["10", str(tests)])
    assert "PARALLELOPS_SEED is set" in capsys.readouterr().err


def test_our_own_scenarios_can_be_run():
    """Each of tests/explored, by whoever runs the session explore."""
    here = Path(__file__).resolve().parents[1] / "explored"
    names = [scenario.name for scenario in scenarios_in([here])]
    assert len(names) >= 30
    assert len(set(names)) == len(names)
