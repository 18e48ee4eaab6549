"""Announcements to a register, by agents that tests name."""

from __future__ import annotations

from parallelops.download.register import Announcement

IMAGE = b"i" * 20


def ids(count):
    """So many peer ids, which name no rack."""
    return [b"-PO0100-----%08d" % number for number in range(count)]


def said(peer, host="10.0.0.1", **options):
    """What an agent says that has nothing yet."""
    return Announcement(
        image=IMAGE, peer=peer, host=host, port=1, **{"left": 1, **options}
    )
