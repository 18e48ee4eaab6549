"""Files in the making: what may be there before, meanwhile and after."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.loops import loop_device

from parallelops.errors import DataMismatch, DestinationError, TransferError
from parallelops.landing import Digest, Landing
from parallelops.landing.blocks import BLOCK, Blocks
from parallelops.landing.device import DeviceLanding
from parallelops.landing.digest import RunningDigest

SIZE = 3 * BLOCK + 5
DATA = bytes(range(256)) * (SIZE // 256) + b"12345"
DIGEST = Digest("sha256", hashlib.sha256(DATA).hexdigest())


def fill(landing, data=DATA):
    landing.write(0, data)
    landing.mark(0, SIZE)


def test_a_file_has_its_name_once_it_is_committed(tmp_path):
    """Nobody else may read it before, and nothing else stays."""
    path = tmp_path / "image"
    path.write_bytes(b"old")
    with Landing(path, SIZE, "key") as landing:
        assert landing.folder.stat().st_mode & 0o777 == 0o700
        fill(landing)
        assert path.read_bytes() == b"old"
        landing.commit()
    assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_is_found_again(tmp_path):
    """By the next one for the same path and key, and by no other."""
    path = tmp_path / "image"
    with Landing(path, SIZE, "key") as landing:
        landing.write(BLOCK, DATA[BLOCK : 2 * BLOCK])
        landing.mark(BLOCK, 2 * BLOCK)
    with Landing(path, SIZE, "key") as landing:
        assert landing.blocks.done() == BLOCK
        assert landing.read(BLOCK, BLOCK) == DATA[BLOCK : 2 * BLOCK]
    with Landing(path, SIZE, "another") as landing:
        assert landing.blocks.done() == 0
    with Landing(path, SIZE, "key") as landing:
        assert landing.blocks.done() == 0


def test_what_already_has_the_name_is_not_written_to(tmp_path):
    """Who shared it was killed, so both are one file, which is in use."""
    path = tmp_path / "image"
    landing = Landing(path, SIZE, "key")
    landing.__enter__()
    fill(landing)
    landing.commit(keep=True)
    # Nothing but the file and its folder is left.
    landing.__exit__(None, None, None)
    assert path.stat().st_nlink == 2
    with path.open("r+b") as file:
        file.write(b"in use")
    before = path.read_bytes()
    with Landing(path, SIZE, "key") as landing:
        assert landing.blocks.done() == 0
        landing.write(0, bytes(SIZE))
        assert path.read_bytes() == before


def test_after_a_power_cut_nothing_is_believed(tmp_path, monkeypatch):
    """The map may be on the disk, and the data not."""
    boot = tmp_path / "boot"
    monkeypatch.setattr("parallelops.landing.file._BOOT", boot)
    path = tmp_path / "image"
    for number, done in ((1, 0), (1, SIZE), (2, 0)):
        boot.write_text(f"{number}\n")
        with Landing(path, SIZE, "key") as landing:
            assert landing.blocks.done() == done
            fill(landing)


@pytest.mark.parametrize("name", ["blocks", "data", "state"])
@pytest.mark.parametrize("damage", ["gone", "short", "wrong"])
def test_a_damaged_folder_is_begun_anew(tmp_path, name, damage):
    """Whatever of it is damaged."""
    path = tmp_path / "image"
    with Landing(path, SIZE, "key") as landing:
        fill(landing)
        file = landing.folder / name
        if damage == "gone":
            file.unlink()
        elif damage == "short":
            os.truncate(file, 1)
        else:
            file.write_bytes(b"\7" * (file.stat().st_size + 1))
    with Landing(path, SIZE, "key") as landing:
        assert landing.blocks.done() == 0
        assert landing.data.stat().st_size == SIZE


def test_a_folder_that_has_moved_is_removed_all_the_same(tmp_path):
    """A directory that is itself in the making gets another name."""
    (tmp_path / "new").mkdir()
    with Landing(tmp_path / "new" / "image", SIZE, "key") as landing:
        (tmp_path / "new").rename(tmp_path / "final")
        landing.remove()
    assert not list((tmp_path / "final").iterdir())


def test_one_at_a_time_makes_a_file(tmp_path):
    """The second one is told."""
    with (
        Landing(tmp_path / "image", SIZE, "key"),
        pytest.raises(DestinationError, match="somebody"),
    ):
        Landing(tmp_path / "image", SIZE, "key")


def links(path):
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("make", [links, os.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_not_replaced(tmp_path, make):
    """A link leads to who knows where."""
    path = tmp_path / "image"
    make(path)
    with pytest.raises(DestinationError, match="remove it first"):
        Landing(path, SIZE, "key")


def test_a_link_that_appears_meanwhile_is_not_followed(tmp_path):
    """It is looked at again in the end."""
    path = tmp_path / "image"
    with Landing(path, SIZE, "key") as landing:
        fill(landing)
        links(path)
        with pytest.raises(DestinationError):
            landing.commit()


@pytest.mark.parametrize("trap", ["link", "open to all"])
def test_a_folder_that_is_not_private_is_not_used(tmp_path, trap):
    """Somebody may have put it there to read, or to write."""
    path = tmp_path / "image"
    with Landing(path, SIZE, "key") as landing:
        folder = landing.folder
    if trap == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.chmod(0o777)
    with pytest.raises(DestinationError):
        Landing(path, SIZE, "key")


def test_a_file_that_cannot_fit_is_refused_at_once(tmp_path):
    """Not when the disk is full."""
    with pytest.raises(DestinationError, match="free"):
        Landing(tmp_path / "image", 1 << 42, "key")


def test_long_names_are_told_apart(tmp_path):
    """Those that begin alike."""
    with (
        Landing(tmp_path / ("a" * 250 + "1"), SIZE, "key"),
        Landing(tmp_path / ("a" * 250 + "2"), SIZE, "key"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.once
def test_a_full_disk_is_named(tmp_path):
    """It is the file's path that the error has."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"it cannot be mounted: {mounted.stderr.decode()}")
    try:
        with Landing(tmp_path / "image", 32 << 20, "key") as landing:
            (tmp_path / "other").write_bytes(bytes(63 << 20))
            with pytest.raises(DestinationError, match="No space left"):
                landing.write(0, bytes(32 << 20))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def device(tmp_path):
    """A block device of 4 MiB."""
    file = tmp_path / "disk"
    file.write_bytes(b"\xff" * (4 << 20))
    with loop_device(file) as path:
        yield path, file


