"""The project keeps its own rules: each is a function over source text.

Every rule is tried on the whole project, and on a few lines that break it.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted(SOURCE.rglob("*.py"))
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# The rooms, from the ground up: a module may import from its own floor and
# from those below.
FLOORS = (
    {
        "errors",
        "events",
        "executor",
        "futures",
        "intake",
        "lazy",
        "naming",
        "redact",
        "runtime",
        "sqlitefile",
        "synchronization",
        "unseen",
        "waiting",
        "watchers",
        "watching",
    },
    {"backends", "keyed", "landing", "origin", "plugins", "ratelimit"},
    {"containers", "download", "images"},
    {"__main__", "cli", "config", "integrations", "observe", "testing"},
)
# On this floor nobody enters another room.
STRANGERS = {"containers", "download", "images"}
# The rest of the library has an executor handed in, and knows it by name.
MAY_IMPORT_BACKENDS = {"backends", "testing"}
# The package itself, which hands out names of the two lower floors.
FACE = "parallelops"
FACE_FLOOR = 1

# The one home of each third-party package, as a pattern of module names.
HOMES = {
    "cloudpickle": "parallelops.backends.dask",
    "distributed": "parallelops.backends.dask",
    "eventlet": "parallelops.backends.greenthread*",
    "glance": "parallelops.integrations.glance*",
    "glance_store": "parallelops.integrations.glance*",
    "greenlet": "parallelops.backends.greenthread*",
    "hypothesis": "parallelops.testing.strategies",
    "ironic_python_agent": "parallelops.integrations.ironic*",
    "libtorrent": "parallelops.download.swarm",
    "opentelemetry": "parallelops.observe.metrics",
    "oslo_config": "parallelops.config*",
    "prometheus_client": "parallelops.observe.metrics",
    "pytest": "parallelops.testing.plugin",
    "sqlalchemy": "parallelops.integrations.glance*",
    "stevedore": "parallelops.plugins",
    "tooz": "parallelops.containers.coordination",
    "tqdm": "parallelops.cli.*",
}

# Threads, clocks and chance come from a runtime, or a simulation could
# neither decide them nor replay them.
RUNTIME_ONLY = {"_thread", "queue", "random", "sched", "threading", "time"}
# Who may import them all the same, and why.
RUNTIME_DOORS = {
    ("parallelops.backends.greenthread*", "threading"): "patched by eventlet",
    ("parallelops.backends.greenthread*", "time"): "patched by eventlet",
    ("parallelops.runtime", "queue"): "the queue of real threads",
    ("parallelops.runtime", "random"): "the generator of every runtime",
    ("parallelops.runtime", "threading"): "the threads of real threads",
    ("parallelops.runtime", "time"): "the clocks of real threads",
    ("parallelops.synchronization", "queue"): "raises its Full and Empty",
    ("parallelops.testing.schedules", "random"): "chance of a schedule's own",
    ("parallelops.testing.simulat*", "_thread"): "real threads carry it",
    ("parallelops.testing.simulated", "random"): "a runtime, with its seed",
}

LONGEST_FILE = 400

DEFINITION = (ast.ClassDef, ast.FunctionDef)


# -- the rules: each yields what is wrong, as "line: what"


def imports(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Each imported name, its line, and whether it is for types only.

    ruff refuses relative imports.
    """
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module), level=0):
                names = [f"{module}.{alias.name}" for alias in node.names]
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                called = ast.unparse(node.func).rpartition(".")[2]
                if called in ("import_module", "__import__"):
                    names = [name]
        for name in names:
            yield node.lineno, name, id(node) in for_types


def floor_of(room: str) -> int | None:
    """On which floor a room is; None if nobody planned it."""
    if room == FACE:
        return FACE_FLOOR
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    return None


def room_of(module: str) -> str:
    """The room that a module is in."""
    return module.split(".")[1] if "." in module else FACE


def shut_doors(module: str, text: str) -> Iterator[str]:
    """Imports from a room that this one may not enter, be it for types."""
    here = room_of(module)
    floor = floor_of(here)
    if floor is None:
        yield f"1: {here} is not among the rooms of this test"
        return
    for line, name, _ in imports(ast.parse(text)):
        there = room_of(name)
        if name.split(".")[0] != FACE or there == here:
            continue
        above = floor_of(there)
        if above is None:
            # A name that the package hands out, as load_executor.
            above = FACE_FLOOR
        if (
            above > floor
            or (there in STRANGERS and here in STRANGERS)
            or (there == "backends" and here not in MAY_IMPORT_BACKENDS)
        ):
            yield f"{line}: {here} imports {name}"


