"""Draw how an image came to a herd, as ``recordherd.py`` has recorded it.

    python herd.py RESULTS PICTURE

Over time, how many copies of the image have come to all agents together: from
the origin below, from each other above. The dashed line is as much as the
origin can send.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH, HEIGHT = 1040, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 72, 44
INK, PALE, GRID = "#24292f", "#6e7781", "#e4e8ec"
SWARM, ORIGIN = "#b7d6f1", "#e9a23b"
STYLE = f"""
text {{ font: 12px sans-serif; fill: {INK} }}
.title {{ font-size: 16px; font-weight: bold }}
.tick {{ fill: {PALE}; font-size: 11px }}
.grid {{ stroke: {GRID} }}
.limit {{ stroke: {INK}; stroke-width: 1.4; stroke-dasharray: 6 4 }}
"""


def main(results: str, picture: str) -> None:
    """Draw what a file has."""
    head, *rows = map(json.loads, Path(results).read_text().splitlines())
    Path(picture).write_text("\n".join(drawn(*head, rows)) + "\n")


def drawn(
    agents: int, size: int, rate: int, rows: Sequence[tuple[float, int, int]]
) -> Iterator[str]:
    """The lines of the SVG."""
    end, _, read = rows[-1]
    bottom = HEIGHT - BOTTOM

    def at(seconds: float, copies: float) -> str:
        x = LEFT + seconds / end * (WIDTH - LEFT - RIGHT)
        return f"{x:.1f} {bottom - copies / agents * (bottom - TOP):.1f}"

    def line(kind: str, begin: str, until: str) -> str:
        return f'<path class="{kind}" d="M{begin}L{until}"/>'

    title = (
        f"{agents} agents have {size / 1e6:g} MB each after {end:.1f} s; "
        f"the origin has sent {read / size:.2f} copies"
    )
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    )
    yield f"<title>{title}</title><style>{STYLE}</style>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield f'<text class="title" x="20" y="28">{title}</text>'
    for number, (name, color) in enumerate(
        (("copies from others", SWARM), ("copies from the origin", ORIGIN))
    ):
        x = LEFT + number * 180
        yield f'<rect x="{x}" y="44" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{x + 18}" y="54">{name}</text>'
    x = LEFT + 360
    yield line("limit", f"{x} 50", f"{x + 30} 50")
    yield (
        f'<text x="{x + 38}" y="54">what the origin can send: alone it would '
        f"take {agents * size / rate:g} s</text>"
    )
    for copies in range(agents + 1):
        yield line("grid", at(0, copies), at(end, copies))
        _, y = at(0, copies).split()
        yield f'<text class="tick" x="{LEFT - 20}" y="{y}">{copies}</text>'
    for second in range(int(end) + 1):
        x, y = at(second, 0).split()
        yield (
            f'<text class="tick" x="{x}" y="{float(y) + 18}">{second} s</text>'
        )
    for kind, color, column in (("swarm", SWARM, 1), ("origin", ORIGIN, 2)):
        points = "L".join(at(row[0], row[column] / size) for row in rows)
        yield (
            f'<path class="{kind}" fill="{color}" '
            f'd="M{at(0, 0)}L{points}L{at(end, 0)}Z"/>'
        )
    most = min(end, agents * size / rate)
    yield line("limit", at(0, 0), at(most, most * rate / size))
    yield "</svg>"


if __name__ == "__main__":
    main(*sys.argv[1:])
