"""Draw what benchmarks measured: one bar for each comparison.

    python ratios.py RESULTS PICTURE

``RESULTS`` is what ``benchmarks/harness.py`` keeps, JSON by lines. The scale
is logarithmic: a bar to the right is how many times less it costs here than
there. The thin line is from the lower quartile of the ratios to the upper.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH, LEFT, RIGHT, TOP, ROW = 1040, 470, 90, 62, 26
INK, PALE, GRID = "#24292f", "#6e7781", "#e4e8ec"
BETTER, WORSE = "#b7d6f1", "#f2a3ac"
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
STYLE = f"""
text {{ font: 12px sans-serif; fill: {INK} }}
.title {{ font-size: 16px; font-weight: bold }}
.what {{ text-anchor: end }}
.tick {{ fill: {PALE}; font-size: 11px; text-anchor: middle }}
.grid {{ stroke: {GRID} }}
.spread {{ stroke: {INK}; stroke-width: 1.4 }}
"""


def main(results: str, picture: str) -> None:
    """Draw all results of a file."""
    lines = Path(results).read_text().splitlines()
    svg = "\n".join(drawn([json.loads(line) for line in lines]))
    Path(picture).write_text(svg + "\n")


def drawn(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines of the SVG."""
    least = min([0.8, *(result["low"] for result in results)])
    most = max([1.25, *(result["high"] for result in results)])
    scale = (WIDTH - LEFT - RIGHT) / math.log(most / least)

    def x(ratio: float) -> float:
        return LEFT + math.log(ratio / least) * scale

    height = TOP + len(results) * ROW + 34
    title = "Times as fast, or as small, as the other: medians and quartiles"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    )
    yield f"<title>{title}</title><style>{STYLE}</style>"
    yield f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    yield f'<text class="title" x="20" y="28">{title}</text>'
    bottom = height - 28
    for tick in TICKS:
        if least <= tick <= most:
            yield (
                f'<line class="{"spread" if tick == 1 else "grid"}" '
                f'x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 14}" '
                f'y2="{bottom}"/>'
            )
            yield (
                f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 16}">'
                f"{tick:g} x</text>"
            )
    for row, result in enumerate(results):
        yield from _row(result, TOP + row * ROW, x)
    yield "</svg>"


def _row(result: dict[str, Any], y: int, x: Any) -> Iterator[str]:
    ratio = result["ratio"]
    begin, end = sorted((x(1), x(ratio)))
    said = f"{result['what']}, against {result['other']}"
    yield (
        f'<text class="what" x="{LEFT - 14}" y="{y + 13}">'
        f"{escape(said)}</text>"
    )
    yield (
        f'<rect class="bar" fill="{BETTER if ratio >= 1 else WORSE}" '
        f'x="{begin:.1f}" y="{y}" width="{end - begin:.1f}" height="18">'
        f"<title>{result['theirs']:.3g} and {result['ours']:.3g} "
        f"{escape(result['unit'])}, {result['rounds']} rounds</title></rect>"
    )
    yield (
        f'<line class="spread" x1="{x(result["low"]):.1f}" '
        f'x2="{x(result["high"]):.1f}" y1="{y + 9}" y2="{y + 9}"/>'
    )
    at = max(x(result["high"]), x(1)) + 8
    yield f'<text x="{at:.1f}" y="{y + 13}">{ratio:.2f} x</text>'


if __name__ == "__main__":
    main(*sys.argv[1:])
