"""Plug-ins: those built in, real ones that are installed, and broken ones.

What is installed is seen by a process when it starts, so most of these tests
look on from outside: they write distributions, and ask a new process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

import parallelops
from parallelops import PluginError
from parallelops.backends.serial import SerialExecutor
from parallelops.backends.thread import ThreadExecutor
from parallelops.plugins import (
    EXECUTORS,
    IMAGE_HANDLERS,
    LOCATION_STRATEGIES,
    Namespace,
    executor_class,
    executors,
    load_executor,
    prepare_process,
)

EXAMPLE = Path(__file__).parent / "example_plugin"

# A module with an executor that works.
WORKING = """
from parallelops.backends.serial import SerialExecutor
class Working(SerialExecutor): pass
"""


def install(
    site: Path, name: str, module: str = WORKING, **plugins: str
) -> None:
    """Write the distribution ``name`` 1.0, with a module, into ``site``."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    entries = "".join(f"{key} = {value}\n" for key, value in plugins.items())
    (info / "entry_points.txt").write_text(f"[{EXECUTORS.name}]\n{entries}")
    (site / f"{name}.py").write_text(module)


def run(site: Path, code: str) -> Any:
    """What ``code`` prints as JSON in a new process that sees ``site``."""
    prelude = """
    import json, sys
    from parallelops.plugins import *
    def show(value): print(json.dumps(value))
    def error(call, *args, **options):
        try:
            call(*args, **options)
        except BaseException as error:
            return [type(error).__name__, str(error)]
    """
    program = textwrap.dedent(prelude) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "cls"), [("serial", SerialExecutor), ("thread", ThreadExecutor)]
)
def test_builtins_are_loaded_by_name(
    name: str, cls: type[parallelops.Executor]
) -> None:
    """The name gives the class, and an executor that works."""
    assert executor_class(name) is cls
    with load_executor(name, max_workers=2) as executor:
        assert type(executor) is cls
        assert executor.submit(pow, 2, 10).result() == 1024


def test_an_executor_can_be_given_a_name() -> None:
    """``name`` is an option like others, besides the backend's name."""
    with load_executor("thread", name="scrub") as executor:
        assert executor.name == "scrub"


def test_builtins_need_no_entry_points(tmp_path: Path) -> None:
    """Loading one imports neither stevedore nor what reads entry points."""
    loaded = run(
        tmp_path,
        """
        load_executor("thread").shutdown()
        show(sorted({"importlib.metadata", "stevedore"} & set(sys.modules)))
        """,
    )
    assert loaded == []


def test_our_own_entry_points_do_not_count_twice(tmp_path: Path) -> None:
    """The built-ins are declared as entry points too, and work."""
    listed = run(
        tmp_path,
        """
        show([[p.name, p.distribution, p.target, p.error and str(p.error)]
              for p in executors() if p.name in EXECUTORS.builtins])
        """,
    )
    assert listed == [
        [name, "built in", target, None]
        for name, target in EXECUTORS.builtins.items()
    ]


@pytest.mark.once
def test_the_example_is_built_installed_and_loaded(tmp_path: Path) -> None:
    """A wheel of the example that authors copy works by its name alone."""
    source = shutil.copytree(EXAMPLE, tmp_path / "source")
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(tmp_path), str(source)),
        ],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet"),
            *("--no-deps", "--no-index", "--target", str(site), str(wheel)),
        ],
        check=True,
        capture_output=True,
    )
    priority, listed, refused = run(
        site,
        """
        import os
        def priority(): return os.getpriority(os.PRIO_PROCESS, 0)
        with load_executor("background", nice=15) as executor:
            gain = executor.submit(priority).result() - priority()
        show([
            gain,
            [[p.distribution, p.target, p.error]
             for p in executors() if p.name == "background"],
            error(load_executor, "background", nice=20),
        ])
        """,
    )
    assert priority == 15 - os.getpriority(os.PRIO_PROCESS, 0)
    assert listed == [
        [
            "parallelops-background 1.0",
            "parallelops_background:BackgroundExecutor",
            None,
        ]
    ]
    assert refused == ["ValueError", "nice must be from 0 to 19, not 20"]


def test_a_missing_plugin_is_named_and_guessed() -> None:
    """The error says what there is, and what was perhaps meant."""
    with pytest.raises(PluginError) as caught:
        load_executor("thraed")
    error = caught.value
    assert (error.namespace, error.plugin) == (EXECUTORS.name, "thraed")
    assert "did you mean 'thread'?" in str(error)
    assert {"greenthread", "serial"} <= set(re.findall(r"\w+", str(error)))


