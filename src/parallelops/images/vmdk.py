"""What a VMDK says of itself, and whether it is a disk in one file.

A VMDK may be nothing but a text that names other files, by any path. Who
opens such a disk opens those, whatever they are (CVE-2022-47951).
"""

from __future__ import annotations

import os
import re
import struct

from parallelops.errors import ArchiveRefused

__all__ = ["check_vmdk"]

_MAGIC = b"KDMV"
_SECTOR = 512
# Magic, version, flags; capacity, grain size, and where the text is, in
# sectors. From VMware's "Virtual Disk Format 5.0".
_HEADER = struct.Struct("<4sIIQQQQ")
_LONGEST_TEXT = 1024 * 1024
_KINDS = ("monolithicSparse", "streamOptimized")
_TYPE = re.compile(r'(?mi)^\s*createType\s*=\s*"?([^"\n]*?)"?\s*$')
_PARENT = re.compile(r'(?mi)^\s*parentCID\s*=\s*"?([^"\n]*?)"?\s*$')
_HINT = re.compile(r"(?mi)^\s*parentFileNameHint\b")
_EXTENT = re.compile(r"(?mi)^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)")


def check_vmdk(file: int, name: str) -> None:
    """See that an open file is a VMDK with all of its data in it.

    Args:
        file: its descriptor.
        name: what it is called, for errors.

    Raises:
        ArchiveRefused: it is something else, or refers to other files.
    """
    head = os.pread(file, _HEADER.size, 0)
    if len(head) < _HEADER.size or head[:4] != _MAGIC:
        raise ArchiveRefused(
            "it is no VMDK with its data in it; it may be a text that names "
            "other files",
            name,
        )
    *_, offset, length = _HEADER.unpack(head)
    size = os.fstat(file).st_size
    if not 0 < length * _SECTOR <= _LONGEST_TEXT or not offset:
        raise ArchiveRefused("it does not describe itself", name)
    if (offset + length) * _SECTOR > size:
        raise ArchiveRefused("it is cut off", name)
    raw = os.pread(file, length * _SECTOR, offset * _SECTOR)
    text = raw.partition(b"\0")[0].decode("latin-1").replace("\r", "\n")
    kinds = _TYPE.findall(text)
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise ArchiveRefused(
            f"it is not of the kind {' or '.join(_KINDS)}", name
        )
    parents = _PARENT.findall(text)
    if _HINT.search(text) or any(p.lower() != "ffffffff" for p in parents):
        raise ArchiveRefused("it needs another disk below it", name)
    extents = [extent.upper() for extent in _EXTENT.findall(text)]
    if extents != ["SPARSE"]:
        raise ArchiveRefused("its data is not, or not all, in it", name)
