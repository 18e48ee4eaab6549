"""Copies of files: by every way, whatever is in them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parallelops.errors import (
    DestinationError,
    FetchCancelled,
    NoLocationWorked,
    TransferError,
)
from parallelops.images import (
    Fetcher,
    FetchOptions,
    LocationEntry,
    Wanted,
    copying,
)

MIB = 1024 * 1024
METHODS = ("copy_file_range", "sendfile", "read")


def refuse(*_, **__):
    """A system call that this file system does not have."""
    raise OSError(errno.EOPNOTSUPP, "not here")


def only(monkeypatch, method):
    """Have all ways but one fail, as on a file system that has but that."""
    monkeypatch.setattr(copying, "reflink", lambda source, target: False)
    ways = [
        (name, way if name == method else refuse)
        for name, way in copying._WAYS[: METHODS.index(method) + 1]
    ]
    monkeypatch.setattr(copying, "_WAYS", tuple(ways))


def copied(source, target):
    """Copy a file; what it says of the way and of how far it came."""
    told = []
    with source.open("rb") as one, target.open("w+b") as other:
        method = copying.copy(one.fileno(), other.fileno(), told.append)
    assert told == sorted(told)
    return method, told[-1]


def write_sparse(path, pieces, size):
    """A file of that size, with pieces at offsets."""
    with path.open("wb") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.truncate(max(size, file.seek(0, os.SEEK_END)))


PIECES = st.lists(
    st.tuples(st.integers(0, 3 * MIB), st.binary(min_size=1, max_size=5000)),
    max_size=4,
)


@pytest.mark.parametrize("method", METHODS)
@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces=PIECES, size=st.integers(0, 4 * MIB))
def test_every_way_copies_everything(
    tmp_path, monkeypatch, method, pieces, size
):
    """Data and holes, at the begin, in between and at the end."""
    with monkeypatch.context() as patch:
        only(patch, method)
        patch.setattr(copying, "_BUFFER", 4096)
        patch.setattr(copying, "_CHUNK", 64 * 1024)
        source, target = tmp_path / "source", tmp_path / "target"
        write_sparse(source, pieces, size)
        done, told = copied(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert told == source.stat().st_size
    assert done in METHODS[: METHODS.index(method) + 1]


def test_holes_stay_holes(tmp_path):
    """A copy takes no more of the disk than what was copied."""
    source, target = tmp_path / "source", tmp_path / "target"
    write_sparse(source, [(0, b"x" * 9000), (500 * MIB, b"y" * 9000)], 1 << 30)
    copied(source, target)
    assert target.stat().st_size == 1 << 30
    assert target.stat().st_blocks <= source.stat().st_blocks + 16
    with target.open("rb") as file:
        file.seek(500 * MIB)
        assert file.read(9001) == b"y" * 9000 + b"\0"


def test_a_file_system_without_holes(tmp_path, monkeypatch):
    """All of the file is data then."""

    def lseek(file, offset, whence):
        raise OSError(errno.EINVAL, "no holes here")

    monkeypatch.setattr(copying.os, "lseek", lseek)
    monkeypatch.setattr(copying, "reflink", lambda source, target: False)
    source, target = tmp_path / "source", tmp_path / "target"
    write_sparse(source, [(5 * MIB, b"data")], 6 * MIB)
    copied(source, target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("change", ["shrinks", "grows", "is written"])
def test_a_file_that_changes_is_not_copied(tmp_path, monkeypatch, change):
    """What came would be neither the one nor the other."""
    monkeypatch.setattr(copying, "_CHUNK", MIB)
    monkeypatch.setattr(copying, "reflink", lambda source, target: False)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 4 * MIB)

    def advance(done):
        if done != MIB:
            return
        if change == "is written":
            source.write_bytes(b"y" * 4 * MIB)
        else:
            os.truncate(source, MIB if change == "shrinks" else 5 * MIB)

    with (
        source.open("rb") as one,
        target.open("w+b") as other,
        pytest.raises(TransferError, match="changed while it was copied"),
    ):
        copying.copy(one.fileno(), other.fileno(), advance)


def test_an_error_that_is_one_is_raised(tmp_path, monkeypatch):
    """A disk that is broken is not tried in another way."""

    def broken(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(copying, "reflink", lambda source, target: False)
    monkeypatch.setattr(copying, "_WAYS", (("copy_file_range", broken),))
    source = tmp_path / "source"
    source.write_bytes(b"data")
    with pytest.raises(OSError, match="broken"):
        copied(source, tmp_path / "target")


# -- the handler


@pytest.fixture
def folders(tmp_path):
    """A folder that may be read, one that may not, and one to write to."""
    for name in ("allowed", "secret", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "allowed" / "image").write_bytes(b"data" * 999)
    (tmp_path / "secret" / "key").write_text("hunter2")
    return tmp_path


def fetch(folders, path, wanted=None, **options):
    """Fetch a file."""
    url = path if isinstance(path, str) else path.as_uri()
    fetcher = Fetcher(
        options=FetchOptions(folders=(folders / "allowed",), **options)
    )
    return fetcher.fetch(
        [LocationEntry(url=url)], folders / "target" / "image", wanted
    )


def test_a_file_is_copied_and_belongs_to_its_owner(folders):
    """It is a file of its own, with the data, and a private mode."""
    source = folders / "allowed" / "image"
    source.chmod(0o644)
    result = fetch(folders, source)
    target = folders / "target" / "image"
    assert result.path == target
    assert result.handler == "file"
    assert result.method in ("reflink", *METHODS)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o7777 == 0o600
    assert not target.samefile(source)


def test_a_hard_link_is_made_when_it_is_allowed(folders, monkeypatch):
    """Where there are no reflinks: both names are one file then."""
    monkeypatch.setattr(copying, "reflink", lambda source, target: False)
    source = folders / "allowed" / "image"
    result = fetch(folders, source, hard_links=True)
    assert result.method == "hard link"
    assert (folders / "target" / "image").samefile(source)
    assert os.listdir(folders / "target") == ["image"]  # noqa: PTH208
    # Once more: the old link gives way to the new one.
    assert fetch(folders, source, hard_links=True).method == "hard link"
    assert os.listdir(folders / "target") == ["image"]  # noqa: PTH208
    monkeypatch.setattr("os.link", refuse)
    monkeypatch.setattr(
        "os.open", without_nameless(os.open)
    )  # which would need a link
    assert fetch(folders, source, hard_links=True).method in METHODS
    assert not (folders / "target" / "image").samefile(source)


def without_nameless(real):
    """``os.open`` of a file system without files that have no name."""

    def open_(path, flags, *args, **others):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(path, flags, *args, **others)

    return open_


def test_a_file_system_without_nameless_files(folders, monkeypatch):
    """A private name does as well, and is gone afterwards."""
    monkeypatch.setattr("os.open", without_nameless(os.open))
    source = folders / "allowed" / "image"
    fetch(folders, source)
    assert [p.name for p in (folders / "target").iterdir()] == ["image"]
    with pytest.raises(NoLocationWorked):
        fetch(folders, source, Wanted(digest="sha256:" + "0" * 64))
    assert [p.name for p in (folders / "target").iterdir()] == ["image"]


def plant(folders):
    """Things in the allowed folder that lead elsewhere."""
    allowed, secret = folders / "allowed", folders / "secret"
    (allowed / "link").symlink_to(secret / "key")
    (allowed / "folder").symlink_to(secret)
    (allowed / "loop").symlink_to("loop")
    os.mkfifo(allowed / "pipe")
    (allowed / "directory").mkdir()


@pytest.mark.parametrize(
    "name",
    [
        "/secret/key",
        "/allowed/../secret/key",
        "/allowed/%2e%2e/secret/key",
        "/allowed/link",
        "/allowed/folder/key",
        "/allowed/loop",
        "/allowed/loop/key",
        "/allowed/pipe",
        "/allowed/directory",
        "/allowed/missing",
        "/allowed",
        "/allowed/image?x",
        "/allowed/image%00",
    ],
)
def test_no_url_leads_out_of_the_folders(folders, name):
    """Not by dots, links, pipes or tricks with escapes."""
    plant(folders)
    with pytest.raises(NoLocationWorked) as caught:
        fetch(folders, f"file://{folders}{name}")
    assert "hunter2" not in str(caught.value)
    assert not list((folders / "target").iterdir())


def test_without_folders_no_file_is_read(folders):
    """Nobody reads what nobody allowed."""
    location = LocationEntry(url=(folders / "allowed/image").as_uri())
    with pytest.raises(NoLocationWorked, match="none of the folders"):
        Fetcher().fetch([location], folders / "target" / "image")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(size=1),
        Wanted(max_size=100),
        Wanted(digest="sha512:" + "0" * 128),
        Wanted(container="ova"),
    ],
)
def test_what_is_not_wanted_is_not_there(folders, wanted):
    """And what was there before is as it was."""
    target = folders / "target" / "image"
    target.write_text("from before")
    with pytest.raises(NoLocationWorked):
        fetch(folders, folders / "allowed" / "image", wanted)
    assert target.read_text() == "from before"
    assert [p.name for p in (folders / "target").iterdir()] == ["image"]


def test_what_is_as_large_as_the_limit_is_taken(folders):
    """A limit is what may be, not what may not."""
    source = folders / "allowed" / "image"
    size = source.stat().st_size
    assert fetch(folders, source, Wanted(max_size=size)).size == size
    with pytest.raises(NoLocationWorked, match=f"not up to {size - 1}"):
        fetch(folders, source, Wanted(max_size=size - 1))


def test_a_destination_that_cannot_be_is_named(folders):
    """It is not the fault of a location, and no other one is tried."""
    source = folders / "allowed" / "image"
    (folders / "target" / "image").mkdir()
    with pytest.raises(DestinationError, match="target/image"):
        fetch(folders, source)
    shutil.rmtree(folders / "target")
    with pytest.raises(DestinationError, match="No such file"):
        fetch(folders, source)


def test_a_fetch_is_called_off(folders):
    """It ends soon, and leaves nothing."""
    fetcher = Fetcher(options=FetchOptions(folders=(folders / "allowed",)))
    location = LocationEntry(url=(folders / "allowed/image").as_uri())
    asked = iter([False, False])
    with pytest.raises(FetchCancelled):
        fetcher.fetch(
            [location],
            folders / "target" / "image",
            cancelled=lambda: next(asked, True),
        )
    assert not list((folders / "target").iterdir())


# -- on a real file system with reflinks


@pytest.fixture(scope="module", params=["btrfs", "xfs"])
def reflinks(request, tmp_path_factory):
    """A folder on such a file system, mounted for the tests."""
    kind = request.param
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    make = shutil.which(f"mkfs.{kind}")
    if make is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    top = tmp_path_factory.mktemp(kind)
    image, mounted = top / "image", top / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    subprocess.run([make, "-q", str(image)], check=True)
    done = subprocess.run(
        ["mount", "-o", "loop", str(image), str(mounted)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.once
def test_a_reflink_shares_the_blocks(reflinks):
    """The copy takes no room, and is a file of its own all the same."""
    source = reflinks / "source"
    source.write_bytes(os.urandom(8 * MIB))
    os.sync()
    before = os.statvfs(reflinks).f_bavail
    fetcher = Fetcher(options=FetchOptions(folders=(reflinks,)))
    result = fetcher.fetch(
        [LocationEntry(url=source.as_uri())], reflinks / "target"
    )
    os.sync()
    assert result.method == "reflink"
    taken = before - os.statvfs(reflinks).f_bavail
    assert taken * os.statvfs(reflinks).f_frsize < 2 * MIB
    with (reflinks / "target").open("r+b") as file:
        file.write(b"changed")
    assert source.read_bytes()[:7] != b"changed"
