"""A corpus of hostile packages, and why each is refused."""

from __future__ import annotations

import gzip
import os

from tests.images.packages import (
    END,
    OVF,
    good,
    header,
    manifest,
    member,
    package,
    pad,
    pax,
    vmdk,
)

DISK = vmdk()
BEGIN = member("a.ovf", OVF)
REST = member("disk.vmdk", DISK)
GNU_SPARSE = header(
    "disk.vmdk", 512, b"S", magic=b"ustar  \0", patches=[(386, b"1")]
)
TEXT = vmdk().replace(b"streamOptimized", b"monolithicFlat\0")
HOSTILE = {
    "a path out": package(BEGIN, member("../disk.vmdk", DISK)),
    "a path out, further on": package(BEGIN, member("x/../../d.vmdk", DISK)),
    "an absolute path": package(BEGIN, member("/tmp/disk.vmdk", DISK)),
    "a directory in a name": package(BEGIN, member("x/disk.vmdk", DISK)),
    "a directory in the prefix": package(
        BEGIN, member("disk.vmdk", DISK, prefix=b"..")
    ),
    "a backslash": package(BEGIN, member("..\\disk.vmdk", DISK)),
    "a dot": package(BEGIN, member("./disk.vmdk", DISK)),
    "no name": package(BEGIN, member("", DISK)),
    "a name with a line end": package(BEGIN, member("a\n.vmdk", DISK)),
    "a name that turns around": package(BEGIN, member("a\u202e.vmdk", DISK)),
    "a name that is not UTF-8": package(BEGIN, member(b"\xff.vmdk", DISK)),
    "an option for a name": package(BEGIN, member("-rf.vmdk", DISK)),
    "a hidden file": package(BEGIN, member(".bashrc", b"x"), REST),
    "a symbolic link": package(
        BEGIN, member("disk.vmdk", kind=b"2", link=b"/etc/shadow")
    ),
    "a hard link": package(
        BEGIN, member("disk.vmdk", kind=b"1", link=b"../outside/file")
    ),
    "a link that says it is a file": package(
        BEGIN, member("disk.vmdk", DISK, link=b"/etc/shadow")
    ),
    "a character device": package(BEGIN, member("disk.vmdk", kind=b"3")),
    "a block device": package(BEGIN, member("disk.vmdk", kind=b"4")),
    "a pipe": package(BEGIN, member("disk.vmdk", kind=b"6")),
    "a directory": package(BEGIN, member("disk.vmdk", kind=b"5"), REST),
    "a kind that nobody knows": package(BEGIN, member("d.vmdk", kind=b"Z")),
    "a contiguous file": package(BEGIN, member("d.vmdk", DISK, b"7")),
    "a part of a file": package(BEGIN, member("d.vmdk", DISK, b"M")),
    "a name twice": package(BEGIN, REST, REST),
    "a name twice but for its case": package(
        BEGIN, REST, member("DISK.vmdk", DISK)
    ),
    "a size over the limit": package(
        BEGIN, header("disk.vmdk", 0, octal=b"%011o\0" % (1 << 32))
    ),
    "a size that no file has": package(
        BEGIN, header("disk.vmdk", 0, octal=b"\x80" + b"\xff" * 11)
    ),
    "a size below zero": package(
        BEGIN, header("disk.vmdk", 0, octal=b"\xff" * 12)
    ),
    "a size that is none": package(
        BEGIN, header("disk.vmdk", 0, octal=b"lots\0\0\0\0\0\0\0\0")
    ),
    "too many files": package(
        BEGIN, *(member(f"f{n}", b"") for n in range(100)), REST
    ),
    "a description without end": package(
        member("a.ovf", bytes((1 << 24) + 1))
    ),
    "a sparse file of GNU": package(BEGIN, GNU_SPARSE, DISK + pad(DISK)),
    "a sparse file that says it is plain": package(
        BEGIN,
        member("d.vmdk", DISK, magic=b"ustar  \0", patches=[(386, b"1")]),
    ),
    "a sparse file of pax": package(
        BEGIN, pax(("GNU.sparse.realsize", "1000000")), REST
    ),
    "a sparse map of pax": package(
        BEGIN, pax(("GNU.sparse.map", "0,1,9,9")), REST
    ),
    "a name from an extension": package(
        BEGIN, pax(("path", "../outside/file")), REST
    ),
    "a link from an extension": package(
        BEGIN, pax(("linkpath", "/etc/shadow")), REST
    ),
    "another size from an extension": package(
        BEGIN, pax(("size", "512")), REST
    ),
    "a character set from an extension": package(
        BEGIN, pax(("hdrcharset", "BINARY")), REST
    ),
    "an extension for all": package(
        BEGIN, pax(("path", "../x"), kind=b"g"), REST
    ),
    "an extension that is damaged": package(
        BEGIN, member("pax", b"99 path=x\n", b"x"), REST
    ),
    "an extension without end": package(
        BEGIN, header("pax", 1 << 20, b"x"), bytes(1 << 20), REST
    ),
    "two extensions": package(
        BEGIN, pax(("mtime", "1")), pax(("mtime", "1")), REST
    ),
    "an extension of nothing": package(BEGIN, REST, pax(("mtime", "1"))),
    "a long name of GNU": package(
        BEGIN, member("././@LongLink", b"../disk.vmdk\0", b"L"), REST
    ),
    "a long link of GNU": package(
        BEGIN, member("././@LongLink", b"../disk.vmdk\0", b"K"), REST
    ),
    "cut off in a header": package(BEGIN, REST, end=b"")[:-300],
    "cut off in the disk": package(BEGIN, REST, end=b"")[:-1024],
    "cut off before the end": package(BEGIN, REST, end=b""),
    "cut off in the end": package(BEGIN, REST, end=bytes(512)),
    "empty": b"",
    "nothing but an end": END,
    "a wrong checksum": package(
        BEGIN, header("disk.vmdk", len(DISK), checksum=b"0000007\0"), DISK
    ),
    "a second archive behind the end": package(BEGIN, REST) + good(),
    "an end without end": package(BEGIN, REST) + bytes(2 << 20),
    "no tar at all": b"PK\3\4" + bytes(2000),
    "compressed": gzip.compress(good(os.urandom(5000))),
    "of the old kind of tar": package(
        member("a.ovf", OVF, magic=b"\0" * 8), REST
    ),
    "the disk first": package(REST, BEGIN),
    "no disk": package(BEGIN),
    "two descriptions": package(BEGIN, member("b.ovf", OVF), REST),
    "a package as the disk": package(BEGIN, member("disk.vmdk", good())),
    "a compressed disk": package(BEGIN, member("disk.vmdk.gz", DISK)),
    "a disk of another kind": package(
        BEGIN, member("disk.vmdk", b"QFI\xfb" + DISK)
    ),
    "a disk that names other files": package(
        BEGIN,
        member(
            "disk.vmdk",
            b'# Disk DescriptorFile\nRW 9 FLAT "/etc/shadow" 0\n' * 20,
        ),
    ),
    "a disk of a kind with files of its own": package(
        BEGIN, member("disk.vmdk", TEXT)
    ),
    "a disk with a part elsewhere": package(
        BEGIN,
        member(
            "disk.vmdk",
            vmdk(
                'createType="monolithicSparse"\nRW 2 SPARSE "a"\n'
                'RW 2 FLAT "/etc/shadow" 0\n'
            ),
        ),
    ),
    "a disk with another below it": package(
        BEGIN,
        member(
            "disk.vmdk",
            vmdk(
                'parentCID=12345678\nparentFileNameHint="/etc/shadow"\n'
                'createType="streamOptimized"\nRW 2 SPARSE "a"\n'
            ),
        ),
    ),
    "a disk that describes itself twice": package(
        BEGIN,
        member(
            "disk.vmdk",
            vmdk(
                'createType="streamOptimized"\ncreateType="vmfs"\n'
                'RW 2 SPARSE "a"\n'
            ),
        ),
    ),
    "a disk that describes itself elsewhere": package(
        BEGIN, member("disk.vmdk", vmdk(offset=1 << 40))
    ),
    "a disk with an endless description": package(
        BEGIN, member("disk.vmdk", vmdk(length=1 << 40))
    ),
    "a manifest of nothing": package(BEGIN, member("a.mf", b"\n"), REST),
    "a manifest without the disk": package(
        BEGIN, member("a.mf", manifest({"a.ovf": OVF})), REST
    ),
    "a manifest of other files": package(
        BEGIN,
        member(
            "a.mf",
            manifest({"a.ovf": OVF, "disk.vmdk": DISK, "../x": b""}),
        ),
        REST,
    ),
    "a manifest that says it twice": package(
        BEGIN,
        member("a.mf", 2 * manifest({"a.ovf": OVF, "disk.vmdk": DISK})),
        REST,
    ),
    "a manifest with a weak digest": package(
        BEGIN,
        member("a.mf", manifest({"a.ovf": OVF, "disk.vmdk": DISK}, "MD5")),
        REST,
    ),
    "a manifest that is none": package(
        BEGIN, member("a.mf", b"\0\1\2\3"), REST
    ),
    "two manifests": package(
        BEGIN,
        member("a.mf", manifest({"a.ovf": OVF, "disk.vmdk": DISK})),
        member("b.mf", manifest({"a.ovf": OVF, "disk.vmdk": DISK})),
        REST,
    ),
    "a digest of the disk that is wrong": package(
        BEGIN,
        member("a.mf", manifest({"a.ovf": OVF, "disk.vmdk": b"other"})),
        REST,
    ),
    "a digest of the description that is wrong": package(
        BEGIN,
        member("a.mf", manifest({"a.ovf": b"other", "disk.vmdk": DISK})),
        REST,
    ),
}