def strays(module: str, text: str) -> Iterator[str]:
    """Third-party packages that are imported outside their one home."""
    known = {*sys.stdlib_module_names, FACE}
    for line, name, for_types in imports(ast.parse(text)):
        package = name.split(".")[0]
        home = HOMES.get(package, "")
        if (
            package not in known
            and not for_types
            and not fnmatch.fnmatchcase(module, home)
        ):
            yield f"{line}: {package} belongs to {home or 'no module'}"


def runtime_imports(text: str) -> Iterator[tuple[int, str]]:
    """Imports of what has to come from a runtime."""
    for line, name, for_types in imports(ast.parse(text)):
        package = name.split(".")[0]
        if package in RUNTIME_ONLY and not for_types:
            yield line, package


def may_import(door: tuple[str, str], module: str, package: str) -> bool:
    """Whether it is this door of ``RUNTIME_DOORS`` that lets them through."""
    return fnmatch.fnmatchcase(module, door[0]) and package == door[1]


def besides_the_runtime(module: str, text: str) -> Iterator[str]:
    """Threads, clocks and chance that come from somewhere else."""
    for line, package in runtime_imports(text):
        if not any(
            may_import(door, module, package) for door in RUNTIME_DOORS
        ):
            yield f"{line}: {package}, where a runtime is to be asked"


def definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """The names that a module has, and the statements they come from."""
    found: dict[str, ast.AST] = {}
    for statement in tree.body:
        definition = isinstance(statement, DEFINITION)
        for node in (statement,) if definition else ast.walk(statement):
            match node:
                case ast.Import() | ast.ImportFrom():
                    for alias in node.names:
                        found[alias.asname or alias.name] = node
                case ast.Name(ctx=ast.Store()):
                    found[node.id] = node
                case ast.ClassDef() | ast.FunctionDef():
                    found[node.name] = node
    return found


def undocumented(module: str, text: str) -> Iterator[str]:
    """Missing docstrings, and an ``__all__`` that does not fit."""
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield "1: the module has no docstring"
    defined = definitions(tree)
    exported: list[str] = []
    if "__all__" in defined:
        exported = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "__all__"
        )
    elif not module.rpartition(".")[2].startswith("_"):
        for name, node in defined.items():
            if isinstance(node, DEFINITION) and not name.startswith("_"):
                yield f"{node.lineno}: {name} is public, without an __all__"
    for name in exported:
        node = defined.get(name)
        if node is None:
            yield f"1: __all__ has {name}, the module has not"
        elif isinstance(node, DEFINITION) and not ast.get_docstring(node):
            yield f"{node.lineno}: {name} has no docstring"


def too_long(module: str, text: str) -> Iterator[str]:
    """A file that would be clearer as two."""
    lines = len(text.splitlines())
    if lines > LONGEST_FILE:
        yield f"{lines}: {module} is over {LONGEST_FILE} lines long"


RULES = [
    shut_doors,
    strays,
    besides_the_runtime,
    undocumented,
    too_long,
]


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(
    rule: Callable[[str, str], Iterator[str]],
) -> None:
    """No module of the library breaks a rule."""
    broken = [
        f"{path.relative_to(ROOT)}:{problem}"
        for module, path in MODULES.items()
        for problem in rule(module, path.read_text())
    ]
    assert not broken, "\n" + "\n".join(broken)


# -- each rule can fail


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("parallelops.executor", "import parallelops.plugins"),
        ("parallelops.executor", "from parallelops import plugins"),
        ("parallelops.executor", "from parallelops import load_executor"),
        ("parallelops.images.store", "from parallelops.download import x"),
        ("parallelops.download", "def f():\n import parallelops.images.x"),
        ("parallelops.keyed", "from parallelops.backends.pool import Pool"),
        ("parallelops.keyed", "from parallelops import backends"),
        ("parallelops.cli.demo", "import parallelops.backends.thread"),
        ("parallelops.plugins", "import_module('parallelops.cli')"),
        ("parallelops.shed", ""),
        (
            "parallelops.events",
            "if TYPE_CHECKING:\n from parallelops import config",
        ),
    ],
)
def test_a_shut_door_is_seen(module: str, text: str) -> None:
    """Whatever the form of the import, and whoever has no room."""
    assert list(shut_doors(module, text))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("parallelops", "from parallelops.plugins import load_executor"),
        ("parallelops.backends.pool", "from parallelops import waiting"),
        ("parallelops.cli.demo", "from parallelops import load_executor"),
        ("parallelops.images.store", "from parallelops.images import x"),
        ("parallelops.testing.x", "import parallelops.backends.pool"),
        ("parallelops.testing.x", "import concurrent.futures"),
    ],
)
def test_an_open_door_is_open(module: str, text: str) -> None:
    """What the plan allows is not refused."""
    assert not list(shut_doors(module, text))


