"""The pytest plug-in: the fixtures ``sim`` and ``executor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.executor import Executor

__all__ = ["executor", "sim"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --schedules."""
    parser.getgroup("parallelops").addoption(
        "--schedules",
        type=int,
        default=200,
        metavar="N",
        help="schedules for tests that have the fixture sim (default: 200)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line(
        "markers",
        "explore(schedules, strategy, ...): how a test with the fixture sim "
        "is explored; the arguments of parallelops.testing.explore",
    )


@pytest.fixture
def sim() -> Any:
    """A test that has this runs under many schedules; see
    :class:`parallelops.testing.Sim`."""
    return None  # each schedule has its own


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Explore the tests that have the fixture ``sim``."""
    names = pyfuncitem._fixtureinfo.argnames
    if "sim" not in names:
        return None
    from parallelops.testing.exploring import explore

    marker = pyfuncitem.get_closest_marker("explore")
    args = marker.args if marker else ()
    kwargs = dict(marker.kwargs) if marker else {}
    if not args:
        kwargs.setdefault(
            "schedules", pyfuncitem.config.getoption("schedules")
        )
    others = {
        name: pyfuncitem.funcargs[name] for name in names if name != "sim"
    }
    explore(*args, **kwargs)(pyfuncitem.obj)(**others)
    return True


def _backends() -> list[str]:
    from parallelops import plugins
    from parallelops.executor import Traits

    names = []
    for found in plugins.executors():
        if found.error is None:
            cls = plugins.executor_class(found.name)
            if getattr(cls, "traits", Traits()).shared_memory:
                names.append(found.name)
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that have our fixture ``executor`` on each backend."""
    definitions = metafunc._arg2fixturedefs.get("executor", ())
    if definitions and definitions[-1].func.__module__ == __name__:
        metafunc.parametrize("executor", _backends(), indirect=True)


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor of each installed backend, shut down after the test.

    Green threads are skipped in a process that is not patched for them.
    """
    from parallelops import load_executor
    from parallelops.errors import NotPatched

    try:
        made = load_executor(request.param)
    except NotPatched as error:
        pytest.skip(str(error))
    with made:
        yield made
