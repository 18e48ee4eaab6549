"""``file://`` URLs, which are not trusted, and the files that they name."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from parallelops.errors import LocationRefused
from parallelops.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DIRECTORY", "file_path", "opened_below"]

# Never through a symbolic link: those were resolved before.
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@contextlib.contextmanager
def opened_below(root: int, parts: tuple[str, ...]) -> Iterator[int]:
    """Open a directory part by part, so that no link leads out of it.

    Args:
        root: the directory to begin in, opened.
        parts: the names below it.

    Raises:
        FileNotFoundError: it is not there.
    """
    fd = os.dup(root)
    try:
        for part in parts:
            below = os.open(part, DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def file_path(url: str) -> PurePosixPath:
    """The path that a URL names, without a question to the file system.

    Raises:
        LocationRefused: it names none, or one on another host.
    """
    # Not urllib.parse.urlsplit, which drops tabs and line ends.
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if scheme.lower() != "file" or not slash:
        raise _refused(url, "it is not a file:///path URL")
    if host.lower() not in ("", "localhost"):
        raise _refused(url, "it is on another host")
    if "?" in path or "#" in path:
        raise _refused(url, "files have no queries and no fragments")
    if _BAD_ESCAPE.search(path):
        raise _refused(url, "a % in it is not followed by two digits")
    names = [_name(url, part) for part in path.split("/")]
    if not names[-1]:
        raise _refused(url, "it is a directory")
    return PurePosixPath("/", *names)


def _name(url: str, part: str) -> str:
    try:
        name = os.fsdecode(unquote_to_bytes(part))
    except UnicodeError as error:
        raise _refused(url, "it is not text") from error
    if name in (".", "..") or "/" in name or "\0" in name:
        raise _refused(url, f"{name!r} is no name")
    return name


def _refused(url: str, reason: str) -> LocationRefused:
    return LocationRefused(f"{redact_url(url)}: {reason}")
