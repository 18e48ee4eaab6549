"""The documentation is true: what it shows is run, and does what it shows.

A page is one test. Its blocks run from top to bottom in an empty directory:
``python`` blocks in one interpreter with one namespace, the commands after a
``$`` in ``console`` and ``sh`` blocks in bash. What a page shows of a
command's output must be there, line by line, in that order; ``...`` stands
for anything. The one way to leave a block out is a comment right before it::

    <!-- not run: it needs a registry -->

A block that the reader is to save in a file is saved there, and not run::

    <!-- saved as service.py -->
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelops import config
from parallelops.backends.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

COMMANDS = ("console", "sh")
# What Sphinx reads is in braces.
SHOWN_ONLY = ("ini", "text", "toml", "{eval-rst}", "{toctree}")
LONGEST_PAGE = 120  # seconds

# Runs in an interpreter of its own. The code is padded, so that a traceback
# names the line of the page. Little is imported, since a page may want to
# patch the process first thing.
RUNNER = """
import sys
steps = eval(sys.stdin.read())
transcript = open(sys.argv[1], "w", buffering=1)
namespace = {"__name__": "__main__"}
for page, line, kind, text in steps:
    if kind == "python":
        code = compile("\\n" * line + text, page, "exec", dont_inherit=True)
        exec(code, namespace)
    elif kind == "file":
        name, _, content = text.partition("\\n")
        with open(name, "w") as file:
            file.write(content + "\\n")
    else:
        import json, subprocess
        ran = subprocess.run(
            ["bash", "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(json.dumps([line, ran.returncode, ran.stdout]), file=transcript)
print("the end", file=transcript)
"""


class BadPageError(Exception):
    """A page shows what cannot be run, or what is not so."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its opening fence."""

    language: str
    line: int
    text: str
    excluded: bool
    saved_as: str | None


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of a block, and the output that the page shows of it."""

    line: int
    text: str
    shown: tuple[str, ...]


def blocks_of(text: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    lines = iter(enumerate(text.splitlines(), 1))
    before = ""
    for number, line in lines:
        fence = re.fullmatch(r"( *)(`{3,}|~{3,})\s*([\w{}-]*).*", line)
        if fence is None:
            before = line.strip() or before
            continue
        indent, marks, language = fence.groups()
        body = []
        for _, inner in lines:
            if inner.strip() == marks:
                break
            body.append(inner.removeprefix(indent))
        else:
            raise BadPageError(f"{number}: the block has no end")
        excluded = re.fullmatch(r"<!-- not run: \S.* -->", before)
        saved = re.fullmatch(r"<!-- saved as ([\w.-]+) -->", before)
        yield Block(
            language,
            number,
            "\n".join(body),
            excluded is not None,
            saved.group(1) if saved else None,
        )
        before = ""


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block, each with its output as shown."""
    command, shown = "", []
    begin = block.line
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            if command:
                yield Command(begin, command, tuple(shown))
            begin, command, shown = number, line[2:], []
        elif not command:
            raise BadPageError(f"{number}: output, but of no command")
        elif command.endswith("\\"):
            command += "\n" + line.removeprefix("> ")
        else:
            shown.append(line)
    if command:
        yield Command(begin, command, tuple(shown))


def steps_of(text: str) -> Iterator[tuple[int, str, str | Command]]:
    """What to run for a page: line, kind, and what."""
    for block in blocks_of(text):
        if block.saved_as is not None:
            yield block.line, "file", f"{block.saved_as}\n{block.text}"
            continue
        if block.excluded or block.language in SHOWN_ONLY:
            continue
        if block.language == "python":
            yield block.line, "python", block.text
        elif block.language in COMMANDS:
            commands = list(commands_of(block))
            if not commands:
                raise BadPageError(f"{block.line}: no command after a $")
            for command in commands:
                if not re.match(r"(parallelops|python)\b", command.text):
                    raise BadPageError(
                        f"{command.line}: only parallelops and python are "
                        f"run here; exclude the block and say why"
                    )
                yield command.line, "command", command
        else:
            raise BadPageError(
                f"{block.line}: nobody knows what to do with a block of "
                f"{block.language or 'no language'}"
            )


def missing_line(shown: tuple[str, ...], output: str) -> str | None:
    """The first line shown that the output does not have in that order."""
    left = iter(output.splitlines())
    for line in shown:
        parts = map(re.escape, line.strip().split("..."))
        pattern = re.compile(".*".join(parts))
        if not any(pattern.fullmatch(real.strip()) for real in left):
            return line
    return None


def run_page(name: str, text: str, directory: Path) -> None:
    """Run all of a page.

    Raises:
        BadPageError: what happened is not what the page shows.
    """
    try:
        steps = list(steps_of(text))
    except BadPageError as error:
        raise BadPageError(f"{name}:{error}") from None
    commands = {
        line: what for line, _, what in steps if isinstance(what, Command)
    }
    work, transcript = directory / "work", directory / "transcript"
    work.mkdir()
    script = [
        (name, line, kind, getattr(what, "text", what))
        for line, kind, what in steps
    ]
    bin_directory = str(Path(sys.executable).parent)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER, str(transcript)],
        input=repr(script),
        cwd=work,
        env={
            **os.environ,
            "HOME": str(work),
            "PATH": os.pathsep.join([bin_directory, os.environ["PATH"]]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_PAGE,
        check=False,
    )
    entries = transcript.read_text().splitlines()
    ended = entries[-1:] == ["the end"]
    for entry in entries[: len(entries) - ended]:
        line, code, output = json.loads(entry)
        command = commands[line]
        missing = missing_line(command.shown, output)
        if code or missing is not None:
            what = f"exit status {code}" if code else f"no line {missing!r}"
            raise BadPageError(
                f"{name}:{line}: {what} from {command.text}\n{output}"
            )
    if ran.returncode or not ended:
        raise BadPageError(f"{name}: a block failed\n{ran.stdout}")


@pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)
def test_the_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    """Every block of the documentation runs, or says why not."""
    run_page(str(page.relative_to(ROOT)), page.read_text(), tmp_path)


# -- the harness can fail, and says where

GOOD = """
# A page

```python
number = 6
```

```python
from pathlib import Path
Path("answer.txt").write_text(str(number * 7))
```

1. A command in a list:

   ```console
   $ python -c "print('first'); print(open('answer.txt').read())" \\
   >   --unused
   first
   4...
   $ python -c ""
   ```

<!-- not run: it would delete everything -->
```sh
rm -rf /
```

<!-- saved as more.py -->
```python
print("saved")
```

```console
$ python more.py
saved
```

```ini
[parallelops]
```
"""


def test_a_good_page_runs(tmp_path: Path) -> None:
    """Blocks share a namespace and a directory, from top to bottom."""
    run_page("page.md", GOOD, tmp_path)
    assert (tmp_path / "work" / "answer.txt").read_text() == "42"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\n1 / 0\n```", r'(?s)"page.md", line 2.*ZeroDivisionError'),
        ("```python\nimport warnings\nwarnings.warn('x')\n```", "UserWarn"),
        ("```python\nraise SystemExit\n```", r"page.md: a block failed"),
        ("```console\n$ python -c 'print(1)'\n2\n```", r"page.md:2: no line"),
        (
            "```console\n$ python -c 'exit(3)'\n```",
            r"page.md:2: exit status 3",
        ),
        ("```console\n$ pip list\n```", r"page.md:2: only"),
        ("```sh\npython -V\n```", r"page.md:2: output"),
        ("```console\n```", r"page.md:1: no command"),
        ("```ruby\n```", r"page.md:1: nobody knows .* ruby"),
        ("```\n```", r"page.md:1: nobody knows .* no language"),
        ("\n```python", r"page.md:2: the block has no end"),
        (
            "<!-- not run: -->\n```python\n1 / 0\n```",
            "ZeroDivisionError",
        ),
        (
            "<!-- not run: x -->\n\nText.\n```python\n1 / 0\n```",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_bad_page_fails(page: str, message: str, tmp_path: Path) -> None:
    """The error says which page, which line, and what is wrong."""
    with pytest.raises(BadPageError, match=message):
        run_page("page.md", page, tmp_path)


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (("a", "c"), None),
        (("a...", "...3"), None),
        (("c", "a"), "a"),
        (("a", "a"), "a"),
        (("b",), "b"),
        (("...",), None),
    ],
)
def test_output_is_compared_loosely(
    shown: tuple[str, ...], missing: str | None
) -> None:
    """Each line shown has to be there, whole, after the one before."""
    assert missing_line(shown, "a\nb 1\nc\nd 2 3\n") == missing


