"""The handler of packages: good ones, and a corpus of hostile ones."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.images.hostile import BEGIN, DISK, HOSTILE, REASONS, REST
from tests.images.packages import OVF, good, header, member, package, pax, vmdk

from parallelops.errors import (
    ArchiveRefused,
    DataMismatch,
    FetchError,
    NoLocationWorked,
)
from parallelops.images import (
    Destination,
    FetchContext,
    Fetcher,
    FetchOptions,
    LocationEntry,
    LocationMetrics,
    NotForMe,
    Wanted,
)
from parallelops.images.handlers.ova import take_disk
from parallelops.images.tarreader import TarReader
from parallelops.runtime import ThreadRuntime

WANTED = Wanted(container="ova", max_size=1 << 25)


class Place:
    """A folder with a package, and another one for the disk."""

    def __init__(self, path):
        self.source = path / "source"
        self.target = path / "target"
        self.outside = path / "outside"
        for each in (self.source, self.target, self.outside):
            each.mkdir()
        (self.outside / "file").write_text("not yours")
        self.metrics = LocationMetrics()

    def take(self, data, wanted=WANTED):
        """Take the disk out of a package."""
        file = self.source / "a.ova"
        file.write_bytes(data)
        location = LocationEntry(url=file.as_uri())
        options = FetchOptions(folders=(self.source,))
        runtime = ThreadRuntime()
        with (
            self.metrics.measure(location) as measurement,
            Destination(self.target / "disk") as destination,
        ):
            context = FetchContext(wanted, options, runtime, measurement)
            done = take_disk(location, destination, context)
            if not isinstance(done, NotForMe):
                destination.commit()
        return done

    def everything(self):
        """All files, with what is in them."""
        return {
            str(path): path.read_bytes()
            for folder in (self.target, self.outside)
            for path in folder.rglob("*")
        }


@pytest.fixture
def place(tmp_path):
    """A place to unpack in."""
    return Place(tmp_path)


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize("last", [False, True])
def test_the_disk_is_taken_out(place, algorithm, last):
    """The disk and nothing else, wherever the manifest is."""
    data = good(algorithm=algorithm, manifest_last=last)
    done = place.take(data)
    assert done.method == "ova"
    assert done.checked
    assert (place.target / "disk").read_bytes() == DISK
    assert [path.name for path in place.target.iterdir()] == ["disk"]


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_what_the_standard_library_writes_is_taken(place, form):
    """The usual forms of tar are no reason to refuse."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, data in (
            ("a.ovf", OVF),
            ("disk.vmdk", DISK),
            ("a.nvram", b"more"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5  # has pax write an extension
            archive.addfile(info, io.BytesIO(data))
    place.take(file.getvalue())
    assert (place.target / "disk").read_bytes() == DISK


def test_size_and_digest_are_those_of_the_package(place):
    """They are checked while it is read."""
    data = good()
    digest = f"sha512:{hashlib.sha512(data).hexdigest()}"
    wanted = Wanted(container="ova", size=len(data), digest=digest)
    assert place.take(data, wanted).checked
    for other in (
        Wanted(container="ova", size=len(data) + 1),
        Wanted(container="ova", digest="sha512:" + "0" * 128),
    ):
        with pytest.raises(DataMismatch):
            place.take(data, other)


def test_one_of_several_disks_is_chosen_by_name(place):
    """Nobody guesses which one was meant."""
    other = vmdk(data=b"other" * 99)
    data = package(BEGIN, REST, member("b.vmdk", other))
    with pytest.raises(ArchiveRefused, match="several disks"):
        place.take(data)
    place.take(data, Wanted(container="ova", disk="b.vmdk"))
    assert (place.target / "disk").read_bytes() == other


def test_a_size_that_octal_digits_cannot_say(place):
    """Both ways to say a large one are understood, and then bounded."""
    for large in (
        header("disk.vmdk", 0, octal=b"\x80" + (9 << 30).to_bytes(11, "big")),
        pax(("size", str(9 << 30))) + header("disk.vmdk", 0),
    ):
        with pytest.raises(ArchiveRefused, match="9663676416 bytes"):
            place.take(package(BEGIN, large))


def test_a_package_may_be_as_large_as_the_limit(place):
    """And not a byte larger."""
    data = good()
    place.take(data, Wanted(container="ova", max_size=len(data)))
    with pytest.raises(DataMismatch, match="up to"):
        place.take(data, Wanted(container="ova", max_size=len(data) - 1))
    for limit, fits in ((len(data), True), (len(data) - 1, False)):
        reader = TarReader(io.BytesIO(data), limit)
        if fits:
            assert len(list(reader.members())) == 3
        else:
            with pytest.raises(ArchiveRefused, match=r"over|in all"):
                list(reader.members())


def test_a_bare_image_is_not_for_it(place):
    """What is wanted says whether there is a package to open."""
    assert isinstance(place.take(good(), Wanted()), NotForMe)


def test_the_corpus_is_large():
    """And each package in it says what is wrong with it."""
    assert len(HOSTILE) >= 30
    assert HOSTILE.keys() == REASONS.keys()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_package_is_refused(place, name):
    """With a named error; what was there is untouched, and nothing new."""
    (place.target / "disk").write_text("from before")
    before = place.everything()
    with pytest.raises((ArchiveRefused, DataMismatch)) as caught:
        place.take(HOSTILE[name])
    assert str(caught.value).isprintable()
    assert REASONS[name] in str(caught.value)
    assert place.everything() == before


def test_a_refused_package_is_a_reason_in_the_result(place):
    """The caller of a fetch learns what was wrong with it."""
    file = place.source / "a.ova"
    file.write_bytes(HOSTILE["a symbolic link"])
    fetcher = Fetcher(options=FetchOptions(folders=(place.source,)))
    with pytest.raises(NoLocationWorked, match="a symbolic link, not a plain"):
        fetcher.fetch(
            [LocationEntry(url=file.as_uri())], place.target / "x", WANTED
        )
    assert not list(place.target.iterdir())


@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_no_damage_is_taken_for_good(data):
    """Whatever bytes are changed, a reader refuses the archive, or sees the
    members that are there; it never fails in another way."""
    archive = bytearray(good(b"disk" * 50))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(archive)))
    reader = TarReader(io.BytesIO(bytes(archive[: max(cut, 600)])), 1 << 20)
    try:
        names = [each.name for each in reader.members()]
    except FetchError:
        return
    assert all("/" not in name for name in names)
