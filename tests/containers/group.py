"""A coordinator that does what a test wants."""

from __future__ import annotations


class Group:
    """A coordinator, which may be down."""

    def __init__(self):
        self.members = set()
        self.down = False

    def member(self, name):
        """A membership of it."""
        return Member(self, name)


class Member:
    """One of a group."""

    def __init__(self, group, name):
        self.group = group
        self.name = name
        self.cut_off = False

    def beat(self):
        self.reach()
        self.group.members.add(self.name)
        return frozenset(self.group.members)

    def leave(self):
        self.reach()
        self.group.members.discard(self.name)

    def reach(self):
        if self.group.down or self.cut_off:
            raise ConnectionError("redis://:secret@host is not there")
