"""Groups of images: all or none, in parallel, each disk once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import Traits, load_executor
from parallelops.errors import (
    DestinationError,
    FetchCancelled,
    GroupFailed,
    TransferError,
)
from parallelops.images import (
    Fetcher,
    FetchOptions,
    FetchProgress,
    GroupMember,
    Handled,
    ImageGroup,
    LocationEntry,
    Wanted,
)


def digest_of(data):
    """As what is wanted has it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Source:
    """A handler that gives what it has, and counts."""

    def __init__(self, **data):
        self.data = data
        self.asked = []
        self.lock = threading.Lock()

    def __call__(self, location, destination, context):
        name = location.url.rpartition("/")[2]
        with self.lock:
            self.asked.append(name)
        context.check()
        data = self.data[name]
        if isinstance(data, BaseException):
            raise data
        file = destination.create()
        if callable(data):
            data = data(context)
        os.write(file, data)
        context.advance(len(data))
        return Handled("made up")

    @property
    def fetcher(self):
        """A fetcher that has only this."""
        return Fetcher(handlers=[("source", self)])


def member(name, data=None, **others):
    """A member at a location of that name."""
    if data is not None:
        others |= {"size": len(data), "digest": digest_of(data)}
    location = LocationEntry(url=f"http://host/{name}")
    return GroupMember((location,), Wanted(**others))


def everything(folder):
    """What is in a folder, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_all_images_are_there(tmp_path, executor):
    """In a directory of their own, with how each was fetched."""
    source = Source(root=b"root disk", data=b"data disk", iso=b"iso")
    group = ImageGroup({name: member(name) for name in source.data})
    results = group.fetch(executor, source.fetcher, tmp_path / "template")
    assert everything(tmp_path) == {
        f"template/{name}": data for name, data in source.data.items()
    }
    assert {
        name: (result.path, result.size) for name, result in results.items()
    } == {
        name: (tmp_path / "template" / name, len(data))
        for name, data in source.data.items()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["template"]
    assert (tmp_path / "template").stat().st_mode & 0o777 == 0o700


def test_they_are_fetched_at_the_same_time(tmp_path):
    """Each waits until all have begun."""
    barrier = threading.Barrier(3, timeout=20)

    def meet(context):
        barrier.wait()
        return b"data"

    source = Source(a=meet, b=meet, c=meet)
    group = ImageGroup({name: member(name) for name in "abc"})
    with load_executor("thread", max_workers=3) as executor:
        group.fetch(executor, source.fetcher, tmp_path / "template")


def test_a_shared_disk_is_fetched_once(tmp_path, executor):
    """Each image has a file of its own all the same."""
    source = Source(shared=b"shared", mirror=b"shared", other=b"other")
    group = ImageGroup(
        {
            "first": member("shared", b"shared"),
            "second": member("mirror", b"shared"),
            "third": member("other"),
            "fourth": member("other"),
        }
    )
    group.fetch(executor, source.fetcher, tmp_path / "template")
    assert sorted(source.asked) == ["other", "shared"]
    assert everything(tmp_path / "template") == {
        "first": b"shared",
        "second": b"shared",
        "third": b"other",
        "fourth": b"other",
    }
    first, second = (tmp_path / "template" / n for n in ("first", "second"))
    assert not first.samefile(second)


def test_a_shared_disk_has_the_locations_of_all(tmp_path, executor):
    """It is there if any of those that share it has a location that works."""
    source = Source(dead=TransferError("no"), mirror=b"shared")
    group = ImageGroup(
        {
            "first": member("dead", b"shared"),
            "second": member("mirror", b"shared"),
        }
    )
    results = group.fetch(executor, source.fetcher, tmp_path / "template")
    assert results["first"].location.url == "http://host/mirror"
    assert everything(tmp_path / "template") == {
        "first": b"shared",
        "second": b"shared",
    }


FAILURES = {
    "a location fails": TransferError("no"),
    "a handler has a bug": KeyError("bug"),
    "the data is wrong": b"wrong",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_one_that_fails_fails_all(tmp_path, executor, failure):
    """Nothing is left of the others, and the error names it."""
    source = Source(a=b"a", bad=FAILURES[failure], c=b"c")
    group = ImageGroup({name: member(name, b"a") for name in source.data})
    group.members["c"] = member("c", b"c")
    group.members["bad"] = member("bad", b"right")
    with pytest.raises(GroupFailed) as caught:
        group.fetch(executor, source.fetcher, tmp_path / "template")
    assert set(caught.value.failures) == {"bad"}
    assert caught.value.__cause__ is caught.value.failures["bad"]
    assert not list(tmp_path.iterdir())


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sampled_from("xyz"), min_size=1
    ),
    st.sets(st.sampled_from("xyz")),
)
def test_there_is_all_of_it_or_nothing(disks, bad):
    """Whatever is shared, and whatever fails."""
    source = Source(
        **{
            disk: TransferError("no") if disk in bad else disk.encode() * 9
            for disk in "xyz"
        }
    )
    group = ImageGroup(
        {name: member(disk, disk.encode() * 9) for name, disk in disks.items()}
    )
    failing = {name for name, disk in disks.items() if disk in bad}
    with (
        tempfile.TemporaryDirectory() as folder,
        load_executor("serial") as executor,
    ):
        to = Path(folder) / "template"
        if failing:
            with pytest.raises(GroupFailed) as caught:
                group.fetch(executor, source.fetcher, to)
            assert set(caught.value.failures) <= failing
            assert not list(Path(folder).iterdir())
        else:
            group.fetch(executor, source.fetcher, to)
            assert everything(to) == {
                name: disk.encode() * 9 for name, disk in disks.items()
            }
    assert len(source.asked) == len(set(source.asked))


def test_the_others_are_called_off(tmp_path):
    """When one has failed, nobody waits for what is not needed."""
    failed = threading.Event()

    def wait(context):
        assert failed.wait(20)
        while True:  # until it is called off
            context.check()

    class Fails(TransferError):
        def __init__(self):
            super().__init__("no")
            failed.set()

    def fail(context):
        raise Fails

    source = Source(a=wait, b=fail)
    group = ImageGroup({"a": member("a"), "b": member("b")})
    with (
        load_executor("thread", max_workers=2) as executor,
        pytest.raises(GroupFailed) as caught,
    ):
        group.fetch(executor, source.fetcher, tmp_path / "template")
    assert set(caught.value.failures) == {"b"}
    assert not list(tmp_path.iterdir())


def test_a_group_is_called_off(tmp_path, executor):
    """And leaves nothing."""
    source = Source(a=b"a", b=b"b")
    group = ImageGroup({name: member(name) for name in "ab"})
    asked = iter([False, False])
    with pytest.raises(FetchCancelled):
        group.fetch(
            executor,
            source.fetcher,
            tmp_path / "template",
            cancelled=lambda: next(asked, True),
        )
    assert not list(tmp_path.iterdir())


def test_an_executor_that_is_closed_leaves_nothing(tmp_path):
    """Whatever goes wrong."""
    executor = load_executor("thread")
    executor.shutdown()
    group = ImageGroup({"a": member("a")})
    with pytest.raises(RuntimeError):
        group.fetch(executor, Source(a=b"a").fetcher, tmp_path / "template")
    assert not list(tmp_path.iterdir())


def test_an_executor_on_other_machines_is_refused(tmp_path):
    """Its tasks would write to their own disks."""
    with load_executor("serial") as executor:
        executor.traits = Traits(shared_memory=False)
        group = ImageGroup({"a": member("a")})
        with pytest.raises(ValueError, match="do not share memory"):
            group.fetch(executor, Source(a=b"a").fetcher, tmp_path / "x")


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_is_not_replaced(tmp_path, executor, there):
    """Not even an empty directory."""
    to = tmp_path / "template"
    if there == "file":
        to.write_text("mine")
    elif there == "folder":
        to.mkdir()
    else:
        to.symlink_to("nowhere")
    group = ImageGroup({"a": member("a")})
    source = Source(a=b"a")
    with pytest.raises(DestinationError, match="is there already"):
        group.fetch(executor, source.fetcher, to)
    assert not source.asked
    assert [path.name for path in tmp_path.iterdir()] == ["template"]


def test_progress_is_over_the_whole(tmp_path, executor):
    """It never shrinks, ends with all of it, and counts what is shared
    once."""
    told = []
    source = Source(a=b"a" * 100, b=b"b" * 50)
    group = ImageGroup(
        {
            "a": member("a", source.data["a"]),
            "again": member("a", source.data["a"]),
            "b": member("b", source.data["b"]),
        }
    )
    group.fetch(
        executor, source.fetcher, tmp_path / "template", progress=told.append
    )
    assert told[-1] == FetchProgress(150, 150)
    assert [each.done for each in told] == sorted(each.done for each in told)
    unknown = []
    ImageGroup({"a": member("a")}).fetch(
        executor, source.fetcher, tmp_path / "other", progress=unknown.append
    )
    assert unknown[-1] == FetchProgress(100, None)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_names_are_names_of_files(name):
    """No image goes anywhere else."""
    with pytest.raises(ValueError):
        ImageGroup({name: member("a")})
    with pytest.raises(ValueError):
        ImageGroup({})


KILLED = """
import os, signal, sys
from parallelops import Traits, load_executor
from parallelops.images import *
def handler(location, destination, context):
    os.write(destination.create(), b"data")
    if location.url.endswith("/b"):
        os.kill(os.getpid(), signal.SIGKILL)
    return Handled("x")