ABSTRACT = """
import parallelops
class Acme(parallelops.Executor):
    def submit(self, fn, /, *args, **kwargs): pass
"""
INSTANCE = "import parallelops; Acme = parallelops.load_executor('serial')"
FAILED = "loading acme:Acme failed: "
NO_EXECUTOR = (
    "acme:Acme is not a class that derives from parallelops.executor.Executor"
)
BROKEN = {
    "fails to import": (
        "import no_such",
        f"{FAILED}ModuleNotFoundError: No module named 'no_such'",
    ),
    "fails an assertion": (
        "assert False, 'on this machine'",
        f"{FAILED}AssertionError: on this machine",
    ),
    "exits": ("raise SystemExit(3)", f"{FAILED}SystemExit: 3"),
    "lacks the attribute": (
        "",
        f"{FAILED}AttributeError: module 'acme' has no attribute 'Acme'",
    ),
    "is a function": ("def Acme(**options): pass", NO_EXECUTOR),
    "is another class": ("class Acme: pass", NO_EXECUTOR),
    "is an executor": (INSTANCE, NO_EXECUTOR),
    "is abstract": (ABSTRACT, "acme:Acme does not implement shutdown, stats"),
}


@pytest.mark.once
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_one_error(tmp_path: Path, fault: str) -> None:
    """It names the plug-in, the distribution and the cause."""
    module, reason = BROKEN[fault]
    install(tmp_path, "acme", module, fast="acme:Acme")
    message = f"{EXECUTORS.name} plug-in 'fast' from acme 1.0: {reason}"
    raised, listed = run(
        tmp_path,
        """
        listed = [str(p.error) for p in executors() if p.name == "fast"]
        show([error(load_executor, "fast"), listed])
        """,
    )
    assert raised == ["PluginError", message]
    assert listed == [message]


def test_the_cause_of_a_broken_plugin_is_kept(tmp_path: Path) -> None:
    """Who handles the error finds the first one, and typed attributes."""
    install(tmp_path, "acme", "raise SystemExit(3)", fast="acme:Acme")
    cause, distributions = run(
        tmp_path,
        """
        try:
            executor_class("fast")
        except Exception as error:
            show([repr(error.__cause__), error.distributions])
        """,
    )
    assert cause == "SystemExit(3)"
    assert distributions == ["acme 1.0"]


def test_a_name_defined_twice_loads_neither(tmp_path: Path) -> None:
    """The error names both distributions; no code of theirs has run."""
    install(tmp_path, "acme", fast="acme:Working")
    install(tmp_path, "zenith", fast="zenith:Working")
    raised, listed, ran = run(
        tmp_path,
        """
        listed = [p.distribution for p in executors() if p.error]
        show([error(load_executor, "fast"), listed,
              sorted({"acme", "zenith"} & set(sys.modules))])
        """,
    )
    kind, message = raised
    assert kind == "PluginError"
    for part in ("'fast'", "acme 1.0", "zenith 1.0", "2 times"):
        assert part in message
    assert sorted(listed) == ["acme 1.0", "zenith 1.0"]
    assert ran == []


def test_a_builtin_cannot_be_shadowed(tmp_path: Path) -> None:
    """One that takes a built-in's name is listed as broken, never loaded."""
    install(tmp_path, "acme", "raise SystemExit", thread="acme:Working")
    module, listed, ran = run(
        tmp_path,
        """
        listed = [[p.distribution, str(p.error)] for p in executors()
                  if p.name == "thread" and p.error]
        show([executor_class("thread").__module__, listed,
              "acme" in sys.modules])
        """,
    )
    assert module == "parallelops.backends.thread"
    ((distribution, error),) = listed
    assert distribution == "acme 1.0"
    assert "acme 1.0" in error
    assert "shadowed by the built-in" in error
    assert not ran


def test_the_cache_of_stevedore_redirects_nothing(tmp_path: Path) -> None:
    """A file in the user's home cannot say what code is loaded."""
    site = tmp_path / "site"
    install(site, "acme", fast="acme:Working")
    (site / "evil.py").write_text(WORKING)
    by_stevedore, by_us = run(
        site,
        f"""
        import os, pathlib
        os.environ["XDG_CACHE_HOME"] = {str(tmp_path / "cache")!r}
        from stevedore import ExtensionManager, _cache
        evil = [["fast", "evil:Working", {EXECUTORS.name!r}]]
        digest, _ = _cache._hash_settings_for_path(tuple(sys.path))
        file = pathlib.Path(_cache._get_cache_dir(), digest)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({{"groups": {{{EXECUTORS.name!r}: evil}}}}))
        manager = ExtensionManager({EXECUTORS.name!r})
        show([manager["fast"].plugin.__module__,
              executor_class("fast").__module__])
        """,
    )
    assert by_stevedore == "evil"
    assert by_us == "acme"


def test_a_missing_dependency_is_passed_on(tmp_path: Path) -> None:
    """The error that says what to install is not wrapped in another."""
    module = """
from parallelops.errors import MissingDependency
raise MissingDependency("the acme backend", "acmelib", None)
"""
    install(tmp_path, "acme", module, fast="acme:Acme")
    raised, builtin, listed = run(
        tmp_path,
        """
        sys.modules["eventlet"] = sys.modules["distributed"] = None
        show([
            error(load_executor, "fast"),
            error(load_executor, "greenthread"),
            {p.name: type(p.error).__name__ for p in executors() if p.error},
        ])
        """,
    )
    assert raised == [
        "MissingDependency",
        "the acme backend needs acmelib: install acmelib",
    ]
    assert builtin[0] == "MissingDependency"
    assert listed == dict.fromkeys(
        ["fast", "greenthread", "dask"], "MissingDependency"
    )


