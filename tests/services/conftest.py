"""Real servers of others: Swift, memcached, nginx, Varnish, opentracker."""

from __future__ import annotations

import importlib.util
import warnings

import pytest

needed = ("swift", "swiftclient", "glance_store", "libtorrent")
missing = [name for name in needed if importlib.util.find_spec(name) is None]

# Nothing is collected without them: the session "services" has them all.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import swiftclient  # noqa: F401 - the modules find it loaded


def pytest_collection_modifyitems(items):
    """What the libraries of others warn of is theirs to mend."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def swift(tmp_path_factory):
    """A Swift that all tests share; each has containers of its own."""
    from tests.services import swift

    folder = tmp_path_factory.mktemp("swift")
    lacks = swift.missing(folder)
    if lacks:
        pytest.skip(lacks)
    server = swift.Swift(folder)
    yield server
    server.stop()
