"""A file in the making that outlives a crash."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parallelops.errors import DestinationBusy, DestinationError
from parallelops.landing.blocks import Blocks
from parallelops.landing.place import Place, explained

if TYPE_CHECKING:
    from parallelops.landing.digest import Digest

__all__ = ["Landing"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = _FILE | os.O_CREAT | os.O_EXCL
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST_NAME = 100
_DATA, _MARKS, _STATE = "data", "blocks", "state"


class Landing:
    """A file that has its name only once it is whole.

    Data is written to a file in a private folder beside ``path``, with a
    map of what has been written. A process that is killed leaves both, and
    the next one for the same path and key goes on from there. The map is
    believed as long as the machine has not been started anew: what a
    process wrote outlives it, what only the machine's memory had is gone
    with a power cut. Then all begins from the start.

    The folder is locked while it is in use. Several threads may write at
    the same time, each its own part.

    Args:
        path: the file. What is there is replaced, if it is a plain file.
        size: bytes it will have.
        key: what it is going to be, such as its digest. What is there of
            something else is thrown away.

    Attributes:
        path: the same, as an absolute path.
        folder: the private folder.
        data: the path of the data in it, for those who can't use ``file``.
        file: a descriptor of the data, for reading and writing.
        blocks: which parts have been written.
        size: bytes it will have.

    Raises:
        DestinationBusy: somebody is making it at this moment.
        DestinationError: the file can't be made there.
    """

    def __init__(
        self, path: str | os.PathLike[str], size: int, key: str
    ) -> None:
        self._place = Place(path)
        self.path = self._place.path
        self.folder = self.folder_for(self.path)
        self.data = self.folder / _DATA
        self.file = -1
        self.size = size
        self.blocks = Blocks(size)
        self._marks = -1
        self._handed_over = False
        self._folder = -1
        try:
            with explained(self.path):
                self._folder = self._locked()
                self._open(key)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._handed_over:
            self.close()

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write at ``offset``; :meth:`mark` says so to the next process.

        Raises:
            DestinationError: it does not go there.
        """
        with explained(self.path):
            rest = memoryview(data)
            while rest:
                count = os.pwrite(self.file, rest, offset)
                rest, offset = rest[count:], offset + count

    def read(self, count: int, offset: int) -> bytes:
        """What is there at ``offset``, ``count`` bytes at the most.

        Raises:
            DestinationError: it can't be read.
        """
        with explained(self.path):
            return os.pread(self.file, count, offset)

    def mark(self, begin: int, end: int) -> None:
        """All from ``begin`` to ``end`` has been written.

        Raises:
            DestinationError: that can't be noted.
        """
        full = self.blocks.mark(begin, end)
        with explained(self.path):
            os.pwrite(self._marks, b"\1" * len(full), full.start)

    def commit(self, *, keep: bool = False) -> None:
        """Have the file under its name, for good, even after a power cut.

        Args:
            keep: leave the folder, where the data is then to be found as
                well, until :meth:`remove`. Both are one file.

        Raises:
            DestinationError: that can't be. What there was is still there.
        """
        name = _DATA
        if keep:
            name = f"{_DATA}.new"
            with explained(self.path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._folder)
                os.link(
                    _DATA,
                    name,
                    src_dir_fd=self._folder,
                    dst_dir_fd=self._folder,
                )
        self._place.receive(self.file, name, self._folder)
        if not keep:
            self.remove()

    def remove(self) -> None:
        """Remove the private folder and what is in it."""
        with explained(self.path), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder.name, dir_fd=self._place.directory)
        self.close()

    def is_there(self, digest: Digest) -> bool:
        """Whether the file has its name already, and is what it has to be.

        Raises:
            DestinationError: it can't be read.
        """
        with explained(self.path):
            try:
                file = os.open(
                    self.path.name,
                    os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=self._place.directory,
                )
            except FileNotFoundError:
                return False
            with os.fdopen(file, "rb") as stream:
                if os.fstat(file).st_size != self.size:
                    return False
                made = hashlib.file_digest(stream, digest.new_hash)
        return bool(made.hexdigest() == digest.value)

    def restart(self) -> None:
        """Forget what was written, which turned out to be wrong.

        Raises:
            DestinationError: there can be no new file.
        """
        with explained(self.path):
            self._close_files()
            self._begin_anew(self._state)

    def forget(self) -> None:
        """What is written is somebody else's business from here on.

        Raises:
            DestinationError: that can't be noted.
        """
        with explained(self.path):
            os.ftruncate(self._marks, 0)
            os.ftruncate(self._marks, len(self.blocks.marks))
        self.blocks = Blocks(self.size)

    def hand_over(self) -> None:
        """Leave it open at the end of the ``with`` block: who was given
        :meth:`remove` calls it once it is time."""
        self._handed_over = True

    def close(self) -> None:
        """Leave it as it is, to go on some other time."""
        self._close_files()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        self._place.close()

    @classmethod
    def clear(cls, path: Path) -> None:
        """Remove what was left of a file that was to be at ``path``.

        What somebody makes right now stays, and so does what is not ours.
        """
        if cls.folder_for(path).exists():
            with contextlib.suppress(DestinationError):
                cls(path, 0, "").remove()

    @staticmethod
    def folder_for(path: Path) -> Path:
        """The private folder of a file that is to be at ``path``."""
        # Two long names may begin alike.
        short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        return path.with_name(f".{path.name[:_LONGEST_NAME]}.{short}.part")

    # -- the folder

    def _locked(self) -> int:
        """The folder, open and locked; made if it is not there."""
        name = self.folder.name
        while True:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._place.directory)
            try:
                folder = os.open(
                    name, _DIRECTORY, dir_fd=self._place.directory
                )
            except FileNotFoundError:
                continue  # who had it was done with it just now
            try:
                self._check_private(folder)
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                here = os.stat(
                    name, dir_fd=self._place.directory, follow_symlinks=False
                )
                if os.path.samestat(here, os.fstat(folder)):
                    return folder
            except BlockingIOError:
                os.close(folder)
                raise DestinationBusy(
                    str(self.path), "somebody writes or shares it right now"
                ) from None
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(folder)
                raise
            os.close(folder)

    def _check_private(self, folder: int) -> None:
        status = os.fstat(folder)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise DestinationError(
                str(self.path),
                f"{self.folder.name} beside it is not a private folder of "
                "this user; remove it first",
            )

    def _open(self, key: str) -> None:
        boot = _BOOT.read_text().strip() if _BOOT.exists() else "unknown"
        self._state = json.dumps({"key": key, "size": self.size, "boot": boot})
        if self._read(_STATE) != self._state.encode():
            self._begin_anew(self._state)
            return
        try:
            self.file = os.open(_DATA, _FILE, dir_fd=self._folder)
        except FileNotFoundError:
            self._begin_anew(self._state)
            return
        marks, status = self._read(_MARKS), os.fstat(self.file)
        self.blocks = Blocks(self.size)
        if (
            len(marks) == len(self.blocks.marks)
            and not marks.strip(b"\0\1")
            and status.st_size == self.size
            # Else it is what has the name, since who shared it was killed.
            and status.st_nlink == 1
        ):
            self.blocks = Blocks(self.size, marks)
            self._marks = os.open(_MARKS, _FILE, dir_fd=self._folder)
            self._check_room()
        else:
            self._close_files()
            self._begin_anew(self._state)

    def _begin_anew(self, state: str) -> None:
        # What says that the rest is good goes first and comes last.
        for name in (_STATE, _DATA, _MARKS):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder)
        self.blocks = Blocks(self.size)
        self.file = os.open(_DATA, _NEW, 0o600, dir_fd=self._folder)
        os.ftruncate(self.file, self.size)
        self._marks = os.open(_MARKS, _NEW, 0o600, dir_fd=self._folder)
        os.ftruncate(self._marks, len(self.blocks.marks))
        self._check_room()
        part = os.open(f"{_STATE}.new", _NEW, 0o600, dir_fd=self._folder)
        try:
            os.write(part, state.encode())
        finally:
            os.close(part)
        os.rename(
            f"{_STATE}.new",
            _STATE,
            src_dir_fd=self._folder,
            dst_dir_fd=self._folder,
        )

    def _check_room(self) -> None:
        """Fail now rather than half-way."""
        system = os.fstatvfs(self.file)
        status = os.fstat(self.file)
        missing = self.size - 512 * status.st_blocks
        free = system.f_bavail * system.f_frsize
        if missing > free:
            raise DestinationError(
                str(self.path),
                f"it needs {missing} bytes more, and {free} are free",
            )

    def _read(self, name: str) -> bytes:
        try:
            file = os.open(name, _FILE, dir_fd=self._folder)
        except FileNotFoundError:
            return b""
        with os.fdopen(file, "rb") as stream:
            return stream.read()

    def _close_files(self) -> None:
        for descriptor in (self.file, self._marks):
            if descriptor >= 0:
                os.close(descriptor)
        self.file = self._marks = -1
