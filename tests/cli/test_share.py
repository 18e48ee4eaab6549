"""What shells and ``man`` know of the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

SHARE = Path(__file__).resolve().parents[2] / "share"
BASH = SHARE / "bash-completion" / "completions" / "parallelops"
LIMIT = 60


def files(folder):
    """What is in the files of a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".py"
    }


def test_they_are_up_to_date(tmp_path):
    """``nox -s share`` writes them anew."""
    subprocess.run(
        [sys.executable, SHARE / "make.py", tmp_path],
        timeout=LIMIT,
        check=True,
    )
    made, kept = files(tmp_path), files(SHARE)
    stale = [name for name in made | kept if made.get(name) != kept.get(name)]
    assert not stale, "run: nox -s share"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("parallelops ex", {"executors"}),
        ("parallelops image torrent ", {"create", "show"}),
        ("parallelops scrub --dr", {"--drain", "--dry-run"}),
    ],
)
def test_bash_completes(words, offered):
    """The completions, as bash asks for them when Tab is pressed."""
    *before, last = words.split(" ")
    line = " ".join(f"'{word}'" for word in (*before, last))
    script = (
        f"source '{BASH}'; COMP_WORDS=({line}); "
        f"COMP_CWORD={len(before)}; COMP_LINE='{words}'; "
        f"COMP_POINT={len(words)}; "
        f"_shtab_parallelops parallelops '{last}' '{before[-1]}'; "
        f"printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    run = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    found = {word for word in run.stdout.split() if word != "-h"}
    assert found >= offered, run.stderr
    assert all(word.startswith(last) for word in found)


def test_zsh_reads_them():
    """No mistake of syntax, where zsh is installed."""
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    file = SHARE / "zsh" / "site-functions" / "_parallelops"
    subprocess.run([zsh, "-n", file], timeout=LIMIT, check=True)
