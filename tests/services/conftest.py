"""Real servers of others: Swift, memcached, nginx, Varnish, opentracker."""

from __future__ import annotations

import pytest
from tests.others import any_missing, let_warn, may_warn

missing = any_missing("swift", "swiftclient", "glance_store", "libtorrent")

# Nothing is collected without them: the session "services" has them all.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with may_warn():
        import swiftclient  # noqa: F401


def pytest_collection_modifyitems(items):
    """Not all that warns here is ours."""
    let_warn(items, __file__)


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
