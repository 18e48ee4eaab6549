"""The file of an embedded catalogue: what is none, and who shares one."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from tests.images.catalogs import add, due, execute

from parallelops.errors import (
    CatalogError,
)
from parallelops.images import (
    LocationStatus,
    SQLiteCatalog,
)


@pytest.fixture
def path(tmp_path):
    """Where a catalogue may be."""
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path):
    """An empty catalogue."""
    with SQLiteCatalog(path) as catalog:
        yield catalog


def refusal(path):
    """The one error for a file that can't be used; it names the file."""
    with pytest.raises(CatalogError) as caught:
        SQLiteCatalog(path, busy_timeout=0)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_directory_is_refused(tmp_path):
    """It says so."""
    assert "directory" in refusal(tmp_path)


def test_a_directory_that_is_not_there_is_not_made(path):
    """A path with a mistake in it makes no catalogue somewhere else."""
    assert "directory" in refusal(path / "deeper" / "catalog")
    assert not path.exists()


@pytest.mark.parametrize("content", [b"garbage", b"x" * 5000, b"\0" * 4096])
def test_garbage_is_refused(path, content):
    """And left as it is."""
    path.write_bytes(content)
    assert "not a catalogue" in refusal(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_refused(path):
    """It could be all that is left of a catalogue, and is not to be taken
    for a new one."""
    path.touch()
    assert "0 bytes" in refusal(path)
    assert not path.stat().st_size


def test_another_programs_database_is_refused(path):
    """And not written to."""
    execute(path, "CREATE TABLE images (id)")
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path):
    """An old scrubber does not misread what a new one wrote."""
    SQLiteCatalog(path).close()
    execute(path, "PRAGMA user_version = 4")
    assert "schema 4" in refusal(path)


def test_a_truncated_catalogue_is_refused(path):
    """Be it cut at a page or in the middle of one."""
    with SQLiteCatalog(path) as catalog:
        for n in range(200):
            add(catalog, f"i{n}")
    whole = path.read_bytes()
    for size in (len(whole) // 2 // 4096 * 4096, 5000, 50):
        path.write_bytes(whole[:size])
        assert "backup" in refusal(path)


def test_a_catalogue_damaged_while_it_is_open_says_so(path):
    """An error names the file and the remedy, at any time."""
    with SQLiteCatalog(path) as catalog:
        for n in range(200):
            add(catalog, f"i{n}")
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    with SQLiteCatalog(path) as catalog:
        path.write_bytes(damaged)
        with pytest.raises(CatalogError, match=r"cannot read.*backup"):
            list(catalog.images())


def test_a_locked_catalogue_is_refused_after_a_while(path):
    """Another process that writes and does not end is named as the cause."""
    SQLiteCatalog(path).close()
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "another process" in refusal(path)
    finally:
        other.close()
    SQLiteCatalog(path).close()


@pytest.fixture
def powerless():
    """A directory that a user without rights may read; root becomes one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_read_only_catalogue_is_refused(powerless):
    """When it is opened, not when the first images are deleted."""
    path = powerless / "catalog.sqlite"
    SQLiteCatalog(path).close()
    path.chmod(0o444)
    powerless.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        assert "may" in refusal(path)
        assert "may" in refusal(powerless / "new")
    finally:
        if root:
            os.seteuid(0)
        powerless.chmod(0o755)


def test_a_closed_catalogue_says_so(path):
    """It is closed once, or twice."""
    catalog = SQLiteCatalog(path)
    catalog.close()
    catalog.close()
    with pytest.raises(CatalogError, match="closed"):
        catalog.counts()


# -- several at once


def _work(path, number, ready):
    ready.wait()
    with SQLiteCatalog(path) as catalog:
        for n in range(10):
            add(catalog, f"{number}-{n}", 2)
            catalog.delete_image(f"{number}-{n}", 1.0)
        catalog.settle(due(catalog))


def test_several_processes_make_and_use_one(path):
    """All begin at once, with no catalogue there, and nothing is lost."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(4)
    workers = [
        context.Process(target=_work, args=(path, n, ready)) for n in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    with SQLiteCatalog(path) as catalog:
        assert dict(catalog.images()) == {
            f"{number}-{n}": "deleted"
            for number in range(4)
            for n in range(10)
        }
        assert catalog.counts()[LocationStatus.DELETED] == 80


def test_a_fork_does_not_share_it(catalog):
    """The child gets an error, and the parent's is as before."""
    add(catalog, "a")
    catalog._process -= 1  # as seen from another process
    with pytest.raises(CatalogError, match="fork"):
        catalog.counts()
    catalog._process += 1
    assert catalog.counts()[LocationStatus.ACTIVE] == 1
