"""What of the Glance integration needs no Glance."""

from __future__ import annotations

import sys

import pytest

from parallelops.cli import main
from parallelops.config import glance as options
from parallelops.errors import CatalogError, ConfigError, MissingDependency
from parallelops.integrations.glance import (
    FileStores,
    GlanceCatalog,
    GlanceStores,
    reader,
)
from parallelops.integrations.glance.locks import FileLocks
from parallelops.integrations.glance.parking import Parking

LEASE = 60.0


@pytest.fixture
def without(monkeypatch):
    """As if these packages were not installed."""
    for name in list(sys.modules):
        for package in ("glance", "glance_store", "sqlalchemy"):
            if f"{name}.".startswith(f"{package}."):
                monkeypatch.delitem(sys.modules, name)
    for module in ("database", "drivers", "queries"):
        monkeypatch.delitem(
            sys.modules,
            f"parallelops.integrations.glance.{module}",
            raising=False,
        )
        package = sys.modules["parallelops.integrations.glance"]
        monkeypatch.delattr(package, module, raising=False)
    for package in ("glance", "glance_store", "sqlalchemy"):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def config(tmp_path):
    """Writes a file of Glance's; its path."""
    path = tmp_path / "glance-scrubber.conf"

    def config(text="", ours=""):
        path.write_text(
            f"[DEFAULT]\n{text}\n[database]\nconnection = sqlite:////x\n{ours}"
        )
        return [str(path)]

    return config


@pytest.mark.usefixtures("without")
def test_what_is_missing_is_named(config, capsys):
    """With the extra that has it."""
    (path,) = config()
    with pytest.raises(MissingDependency, match=r"parallelops\[glance\]"):
        GlanceCatalog("sqlite:////x", read_url=lambda v, _: (v, None))
    with pytest.raises(MissingDependency, match="glance_store"):
        GlanceStores(options.read([path]))
    with pytest.raises(MissingDependency, match="an encrypted location"):
        reader("key", lambda *_: "store")
    assert main(["scrub", "--glance-config", path]) == 1
    assert "pip install 'parallelops[glance]'" in capsys.readouterr().err


def test_glances_options_have_glances_defaults(config):
    """And go where ours are."""
    conf = options.read(config())
    assert (conf.scrub_time, conf.scrub_pool_size) == (0, 1)
    assert (conf.wakeup_time, conf.daemon, conf.restore) == (300, False, None)
    ours = conf.parallelops
    assert (ours.scrub_time, ours.scrub_interval) == (0, 300)


def test_what_our_group_sets_wins(config):
    """The rest is Glance's."""
    conf = options.read(
        config(
            "scrub_time = 5\nscrub_pool_size = 7\nwakeup_time = 0",
            "[parallelops]\nscrub_time = 9\n",
        )
    )
    ours = conf.parallelops
    assert (ours.scrub_time, ours.scrub_pool_size) == (9, 7)
    assert ours.scrub_interval == 1


def test_what_cannot_be_read_is_named(config, tmp_path):
    """The option, or the file."""
    with pytest.raises(ConfigError, match="wakeup_time"):
        options.read(config("wakeup_time = often"))
    with pytest.raises(ConfigError, match=r"none\.conf"):
        options.read([str(tmp_path / "none.conf")])
    empty = tmp_path / "empty.conf"
    empty.touch()
    with pytest.raises(ConfigError, match=r"\[database\] connection"):
        options.read([str(empty)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--restore", "i"], "--restore needs --glance-config"),
        (["--lock-file", "f"], "--lock-file needs --glance-config"),
        (["--glance-config=f", "--store=s"], "leave out --catalog and"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, expected, capsys):
    """They are named."""
    assert main(["scrub", *arguments]) == 1
    assert expected in capsys.readouterr().err


def test_a_location_says_its_store():
    """Metadata that nobody can read is none."""
    read = reader(None, lambda url, metadata: metadata.get("store", "none"))
    for text, store in (
        ('{"store": "fast"}', "fast"),
        ("{}", "none"),
        (None, "none"),
        ("[", "none"),
        ('["store"]', "none"),
    ):
        assert read("file:///x", text) == ("file:///x", store)


def test_a_store_of_several_folders(tmp_path):
    """Is there when one of them can show it."""
    folders = [tmp_path / name for name in ("full", "empty")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "image").write_text("data")
    store = FileStores([str(folder) for folder in folders])
    store.probe()
    url = (folders[0] / "image").as_uri()
    assert store.has(url)
    assert store.has(url.replace("file:", "filesystem:"))
    assert not store.has((folders[1] / "image").as_uri())
    store.delete(url)
    store.sync()
    assert not store.has(url)


def test_parking_remembers():
    """Until when, and how many times."""
    parking = Parking()
    parking.park({1: 10.0, 2: 20.0})
    parking.park({1: 15.0})
    assert parking.has(1, 14.0)
    assert not parking.has(1, 15.0)
    assert [parking.times(n) for n in (1, 2, 3)] == [2, 1, 0]
    assert parking.count(15.0) == 1
    parking.forget([1, 3])
    assert parking.times(1) == 0


def test_two_openings_of_a_lock_file(tmp_path):
    """Exclude each other in one process, too."""
    ours, theirs = (FileLocks(str(tmp_path / "locks")) for _ in range(2))
    assert ours.take(["a"], LEASE) == {"a"}
    assert theirs.take(["a", "b"], LEASE) == {"b"}
    ours.close()
    assert ours.take(["c"], LEASE) == set()
    assert theirs.take(["a"], LEASE) == {"a"}
    theirs.close()
    with pytest.raises(CatalogError, match="cannot lock by"):
        FileLocks(str(tmp_path / "none" / "locks"))
