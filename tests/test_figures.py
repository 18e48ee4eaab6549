"""No figure in the documentation without the command that gives it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.test_docs import PAGES, ROOT

pytestmark = pytest.mark.once

FIGURE = re.compile(r"\b\d[\d.,]*( to [\d.,]+)? ?(%|(us|ms|x|times|copies)\b)")
COMMAND = re.compile(
    r"nox\s-s\s\w|\bbench_\w+\.py|pytest\stests/|parallelops\sdemo"
)
CODE = re.compile(r"^```(.*?)\n.*?^```$", re.MULTILINE | re.DOTALL)
SAID = "\n".join(page.read_text() for page in PAGES)
# What has been, and what words mean.
PAST = {"changelog.md", "vocabulary.md"}


def parts(text):
    """A page by its headings, without code, but with what commands print."""
    text = CODE.sub(
        lambda block: block[0] if block[1] == "console" else "", text
    )
    return re.split(r"^(?=#+ )", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_figure_has_its_command(page):
    """Under the same heading."""
    without = {
        part.partition("\n")[0]: figures.group()
        for part in parts(page.read_text())
        if (figures := FIGURE.search(part)) and not COMMAND.search(part)
    }
    assert page.name in PAST or not without


def test_the_commands_are_there():
    """Each file and session that is named; and each benchmark is named."""
    benchmarks = {path.name for path in Path(ROOT, "benchmarks").glob("b*.py")}
    assert set(re.findall(r"\bbench_\w+\.py", SAID)) == benchmarks
    noxfile = Path(ROOT, "noxfile.py").read_text()
    sessions = re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE)
    named = re.findall(r"nox\s-s\s([a-z ]+)", SAID)
    assert {name for line in named for name in line.split()} <= {*sessions}
    for path in re.findall(r"pytest\s(tests/[\w/.]*\w)", SAID):
        assert Path(ROOT, path).exists(), path
