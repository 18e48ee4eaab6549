"""Files that get their names once they are whole and verified.

- :class:`Digest` is a digest by its name, such as "sha512:...".
- :class:`Place` is the name that a file gets once it is whole.
- :class:`Draft` is a file in the making that leaves nothing behind.
- :class:`Landing` is one that outlives a crash.
"""

from __future__ import annotations

from parallelops.landing.digest import Digest
from parallelops.landing.draft import Draft
from parallelops.landing.file import Landing
from parallelops.landing.place import Place

__all__ = ["Digest", "Draft", "Landing", "Place"]
