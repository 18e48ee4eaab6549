"""Real Glances, with SQLite, with MariaDB and with PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from tests.others import any_missing, let_warn, may_warn

missing = any_missing("glance", "glance_store", "pymysql", "psycopg2")

# Without Glance there is nothing to collect: the session "glance" has it.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with may_warn():
        from tests.integrations.glance import servers, world


def pytest_collection_modifyitems(items):
    """Not all that warns here is ours."""
    let_warn(items, __file__)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An SQLite file with Glance's tables, to be copied."""
    path = tmp_path_factory.mktemp("glance")
    world.migrate(f"sqlite:///{path}/glance.sqlite", path)
    return path / "glance.sqlite"


def _serve(kind):
    """A database with Glance's tables, of a real server; its URL."""
    if missing := kind.missing():
        pytest.skip(f"{kind.__name__} is not here: {missing}")
    # Short, for the sake of sockets, and open to another user.
    with tempfile.TemporaryDirectory() as name:
        server = kind(Path(name))
        try:
            with tempfile.TemporaryDirectory() as config:
                world.migrate(server.url, Path(config))
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def mariadb():
    """The URL of a database in MariaDB."""
    yield from _serve(servers.MariaDB)


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a database in PostgreSQL."""
    yield from _serve(servers.PostgreSQL)


@pytest.fixture
def make_url(request, tmp_path):
    """Makes the URL of an empty database of a kind."""

    def make_url(kind):
        if kind != "sqlite":
            return request.getfixturevalue(kind)
        path = tmp_path / "glance.sqlite"
        shutil.copy(request.getfixturevalue("migrated"), path)
        return f"sqlite:///{path}"

    return make_url


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def url(request, make_url):
    """An empty database of each kind."""
    return make_url(request.param)


@pytest.fixture
def make(url, tmp_path):
    """Makes a Glance; its options as keywords."""
    made = []

    def make(**options):
        made.append(world.World(url, tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def glance(make):
    """A Glance with one store of files."""
    return make()
