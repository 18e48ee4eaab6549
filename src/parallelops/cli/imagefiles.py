"""Image files for the demonstration: small, sparse, and real."""

from __future__ import annotations

import os
import struct
from pathlib import Path

__all__ = ["write_qcow2", "write_raw"]

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_COPIED = 1 << 63
_SECTOR = 512


def write_raw(path: Path, size: int) -> None:
    """A raw disk of ``size`` bytes: a partition table, and a hole.

    The partition begins at 1 MiB and takes the rest.
    """
    with path.open("xb") as file:
        file.write(_boot_sector(size))
        file.truncate(size)


def write_qcow2(path: Path, size: int) -> None:
    """A qcow2 image (version 2) of a disk of ``size`` bytes, of which the
    first cluster is allocated.

    The layout is that of QEMU's docs/interop/qcow2.txt: one cluster each
    for header, refcount table, refcount block, L1 table, L2 table, data.
    """
    l2_covers = _CLUSTER * (_CLUSTER // 8)
    l1_entries = max(1, -(-size // l2_covers))
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        2,  # version
        0,  # no backing file
        0,
        _CLUSTER_BITS,
        size,
        0,  # not encrypted
        l1_entries,
        3 * _CLUSTER,  # L1 table
        1 * _CLUSTER,  # refcount table
        1,
        0,  # no snapshots
        0,
    )
    clusters = [
        header,
        struct.pack(">Q", 2 * _CLUSTER),
        struct.pack(">6H", *[1] * 6),
        struct.pack(">Q", 4 * _CLUSTER | _COPIED),
        struct.pack(">Q", 5 * _CLUSTER | _COPIED),
        _boot_sector(size),
    ]
    with path.open("xb") as file:
        for number, content in enumerate(clusters):
            file.seek(number * _CLUSTER)
            file.write(content)
        file.truncate(len(clusters) * _CLUSTER)


def _boot_sector(size: int) -> bytes:
    start = 2048
    sectors = min(max(size // _SECTOR - start, 0), 2**32 - 1)
    entry = struct.pack(
        "<B3sB3sII", 0x80, bytes(3), 0x83, bytes(3), start, sectors
    )
    code = os.urandom(64)  # no two images are the same
    return code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"
