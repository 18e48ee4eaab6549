"""Real Glances, with SQLite and with MariaDB."""

from __future__ import annotations

import importlib.util
import shutil
import warnings

import pytest

needed = ("glance", "glance_store", "pymysql")
missing = [name for name in needed if importlib.util.find_spec(name) is None]

# Without Glance there is nothing to collect: the session "glance" has it.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.integrations.glance import world


def pytest_collection_modifyitems(items):
    """What Glance and oslo warn of is theirs to mend."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An SQLite file with Glance's tables, to be copied."""
    path = tmp_path_factory.mktemp("glance")
    world.migrate(f"sqlite:///{path}/glance.sqlite", path)
    return path / "glance.sqlite"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory):
    """The URL of a database with Glance's tables, of a real server."""
    if not world.has_mariadb():
        pytest.skip("MariaDB is not installed: apt install mariadb-server")
    path = tmp_path_factory.mktemp("m")  # a socket's path has to be short
    server = world.MariaDB(path)
    try:
        world.migrate(server.url, path)
        yield server.url
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb")
    path = tmp_path / "glance.sqlite"
    shutil.copy(request.getfixturevalue("migrated"), path)
    return f"sqlite:///{path}"


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