@pytest.mark.once
def test_a_device_begins_once_it_is_whole(device):
    """Nobody boots from a part."""
    name, file = device
    size = (3 << 20) + 7
    data = bytes(range(251)) * 20000
    data = data[:size]
    with DeviceLanding(name, size) as landing:
        landing.write(0, data)
        assert landing.read(10, 5) == data[5:15]
        with Path(name).open("rb") as reader:
            assert not any(reader.read(1 << 20))
        landing.commit()
    assert file.read_bytes()[:size] == data


@pytest.mark.once
def test_a_device_that_is_too_small_is_refused(device):
    """And left as it was."""
    name, file = device
    with pytest.raises(DestinationError, match="4194304 bytes"):
        DeviceLanding(name, 5 << 20)
    assert not file.read_bytes().strip(b"\xff")


def test_a_file_is_no_device(tmp_path):
    """It is left as it was."""
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with pytest.raises(DestinationError, match="no block device"):
        DeviceLanding(path, 4)
    assert path.read_bytes() == b"data"


# -- digests


@pytest.mark.parametrize(
    "text",
    ["", "sha512", "md5:" + 32 * "0", "sha256:00", "sha256:" + 64 * "g"],
)
def test_what_is_no_digest_is_refused(text):
    """So are those that are broken."""
    with pytest.raises(ValueError):
        Digest.parse(text)


def test_a_digest_is_made_of_what_is_written(tmp_path):
    """Not of more, and not of what the writer believes."""
    with Landing(tmp_path / "image", SIZE, "key") as landing:
        running = RunningDigest(DIGEST, landing.read, landing.blocks)
        assert not running.advance()
        landing.write(0, DATA[: BLOCK + 1])
        landing.mark(0, BLOCK + 1)
        assert running.advance()
        assert running.position == BLOCK
        with pytest.raises(TransferError, match=f"only {BLOCK} of"):
            running.finish()
        landing.mark(BLOCK, SIZE)
        with pytest.raises(DataMismatch):
            running.finish()


# -- blocks


@given(
    st.integers(0, 20 * BLOCK),
    st.lists(st.tuples(st.integers(0, 22), st.integers(0, 22))),
    st.integers(1, 5),
)
def test_holes_are_what_is_not_marked(size, marks, extent):
    """Each byte is in a hole or marked; no hole crosses a boundary."""
    blocks = Blocks(size)
    for begin, length in marks:
        blocks.mark(begin * BLOCK, min((begin + length) * BLOCK, size))
    holes = list(blocks.holes(extent * BLOCK))
    assert sum(end - begin for begin, end in holes) + blocks.done() == size
    for begin, end in holes:
        assert begin < end <= size
        assert begin // (extent * BLOCK) == (end - 1) // (extent * BLOCK)
        blocks.mark(begin, end)
    assert blocks.written_up_to(0) == blocks.done() == size
    assert blocks.has(0, size)


@given(st.integers(0, 4 * BLOCK), st.integers(0, 4 * BLOCK))
def test_a_block_that_is_filled_in_part_is_not_marked(begin, end):
    """Only what is written is said to be."""
    blocks = Blocks(4 * BLOCK)
    blocks.mark(begin, end)
    assert blocks.done() <= max(end - begin, 0)


def test_the_room_loads_nothing_else():
    """It is for those who download, and for those who copy."""
    code = "import sys, parallelops.landing as l; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"ssl", "http.client", "libtorrent"} & set(loaded)