# A part of the message.
REASONS = {
    "a path out": "that is no plain name of a file",
    "a path out, further on": "that is no plain name of a file",
    "an absolute path": "that is no plain name of a file",
    "a directory in a name": "that is no plain name of a file",
    "a directory in the prefix": "it has a directory",
    "a backslash": "that is no plain name of a file",
    "a dot": "that is no plain name of a file",
    "no name": "that is no plain name of a file",
    "a name with a line end": "that is no plain name of a file",
    "a name that turns around": "that is no plain name of a file",
    "a name that is not UTF-8": "its name is not UTF-8",
    "an option for a name": "that is no plain name of a file",
    "a hidden file": "that is no plain name of a file",
    "a symbolic link": "it is a symbolic link, not a plain file",
    "a hard link": "it is a hard link, not a plain file",
    "a link that says it is a file": "it is a link to another",
    "a character device": "it is a device, not a plain file",
    "a block device": "it is a device, not a plain file",
    "a pipe": "it is a pipe, not a plain file",
    "a directory": "it is a directory, not a plain file",
    "a kind that nobody knows": "it is of no known kind, not a plain file",
    "a contiguous file": "it is a contiguous file, not a plain file",
    "a part of a file": "it is a part of a file, not a plain file",
    "a name twice": "it is there twice",
    "a name twice but for its case": "it is there twice",
    "a size over the limit": "it says 4294967296 bytes",
    "a size that no file has": "it says a size that no file has",
    "a size below zero": "it says a size below zero",
    "a size that is none": "it is no tar archive: it has no size",
    "too many files": "it has over 64 files",
    "a description without end": "it has 16777217 bytes",
    "a sparse file of GNU": "it is a sparse file, not a plain file",
    "a sparse file that says it is plain": "it is a sparse file",
    "a sparse file of pax": "an extension changes GNU.sparse.realsize, which",
    "a sparse map of pax": "an extension changes GNU.sparse.map, which is not",
    "a name from an extension": "an extension changes path, which is not",
    "a link from an extension": "an extension changes linkpath, which is not",
    "another size from an extension": "it says 7560 bytes, and an extension",
    "a character set from an extension": "an extension changes hdrcharset",
    "an extension for all": "it is a header for all files, not a plain file",
    "an extension that is damaged": "an extension is damaged",
    "an extension without end": "an extension has 1048576 bytes",
    "two extensions": "it has two extensions in a row",
    "an extension of nothing": "it ends after an extension",
    "a long name of GNU": "it is a long name, not a plain file",
    "a long link of GNU": "it is a long link, not a plain file",
    "cut off in a header": "it is cut off",
    "cut off in the disk": "it is cut off",
    "cut off before the end": "it is cut off",
    "cut off in the end": "it is cut off",
    "empty": "it is cut off",
    "nothing but an end": "it has no disk",
    "a wrong checksum": "it is no tar archive, or it is damaged",
    "a second archive behind the end": "something follows after its end",
    "an end without end": "its end is too long",
    "no tar at all": "it is no tar archive: it has no checksum",
    "compressed": "it is no tar archive: it has no checksum",
    "of the old kind of tar": "it is of a kind of tar that is not taken",
    "the disk first": "it must begin with an .ovf file",
    "no disk": "it has no disk",
    "two descriptions": "it is a second .ovf",
    "a package as the disk": "it is no VMDK with its data in it",
    "a compressed disk": "it has no disk",
    "a disk of another kind": "it is no VMDK with its data in it",
    "a disk that names other files": "it is no VMDK with its data in it",
    "a disk of a kind with files of its own": "it is not of the kind",
    "a disk with a part elsewhere": "its data is not, or not all, in it",
    "a disk with another below it": "it needs another disk below it",
    "a disk that describes itself twice": "it is not of the kind",
    "a disk that describes itself elsewhere": "it is cut off",
    "a disk with an endless description": "it does not describe itself",
    "a manifest of nothing": "it says nothing of 'a.ovf'",
    "a manifest without the disk": "it says nothing of 'disk.vmdk'",
    "a manifest of other files": "it speaks of a file that is not there",
    "a manifest that says it twice": "it has a file twice",
    "a manifest with a weak digest": "it has digests of another kind than",
    "a manifest that is none": "it has a line that is none",
    "two manifests": "it is a second manifest",
    "a digest of the disk that is wrong": "the digest of 'disk.vmdk' in the",
    "a digest of the description that is wrong": "the digest of 'a.ovf' in",
}
