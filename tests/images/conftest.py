"""A catalogue and a store to scrub, with real files."""

from __future__ import annotations

import contextlib
import threading

import pytest
from tests.images.hosts import serving
from tests.images.scrubs import LIMIT, Clock

from parallelops import load_executor
from parallelops.backends.base import PoolExecutor
from parallelops.images import FileStore, SQLiteCatalog


class Place:
    """A catalogue, and files that it knows.

    What was there before is used again. One file is not in the catalogue,
    so that the store is never empty.
    """

    def __init__(self, path):
        self.root = path / "data"
        self.root.mkdir(exist_ok=True)
        (self.root / "bystander").write_text("not yours")
        self.path = path / "catalog.sqlite"
        self.catalog = SQLiteCatalog(self.path)
        self.store = FileStore(self.root)

    def add(self, image_id, locations=1, *, deleted_at=1.0, store=None):
        """Add an image with a file for each location, and delete it."""
        paths = [self.root / f"{image_id}.{n}" for n in range(locations)]
        for path in paths:
            path.write_text("data")
        added = self.catalog.add_image(
            image_id, [(path.as_uri(), store) for path in paths]
        )
        if deleted_at is not None:
            self.catalog.delete_image(image_id, deleted_at)
        return added

    def files(self):
        """The names of the files that images have."""
        names = {path.name for path in self.root.iterdir()}
        return names - {"bystander"}

    def statuses(self, image_id):
        """The statuses of an image's locations."""
        return [
            location.status.value
            for location in self.catalog.locations(image_id)
        ]


@pytest.fixture(scope="session")
def place_at():
    """Makes places, for tests that need one for each example."""
    return contextlib.contextmanager(_place_at)


def _place_at(path):
    place = Place(path)
    with place.catalog:
        yield place


@pytest.fixture
def place(tmp_path):
    """An empty catalogue and store."""
    yield from _place_at(tmp_path)


@pytest.fixture(params=["serial", "thread"])
def executor(request):
    """An executor of each kind, with a few workers."""
    with load_executor(request.param, max_workers=4) as executor:
        yield executor


@pytest.fixture
def pool():
    """Makes executors of threads with a clock that can be put ahead, and
    lets go of what hangs in them at the end."""
    executors = []

    def make(max_workers, **options):
        executor = PoolExecutor(Clock(), max_workers, **options)
        executor.release = threading.Event()
        executors.append(executor)
        return executor

    yield make
    for executor in executors:
        executor.release.set()
        executor.shutdown(timeout=LIMIT)


@pytest.fixture
def host(monkeypatch):
    """A host on this machine, for which nobody waits."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    with serving() as host:
        yield host


@pytest.fixture
def runtime():
    """Real threads, and a clock that a test can put ahead."""
    return Clock()
