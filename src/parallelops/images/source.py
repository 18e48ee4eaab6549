"""Sources: what the locations of images are measured by."""

from __future__ import annotations

import re
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
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")


def source_of(location: Selectable) -> str:
    """The name under which a location is measured, without secrets.

    It has the name of the store, the scheme of the URL, and the host if
    there is one: "fast http://images.example:8080". No path is in it.
    """
    match = _URL.match(location.url)
    scheme = match[1].lower() if match else "other"
    name = f"{scheme}://"
    if match and scheme.partition("+")[0] in _WITH_HOST:
        # What is no host may be a secret that somebody forgot to quote.
        host = match[2].rpartition("@")[2]
        name += host.lower() if _HOST.fullmatch(host) else ""
    if location.store:
        # It is a word of the one who made the entry, too.
        name = f"{redact_url(location.store)} {name}"
    return name[:_LONGEST_NAME]
