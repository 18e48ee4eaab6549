"""Every public name is documented, is shown in use, and is tested.

The rooms are those of docs/reference/names.md. That a page shows a name is
looked for in its code; errors and events have tables that have all of them.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from parallelops import errors

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
ROOMS = re.findall(
    r"^\.\. automodule:: (\S+)$",
    (REFERENCE / "names.md").read_text(),
    re.MULTILINE,
)
CODE = "\n".join(
    block
    for page in (ROOT / "docs").rglob("*.md")
    for block in re.findall(
        r"```python\n(.*?)```", page.read_text(), re.DOTALL
    )
)
TESTS = "\n".join(
    path.read_text()
    for path in (ROOT / "tests").rglob("*.py")
    if path.name != "test_names.py"
)


def names():
    """Each public name once, with the room that has it first."""
    found = {}
    for room in ROOMS:
        for name in importlib.import_module(room).__all__:
            found.setdefault(name, room)
    return sorted(found.items())


def in_words(text):
    """The names that occur in it."""
    return set(re.findall(r"\w+", text))


def rows(page):
    """The names in the first column of the tables of a page."""
    text = (REFERENCE / page).read_text()
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_each_name_has_a_docstring():
    """Of a class or function; other values say it where they are made."""
    bare = [
        f"{room}.{name}"
        for name, room in names()
        if inspect.isroutine(
            value := getattr(importlib.import_module(room), name)
        )
        or inspect.isclass(value)
        if not inspect.getdoc(value)
    ]
    assert not bare


def test_each_name_is_shown():
    """In code that runs, or in a table of the reference."""
    shown = in_words(CODE) | rows("errors.md") | rows("events.md")
    assert not {name for name, _ in names()} - shown


def test_each_name_is_tested():
    """Some test names it, or some page that runs as one."""
    named = in_words(TESTS) | in_words(CODE)
    assert not {name for name, _ in names()} - named


def test_each_error_is_listed():
    """With what else it is, so that one knows what catches it."""
    page = (REFERENCE / "errors.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert set(table) == set(errors.__all__)
    for name, also in table.items():
        bases = [
            base.__name__
            for base in getattr(errors, name).__mro__[1:]
            if base not in (Exception, BaseException, object)
            and base is not errors.ParallelopsError
        ]
        assert re.findall(r"\w+", also) == bases, name
