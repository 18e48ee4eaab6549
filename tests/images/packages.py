"""Writes packages of disks: good ones, and hostile ones."""

from __future__ import annotations

import hashlib
import struct

OVF = b"<Envelope/>"


def vmdk(text=None, *, data=b"grain" * 1000, magic=b"KDMV", **fields):
    """A VMDK with its data in it, as far as anybody looks."""
    if text is None:
        text = (
            "# Disk DescriptorFile\nversion=1\nCID=123\n"
            'parentCID=ffffffff\ncreateType="streamOptimized"\n'
            'RW 20 SPARSE "disk.vmdk"\n'
        )
    header = struct.pack(
        "<4sIIQQQQ",
        magic,
        3,
        0,
        20,
        128,
        fields.get("offset", 1),
        fields.get("length", 4),
    )
    return header.ljust(512, b"\0") + text.encode().ljust(2048, b"\0") + data


def header(name, size, kind=b"0", *, link=b"", prefix=b"", **raw):
    """One header of a tar archive; ``raw`` are fields as bytes."""
    name = name if isinstance(name, bytes) else name.encode()
    block = bytearray(512)

    def put(offset, data):
        block[offset : offset + len(data)] = data

    put(0, name)
    put(100, b"0000644\0")
    put(124, raw.get("octal", b"%011o\0" % size))
    put(136, b"00000000000\0")
    put(156, kind)
    put(157, link)
    put(257, raw.get("magic", b"ustar\x0000"))
    put(345, prefix)
    for offset, data in raw.get("patches", ()):
        put(offset, data)
    put(148, b" " * 8)
    put(148, raw.get("checksum", b"%06o\0 " % sum(block)))
    return bytes(block)


def member(name, data=b"", kind=b"0", **fields):
    """A header, and the data padded."""
    return header(name, len(data), kind, **fields) + data + pad(data)


def pad(data):
    """What fills the last block."""
    return bytes(-len(data) % 512)


def pax(*records, kind=b"x"):
    """An extension for the next member."""
    data = b""
    for key, value in records:
        rest = b" %s=%s\n" % (key.encode(), value.encode())
        length = len(rest) + 1
        while len(b"%d" % length) + len(rest) != length:
            length += 1
        data += b"%d" % length + rest
    return member("pax", data, kind)


END = bytes(1024)


def manifest(files, algorithm="SHA256"):
    """The manifest of files, by name."""
    return "".join(
        f"{algorithm}({name})= "
        f"{hashlib.new(algorithm.lower(), data).hexdigest()}\n"
        for name, data in files.items()
    ).encode()


def package(*parts, end=END):
    """An archive of parts that were written by the others."""
    return b"".join(parts) + end


def good(disk=None, algorithm="SHA256", *, manifest_last=False):
    """A package as it should be."""
    disk = vmdk() if disk is None else disk
    said = manifest({"a.ovf": OVF, "disk.vmdk": disk}, algorithm)
    parts = [member("a.ovf", OVF), member("disk.vmdk", disk)]
    parts.insert(2 if manifest_last else 1, member("a.mf", said))
    return package(*parts)
