"""Sources: what the locations of images are measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.redact import redact_url

if TYPE_CHECKING:
    from parallelops.images.strategy import Selectable

__all__ = ["source_of"]

_LONGEST_NAME = 255
# Of others, what looks like a host is the name of a cluster or a volume.
_WITH_HOST = frozenset(
    {"ftp", "http", "https", "s3", "sftp", "swift", "vsphere"}
)


def source_of(location: Selectable) -> str:
    """The name under which a location is measured, without secrets.

    It has the name of the store, the scheme of the URL, and the host if
    there is one: "fast http://images.example:8080". No path is in it.
    """
    url = redact_url(location.url)
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "other", ""
    scheme = scheme.lower()
    authority = rest
    for mark in "/?#":
        authority = authority.partition(mark)[0]
    host = authority.rpartition("@")[2].lower()
    name = f"{scheme}://"
    if scheme.partition("+")[0] in _WITH_HOST:
        name += host
    if location.store:
        # It is a word of the one who made the entry, too.
        name = f"{redact_url(location.store)} {name}"
    return name[:_LONGEST_NAME]
