"""The wheel and the sdist have what belongs there, and nothing else.

``nox -s release`` builds them, and says where they are.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

if "PARALLELOPS_DIST" not in os.environ:
    pytest.skip("nothing is built: nox -s release", allow_module_level=True)

DIST = Path(os.environ["PARALLELOPS_DIST"])
ROOT = Path(__file__).resolve().parents[1]


def the(pattern):
    """The one file of that name."""
    (found,) = DIST.glob(pattern)
    return found


@pytest.fixture
def wheel():
    """What is in the wheel: names without the version, and contents."""
    with zipfile.ZipFile(the("*.whl")) as file:
        return {
            name.partition("-")[2].partition(".")[2].partition(".")[2]
            if name.startswith("parallelops-")
            else name: file.read(name)
            for name in file.namelist()
        }


def test_the_wheel_has_all_modules_and_no_more(wheel):
    """And the mark that says it is typed; no tests, no documentation."""
    source = ROOT / "src" / "parallelops"
    modules = {
        f"parallelops/{path.relative_to(source)}"
        for path in source.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {x for x in wheel if x.startswith("parallelops/")} == modules
    assert "parallelops/py.typed" in modules
    data = {name for name in wheel if "data/" in name}
    assert {name.partition("data/data/share/")[2] for name in data} == {
        "bash-completion/completions/parallelops",
        "man/man1/parallelops.1",
        "parallelops/parallelops.conf.sample",
        "zsh/site-functions/_parallelops",
    }
    about = {name for name in wheel if "dist-info/" in name}
    assert {name.partition("dist-info/")[2] for name in about} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt"),
        "licenses/LICENSE",
    }
    assert len(wheel) == len(modules | data | about)


def test_the_sdist_makes_the_same_wheel():
    """Bit by bit, whether it is built there or here."""
    assert the("*.whl").read_bytes() == the("here/*.whl").read_bytes()


def test_the_sdist_can_be_tested():
    """It has the tests and what they read, and nothing that is made."""
    with tarfile.open(the("*.tar.gz")) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert names >= {
        *(".ci/run", "LICENSE", "README.md", "noxfile.py", "pyproject.toml"),
        *("docs/changelog.md", "share/make.py", "tests/test_project.py"),
    }
    unwanted = (".pyc", ".so", ".sqlite", ".whl", "journal")
    assert not [name for name in names if name.endswith(unwanted)]