def test_a_stray_package_is_seen() -> None:
    """A third-party package has one home, however it is imported."""
    for text in (
        "import stevedore",
        "from stevedore.driver import DriverManager",
        "def f():\n import stevedore",
        "importlib.import_module('stevedore.driver')",
    ):
        assert list(strays("parallelops.images", text)), text
        assert not list(strays("parallelops.plugins", text)), text
    assert list(strays("parallelops.plugins", "import requests"))


def test_a_stray_package_may_be_there_for_types() -> None:
    """An import that is never made loads nothing."""
    text = "if typing.TYPE_CHECKING:\n from oslo_config import cfg"
    assert not list(strays("parallelops.cli.scrub", text))


def test_going_round_the_runtime_is_seen() -> None:
    """Threads, clocks and chance of one's own are refused."""
    for text in ("import time", "from random import random", "import _thread"):
        assert list(besides_the_runtime("parallelops.keyed", text)), text
    text = "if TYPE_CHECKING:\n import random"
    assert not list(besides_the_runtime("parallelops.keyed", text))


def test_no_door_to_the_runtime_is_open_for_nothing() -> None:
    """An exception that nobody needs any more is taken back."""
    used = [
        (module, package)
        for module, path in MODULES.items()
        for _, package in runtime_imports(path.read_text())
    ]
    idle = [
        door
        for door in RUNTIME_DOORS
        if not any(may_import(door, *pair) for pair in used)
    ]
    assert not idle


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__all__ = []",
        '"""Doc."""\n__all__ = ["missing"]',
        '"""Doc."""\n__all__ = ["f"]\ndef f(): ...',
        '"""Doc."""\n__all__ = ["C"]\nclass C: ...',
        '"""Doc."""\n__all__ = ["f"]\nclass C:\n def f(): "Doc."',
        '"""Doc."""\ndef f(): "Doc."',
    ],
)
def test_a_missing_docstring_is_seen(text: str) -> None:
    """So is a public name that is not there, or that is not listed."""
    assert list(undocumented("parallelops.images", text))


def test_what_is_documented_passes() -> None:
    """Constants and what comes from elsewhere need no docstring here."""
    text = textwrap.dedent(
        '''
        """Doc."""
        from elsewhere import C
        __all__ = ["C", "N", "f"]
        N: int = 1
        def f(): "Doc."
        def _g(): ...
        '''
    )
    assert not list(undocumented("parallelops.images", text))


def test_a_long_file_is_seen() -> None:
    """One line too many is too many."""
    assert list(too_long("m", "\n" * (LONGEST_FILE + 1)))
    assert not list(too_long("m", "\n" * LONGEST_FILE))


# -- what is loaded, and what is said twice


def loaded_by(statement: str) -> set[str]:
    """The packages from outside the standard library that it loads."""
    code = f"""
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    packages = {name.split(".")[0] for name in json.loads(answer.stdout)}
    return packages - sys.stdlib_module_names


def test_importing_the_package_loads_nothing_else() -> None:
    """No third-party package is loaded before somebody asks for it."""
    assert loaded_by("import parallelops") == {"parallelops"}


def test_loading_something_else_is_seen() -> None:
    """The test above can fail."""
    assert "pluggy" in loaded_by("import pluggy")


def last_command(script: str) -> str:
    """The command that a shell script ends with."""
    return script.rstrip().rpartition("\n")[2]


def test_ci_runs_the_command_of_the_readme() -> None:
    """Who follows the README runs what CI runs."""
    command = last_command((ROOT / ".ci" / "run").read_text())
    assert command.endswith("nox")
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_the_version_is_the_same_everywhere() -> None:
    """The package says which version it is; so does its metadata."""
    init = (SOURCE / "parallelops" / "__init__.py").read_text()
    version = PYPROJECT["project"]["version"]
    assert re.findall(r'^__version__ = "(.*)"$', init, re.MULTILINE) == [
        version
    ]


def test_the_dependencies_are_the_agreed_ones() -> None:
    """A new dependency is a decision, not a line in a file."""
    names = {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in PYPROJECT["project"]["dependencies"]
    }
    assert names == {"libtorrent", "oslo.config", "stevedore"}


def test_a_newer_python_does_without_a_swarm() -> None:
    """libtorrent has wheels for some Pythons only, and no sources there."""
    (needed,) = (
        requirement
        for requirement in map(
            Requirement, PYPROJECT["project"]["dependencies"]
        )
        if requirement.name == "libtorrent"
    )
    assert needed.marker is not None
    wanted = {
        (python, kind): needed.marker.evaluate(
            {"python_version": python, "platform_python_implementation": kind}
        )
        for python in ("3.11", "3.13", "3.14")
        for kind in ("CPython", "PyPy")
    }
    assert [case for case, there in wanted.items() if there] == [
        ("3.11", "CPython"),
        ("3.13", "CPython"),
    ]
