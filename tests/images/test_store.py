"""The store of files: what it deletes, and what it will not touch."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import (
    ImageDataNotFound,
    LocationRefused,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import FileStore, filestore
from parallelops.runtime import ThreadRuntime


@pytest.fixture
def root(tmp_path):
    """The directory of a store, with one file in it."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "image").write_text("data")
    return root


@pytest.fixture
def outside(tmp_path):
    """A file that is not in the store."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "image").write_text("precious")
    return outside


@pytest.fixture
def store(root):
    """The store."""
    return FileStore(root)


def test_it_deletes_a_file(store, root):
    """That one and no other."""
    (root / "other").write_text("other")
    store.delete((root / "image").as_uri())
    store.sync()
    assert [path.name for path in root.iterdir()] == ["other"]


@pytest.mark.parametrize("name", ["a b", "ä", "%2e%2e", "a%2Fb", "\n", "?#"])
def test_names_are_percent_encoded(store, root, name):
    """Once: what is decoded is the name, as it stands."""
    (root / name).write_text("data")
    store.delete((root / name).as_uri())
    assert [path.name for path in root.iterdir()] == ["image"]


def test_names_need_not_be_text(store, root):
    """A file has bytes for a name."""
    path = root / os.fsdecode(b"\xff\xfe")
    path.touch()
    store.delete(f"file://{quote(os.fsencode(path))}")
    assert not path.exists()


def test_it_deletes_in_directories(store, root):
    """Also through a link that stays in the store."""
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "image").write_text("data")
    (root / "link").symlink_to(root / "deep")
    store.delete((root / "link" / "er" / "image").as_uri())
    store.sync()
    assert not (root / "deep" / "er" / "image").exists()


def test_the_root_may_be_a_link(root, tmp_path):
    """A URL may name the directory either way."""
    (tmp_path / "link").symlink_to(root)
    (root / "second").write_text("data")
    store = FileStore(tmp_path / "link")
    store.delete((root / "image").as_uri())
    store.delete((tmp_path / "link" / "second").as_uri())
    store.sync()
    assert not list(root.iterdir())


def test_of_a_link_the_link_is_deleted(store, root, outside):
    """Never what it points to."""
    (root / "link").symlink_to(outside / "image")
    store.delete((root / "link").as_uri())
    assert not (root / "link").is_symlink()
    assert (outside / "image").read_text() == "precious"


# -- what is refused


@pytest.mark.parametrize(
    "url",
    [
        "{outside}/image",
        "{root}/../outside/image",
        "{root}/%2e%2e/outside/image",
        "{root}/.%2E/outside/image",
        "{root}/..%2Foutside%2Fimage",
        "{root}%2Fimage",
        "{root}/./image",
        "{root}/link/image",
        "{root}/link/../image",
        "{root}/image%00",
        "{root}/image\0",
        "{root}/image%",
        "{root}/image%2",
        "{root}/image%zz",
        "{root}/image?",
        "{root}/image?a=b",
        "{root}/image#a",
        "{root}/image/",
        "{root}/image/below",
        "{root}/\udc80",
        "{root}/" + "n" * 300,
        "{root}/loop/image",
        "{root}",
        "{root}/",
        "{root}/directory",
        "{root}/fifo",
        "{root}/socket",
        "file:///",
        "file://",
        "file:",
        "/",
        "",
        "image",
        "http://host/image",
        "file+x:///image",
        "\tfile:///image",
    ],
)
def test_hostile_locations_are_refused(store, root, outside, url):
    """For good, and nothing is touched."""
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "directory").mkdir()
    os.mkfifo(root / "fifo")
    # A socket's path has to be short.
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(root):
        listener.bind("socket")
    before = sorted(root.iterdir())
    with pytest.raises(LocationRefused):
        store.delete(url.format(root=root.as_uri(), outside=outside.as_uri()))
    assert sorted(root.iterdir()) == before
    assert (outside / "image").exists()


def test_other_hosts_and_schemes_are_refused(store, root):
    """A path on another host is not a path on this one."""
    path = root / "image"
    for url in (
        f"file://nas{path}",
        f"file://user@localhost{path}",
        f"http://localhost{path}",
        f"file:{path}",
        f"file:////{path}/../../image",
        str(path),
    ):
        with pytest.raises(LocationRefused):
            store.delete(url)
    assert path.exists()
    store.delete(f"FILE://LOCALHOST{path}")
    assert not path.exists()


def test_a_refusal_has_no_secrets_and_no_line_ends(store):
    """It is for a log."""
    with pytest.raises(LocationRefused) as caught:
        store.delete("s3://access:hunter2@host/a\nb")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("./%2eEfF0\0a~"), max_size=20))
def test_no_path_leads_out(tmp_path_factory, path):
    """Whatever is put after the root, only files under it can go."""
    top = tmp_path_factory.mktemp("top")
    for name in ("a", "root/a", "e", "0"):
        file = top / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("data")
    try:
        FileStore(top / "root").delete(f"{(top / 'root').as_uri()}{path}")
    except StoreError:
        pass
    assert {p.name for p in top.iterdir()} == {"a", "root", "e", "0"}


def test_a_directory_swapped_for_a_link_is_not_followed(
    store, root, outside, monkeypatch
):
    """Not even if it happens after the path was looked at."""
    (root / "directory").mkdir()
    (root / "directory" / "image").write_text("data")
    real = filestore.opened_below

    def swap(*args):
        (root / "directory").rename(root / "moved")
        (root / "directory").symlink_to(outside)
        return real(*args)

    monkeypatch.setattr(filestore, "opened_below", swap)
    with pytest.raises(LocationRefused):
        store.delete((root / "directory" / "image").as_uri())
    assert (outside / "image").exists()


# -- what is not there


def test_a_file_that_is_not_there_is_said_not_to_be(store, root):
    """Its directory may be missing as well."""
    for path in (root / "missing", root / "deep" / "er" / "missing"):
        with pytest.raises(ImageDataNotFound, match="missing"):
            store.delete(path.as_uri())
    store.sync()


@pytest.mark.parametrize("kind", ["missing", "file", "dangling", "loop"])
def test_a_store_that_is_not_there_says_nothing_of_its_files(tmp_path, kind):
    """An unmounted store must not read as one without the file."""
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("")
    elif kind != "missing":
        root.symlink_to(root if kind == "loop" else tmp_path / "nowhere")
    store = FileStore(root)
    with pytest.raises(StoreUnavailable, match="mounted"):
        store.delete((root / "image").as_uri())


def test_an_empty_mount_point_says_nothing_of_its_files(tmp_path):
    """What an unmounted file system leaves behind is an empty directory."""
    store = FileStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="empty"):
        store.delete((tmp_path / "image").as_uri())
    (tmp_path / "any").touch()
    with pytest.raises(ImageDataNotFound):
        store.delete((tmp_path / "image").as_uri())


def test_a_store_that_was_emptied_by_us_is_believed(store, root):
    """As long as it is still the same directory."""
    image = (root / "image").as_uri()
    store.delete(image)
    with pytest.raises(ImageDataNotFound):
        store.delete(image)
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    with pytest.raises(StoreUnavailable):
        store.delete(image)


def test_a_mounted_store_may_be_empty(tmp_path):
    """The root of a file system of its own is no leftover."""
    code = f"""
