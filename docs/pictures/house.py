"""Draw the rooms of the library, and who uses whom, from its imports.

    python house.py SOURCE PICTURE

``SOURCE`` is the folder of the package. Floors are found, not told: a room
stands above all rooms that it uses, or beside those that use it in turn.
Imports that are for types only are left out.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

Uses = dict[str, set[str]]

BOX, GAP, FLOOR = 104, 14, 92
LEFT, TOP, HIGH = 24, 64, 30
INK, PALE = "#24292f", "#6e7781"
# From the ground up.
COLORS = ("#e9e2d0", "#d5e8d4", "#b7d6f1", "#e3cdec", "#f6d5b8")
STYLE = f"""
text {{ font: 12px sans-serif; fill: {INK}; text-anchor: middle }}
.title {{ font-size: 16px; font-weight: bold; text-anchor: start }}
.pale {{ fill: {PALE}; text-anchor: start }}
.room {{ stroke: {INK}; stroke-opacity: .45 }}
.use {{ stroke: {INK}; stroke-width: .8; fill: none; opacity: .28 }}
"""


def main(source: str, picture: str) -> None:
    """Draw the package in a folder."""
    Path(picture).write_text("\n".join(drawn(uses_in(Path(source)))) + "\n")


# -- reading


def uses_in(package: Path) -> Uses:
    """The rooms of a package, and the rooms that each uses."""
    uses: Uses = {}
    rooms = {path.stem for path in package.iterdir()}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room.startswith("__"):
            continue  # the face, which hands out the names of others
        used = uses.setdefault(room, set())
        for name in imported(ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] != package.name or len(parts) < 2:
                continue
            # What is not a room is a name of the face.
            there = parts[1] if parts[1] in rooms else "plugins"
            if there != room:
                used.add(there)
    return {room: used & uses.keys() for room, used in uses.items()}


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names that are imported when the code runs."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{x.name}" for x in node.names)
        yield from imported(node)


def floors_of(uses: Uses) -> list[list[str]]:
    """The rooms by floors, from the ground up."""
    reach = {room: reached(uses, room) for room in uses}
    # Those that reach each other are as one.
    below = {
        room: {x for x in reach[room] if room not in reach[x]} for room in uses
    }
    floors: dict[int, list[str]] = {}
    level: dict[str, int] = {}
    for room in sorted(uses, key=lambda room: len(below[room])):
        level[room] = max((level[x] + 1 for x in below[room]), default=0)
        floors.setdefault(level[room], []).append(room)
    return [sorted(floors[number]) for number in sorted(floors)]


def reached(uses: Uses, room: str) -> set[str]:
    """All rooms that a room uses, also by way of others."""
    found: set[str] = set()
    todo = list(uses[room])
    while todo:
        if (there := todo.pop()) not in found:
            found.add(there)
            todo += uses[there]
    return found


def needed(uses: Uses, room: str) -> set[str]:
    """What a room uses that none of the others it uses brings along."""
    return {
        there
        for there in uses[room]
        if not any(
            there in reached(uses, other)
            for other in uses[room] - {there}
            if room not in reached(uses, other)
        )
    }


# -- drawing


def drawn(uses: Uses) -> Iterator[str]:
    """The lines of the SVG."""
    floors = floors_of(uses)
    widest = max(map(len, floors))
    width = 2 * LEFT + widest * (BOX + GAP)
    height = TOP + len(floors) * FLOOR
    places = {}
    for number, rooms in enumerate(floors):
        y = TOP + (len(floors) - 1 - number) * FLOOR
        begin = (width - len(rooms) * (BOX + GAP) + GAP) / 2
        for place, room in enumerate(rooms):
            places[room] = (begin + place * (BOX + GAP), y)
    title = f"{len(uses)} rooms on {len(floors)} floors"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    )
    yield f"<title>{escape(title)}</title><style>{STYLE}</style>"
    yield f'<rect width="{width}" height="{height}" fill="white"/>'
    yield f'<text class="title" x="20" y="28">{escape(title)}</text>'
    yield (
        '<text class="pale" x="20" y="46">A line leads down to what a room '
        "uses; what that brings along has none.</text>"
    )
    for room in uses:
        for there in sorted(needed(uses, room)):
            yield _use(places[room], places[there], f"{room} uses {there}")
    for number, rooms in enumerate(floors):
        color = COLORS[number * len(COLORS) // len(floors)]
        for room in rooms:
            x, y = places[room]
            yield (
                f'<rect class="room" fill="{color}" rx="4" x="{x:.1f}" '
                f'y="{y}" width="{BOX}" height="{HIGH}"/>'
            )
            yield (
                f'<text x="{x + BOX / 2:.1f}" y="{y + HIGH / 2 + 4}">'
                f"{escape(room)}</text>"
            )
    yield "</svg>"


def _use(
    begin: tuple[float, float], end: tuple[float, float], say: str
) -> str:
    """A line from the foot of a room to the roof of another."""
    x1, y1 = begin[0] + BOX / 2, begin[1] + HIGH
    x2, y2 = end[0] + BOX / 2, end[1]
    pull = (y2 - y1) * 0.45
    return (
        f'<path class="use" d="M{x1:.1f} {y1}C{x1:.1f} {y1 + pull:.1f} '
        f'{x2:.1f} {y2 - pull:.1f} {x2:.1f} {y2}">'
        f"<title>{escape(say)}</title></path>"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