# -- the options

BUILT_IN = {field.name: field.default for field in dataclasses.fields(Options)}
UNSET = (None, {}, dataclasses.MISSING)


def documented_options(text: str) -> dict[str, str]:
    """The options of a page, and the default that it gives of each."""
    entries = re.split(r"^### `(\w+)`$", text, flags=re.MULTILINE)[1:]
    options = {}
    for name, entry in zip(entries[::2], entries[1::2], strict=True):
        default = re.search(r"^Default: (none|`.+?`)", entry, re.MULTILINE)
        options[name] = default.group(1) if default else "not said"
    return options


def default_of(option: Any) -> str:
    """What the page is to give as the default of an option."""
    value = option.default
    if value is None:  # left to the backend, if it is one of its own
        value = BUILT_IN.get(option.dest)
    if isinstance(value, list):
        value = ",".join(value) or None
    return f"`{value}`".replace(".0`", "`") if value not in UNSET else "none"


def test_each_option_is_documented_with_its_default() -> None:
    """No option is missing from the reference, and none is made up."""
    page = (ROOT / "docs" / "reference" / "options.md").read_text()
    expected = {
        option.dest: default_of(option)
        for _, options in config.list_opts()
        for option in options
    }
    assert documented_options(page) == expected


def test_an_undocumented_default_is_seen() -> None:
    """A page that says nothing of a default, or another, is told apart."""
    page = "### `a`\n\nDefault: `4`.\n\n### `b`\n\nText.\n"
    assert documented_options(page) == {"a": "`4`", "b": "not said"}


def test_the_sample_file_is_up_to_date() -> None:
    """It is what the generator writes; ``nox -s sample`` writes it anew."""
    generated = subprocess.run(
        [
            *(sys.executable, "-m", "oslo_config.generator"),
            *("--namespace", "parallelops"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    sample = (ROOT / "docs" / "parallelops.conf.sample").read_text()
    # pytest would show all of both.
    stale = sample != generated
    assert not stale, "run: nox -s sample"