import ctypes
from parallelops.errors import ImageDataNotFound
from parallelops.images import FileStore
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
if libc.unshare(CLONE_NEWNS) or libc.mount(
    b"none", b"/", None, 0x44000, None  # private: nobody else sees it
) or libc.mount(b"none", {os.fsencode(tmp_path)!r}, b"tmpfs", 0, None):
    print("skip")
else:
    try:
        FileStore({str(tmp_path)!r}).delete({(tmp_path / "i").as_uri()!r})
    except ImageDataNotFound:
        print("not found")
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    if answer.stdout == "skip\n":
        pytest.skip("only root can mount")
    assert answer.stdout == "not found\n", answer.stderr


# -- what the system says


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EACCES, StoreError),
        (errno.EIO, StoreError),
        (errno.EROFS, StoreError),
        (errno.EBUSY, StoreError),
        (errno.ESTALE, StoreUnavailable),
        (errno.ENOTCONN, StoreUnavailable),
    ],
)
def test_errors_of_the_system_are_errors_of_the_store(
    store, root, monkeypatch, number, error
):
    """None of them reads as "not there"; the text says what and why."""

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(StoreError, match="image: ") as caught:
        store.delete((root / "image").as_uri())
    assert type(caught.value) is error


# -- a power cut


@pytest.fixture
def synced(monkeypatch):
    """The directories that were synced, in order."""
    synced = []
    fsync = os.fsync

    def record(fd):
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    return synced