group = ImageGroup({
    n: GroupMember((LocationEntry(url=f"http://host/{n}"),)) for n in "ab"
})
with load_executor("serial") as executor:
    group.fetch(executor, Fetcher(handlers=[("x", handler)]), sys.argv[1])
"""


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path, executor):
    """And what one that still runs has is not."""
    to = tmp_path / "template"
    done = subprocess.run([sys.executable, "-c", KILLED, str(to)], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".template.")
    source = Source(a=b"a")

    def inner(context):
        # Another one to the same place, while this one is at it.
        with load_executor("serial") as other:
            ImageGroup({"a": member("a")}).fetch(other, source.fetcher, to)
        return b"data"

    outer = Source(a=inner)
    with pytest.raises(DestinationError, match="is there already"):
        ImageGroup({"a": member("a")}).fetch(executor, outer.fetcher, to)
    assert everything(tmp_path) == {"template/a": b"a"}
    assert not left.exists()


def test_real_files_over_real_handlers(tmp_path, executor):
    """A template of files, one of them sparse."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "root").write_bytes(os.urandom(100_000))
    with (images / "data").open("wb") as file:
        file.truncate(1 << 28)
    group = ImageGroup(
        {
            name: GroupMember(
                (LocationEntry(url=(images / name).as_uri()),),
                Wanted(size=(images / name).stat().st_size),
            )
            for name in ("root", "data")
        }
    )
    fetcher = Fetcher(options=FetchOptions(folders=(images,)))
    results = group.fetch(executor, fetcher, tmp_path / "template")
    assert {each.handler for each in results.values()} == {"file"}
    assert (tmp_path / "template" / "data").stat().st_blocks < 100
    assert (tmp_path / "template" / "root").read_bytes() == (
        images / "root"
    ).read_bytes()