def test_an_interrupt_is_passed_on(tmp_path: Path) -> None:
    """Control-C while a plug-in is imported is not the plug-in's fault."""
    install(tmp_path, "acme", "raise KeyboardInterrupt", fast="acme:Acme")
    assert run(tmp_path, "show(error(load_executor, 'fast'))") == [
        "KeyboardInterrupt",
        "",
    ]


def test_the_process_is_prepared_by_the_class(tmp_path: Path) -> None:
    """``prepare_process`` does what the backend of that name asks for."""
    module = """
from parallelops.backends.serial import SerialExecutor
class Working(SerialExecutor):
    @classmethod
    def prepare_process(cls): cls.prepared = True
"""
    install(tmp_path, "acme", module, fast="acme:Working")
    code = "prepare_process('fast'); show(executor_class('fast').prepared)"
    assert run(tmp_path, code) is True
    prepare_process("thread")


@pytest.mark.parametrize("name", ["serial", "thread"])
def test_a_builtin_names_an_option_it_does_not_take(name: str) -> None:
    """The error names executor and option, and guesses."""
    with pytest.raises(TypeError) as caught:
        load_executor(name, max_worker=3)
    assert str(caught.value) == (
        f"executor '{name}' takes no option 'max_worker'; "
        "did you mean 'max_workers'?"
    )


def test_type_errors_from_inside_are_not_masked(tmp_path: Path) -> None:
    """Only an option that nobody takes is put in other words."""
    module = """
from parallelops.backends.serial import SerialExecutor
def inner(): pass
class Few(SerialExecutor):
    def __init__(self, speed=1): super().__init__()
class Bug(SerialExecutor):
    def __init__(self, speed=1): inner(speed=speed)
class HiddenBug(SerialExecutor):
    def __init__(self, **options): inner(speed=1)
"""
    install(
        tmp_path,
        "acme",
        module,
        few="acme:Few",
        bug="acme:Bug",
        hidden="acme:HiddenBug",
    )
    errors = run(
        tmp_path,
        """
        show([
            error(load_executor, "few", sped=2),
            error(load_executor, "bug", speed=2),
            error(load_executor, "hidden", color=2),
        ])
        """,
    )
    inner = "inner() got an unexpected keyword argument 'speed'"
    assert errors == [
        [
            "TypeError",
            "executor 'few' takes no option 'sped'; did you mean 'speed'?",
        ],
        ["TypeError", inner],
        ["TypeError", inner],
    ]
    with pytest.raises(TypeError, match="max_workers must be a whole number"):
        load_executor("thread", max_workers="2")


def test_a_namespace_may_hold_any_callable() -> None:
    """Without a base class a plug-in is what can be called."""
    numbers = Namespace(
        name="parallelops.no_such_namespace",
        builtins={"root": "math:sqrt", "pi": "math:pi"},
    )
    assert numbers.load("root")(9) == 3
    with pytest.raises(PluginError, match="math:pi cannot be called"):
        numbers.load("pi")
    with pytest.raises(PluginError, match="did you mean 'root'"):
        numbers.load("rot")
    assert [bool(plugin.error) for plugin in numbers.installed()] == [
        False,
        True,
    ]


def test_the_built_in_come_first() -> None:
    """The list begins with what is always there, in a fixed order."""
    names = [plugin.name for plugin in executors()]
    assert names[:4] == ["serial", "thread", "greenthread", "dask"]
    assert names[4:] == sorted(names[4:])


@pytest.mark.parametrize(
    "namespace", [EXECUTORS, IMAGE_HANDLERS, LOCATION_STRATEGIES]
)
def test_what_is_built_in_is_declared_and_works(namespace: Namespace) -> None:
    """The entry points of the project are the built-ins, in that order."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    declared = tomllib.loads(project.read_text())["project"]["entry-points"]
    assert list(declared[namespace.name].items()) == list(
        namespace.builtins.items()
    )


def test_a_strategy_and_a_handler_are_found_by_name(tmp_path: Path) -> None:
    """Those of another distribution, as those built in; broken ones are
    named, with where they are from."""
    module = """
def last(locations, context): return locations[::-1]
def none(location, destination, context): pass
broken = 3
"""
    install(tmp_path, "acme", module)
    (tmp_path / "acme-1.0.dist-info" / "entry_points.txt").write_text(
        "[parallelops.location_strategies]\nlast = acme:last\n"
        "broken = acme:broken\n"
        "[parallelops.image_handlers]\nnone = acme:none\n"
    )
    ordered, handlers, refused = run(
        tmp_path,
        """
        from parallelops.images import *
        chain = load_strategy(["last", "random"])
        handlers = load_handlers(["none", "file"])
        show([
            list(load_strategy(["last"])([1, 2], SelectionContext())),
            [handler.__module__ for _, handler in handlers],
            error(load_strategy, ["broken"]),
        ])
        """,
    )
    assert ordered == [2, 1]
    assert handlers == ["acme", "parallelops.images.handlers.file"]
    kind, message = refused
    assert kind == "PluginError"
    assert "'broken' from acme 1.0: acme:broken cannot be called" in message