def test_each_changed_directory_is_synced_once(store, root, synced):
    """Ten deletes in a directory cost one sync, and a second sync none."""
    for name in ("one", "two"):
        (root / name).mkdir()
        for n in range(10):
            (root / name / f"{n}").touch()
            store.delete((root / name / f"{n}").as_uri())
    assert synced == []
    store.sync()
    assert sorted(synced) == [str(root / "one"), str(root / "two")]
    store.sync()
    assert len(synced) == 2


def test_what_was_not_there_is_synced_too(store, root, synced):
    """Whoever deleted it may have died before it was durable."""
    with pytest.raises(ImageDataNotFound):
        store.delete((root / "deep" / "er" / "gone").as_uri())
    store.sync()
    assert synced == [str(root)]


def test_a_directory_that_is_gone_is_synced_by_its_parent(store, root, synced):
    """Somebody may tidy up between the delete and the sync."""
    (root / "one").mkdir()
    (root / "one" / "image").touch()
    store.delete((root / "one" / "image").as_uri())
    shutil.rmtree(root / "one")
    store.sync()
    assert synced == [str(root)]


def test_a_sync_that_fails_is_said_and_repeated(store, root, monkeypatch):
    """It is not forgotten that something is still to be synced."""
    store.delete((root / "image").as_uri())

    def fail(fd):
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for _ in range(2):
            with pytest.raises(StoreError, match="I/O error"):
                store.sync()
    store.sync()
    root.rename(root.with_name("away"))
    store.sync()  # nothing left to do


class WatchedRuntime(ThreadRuntime):
    """Its locks tell when somebody comes to take one."""

    def __init__(self):
        super().__init__()
        self.arrivals = queue.SimpleQueue()

    def lock(self):
        runtime, real = self, super().lock()

        class Watched:
            def __enter__(self):
                runtime.arrivals.put(threading.current_thread())
                real.acquire()

            def __exit__(self, *exc_info):
                real.release()

        return Watched()


def test_a_sync_covers_all_deletes_before_it(root, monkeypatch):
    """A second sync waits for the one that is syncing its directory."""
    runtime = WatchedRuntime()
    store = FileStore(root, runtime=runtime)
    syncing, go_on = threading.Event(), threading.Event()
    ended = []

    def slow(fd):
        syncing.set()
        assert go_on.wait(60)
        ended.append("fsync")

    def second_sync():
        store.sync()
        ended.append("second sync")

    monkeypatch.setattr(os, "fsync", slow)
    store.delete((root / "image").as_uri())
    first = threading.Thread(target=store.sync)
    first.start()
    assert syncing.wait(60)
    second = threading.Thread(target=second_sync)
    second.start()
    assert runtime.arrivals.get(timeout=60) is first
    assert runtime.arrivals.get(timeout=60) is second
    assert ended == []
    go_on.set()
    first.join(60)
    second.join(60)
    assert ended == ["fsync", "second sync"]


def test_no_descriptor_is_left_open(store, root):
    """Neither after a delete nor after an error."""
    before = sorted(Path("/proc/self/fd").iterdir())
    (root / "directory").mkdir()
    for name in ("image", "missing", "directory", "directory/missing/more"):
        try:
            store.delete((root / name).as_uri())
        except StoreError:
            pass
    store.sync()
    assert sorted(Path("/proc/self/fd").iterdir()) == before
