"""Draw a trace of executors as an SVG picture, with nothing but Python.

    python timeline.py TRACE PICTURE

It reads what ``parallelops.observe.ChromeTrace`` writes, and not all that
the Chrome trace event format allows. For the trace of a program that ran for
long, Perfetto is the better viewer: a picture can't be zoomed.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Record = dict[str, Any]

WIDTH = 1040
LEFT, RIGHT = 130, 20
HEAD = 64
LANE, GAP = 26, 14
GRAPH = 46
AXIS = 40
TICKS = 10  # about
ROOM = 22  # for the number of a task

INK, PALE, GRID = "#24292f", "#6e7781", "#e4e8ec"
COLORS = {
    "succeeded": "#b7d6f1",
    "failed": "#f2a3ac",
    "not ended": "#dde2e7",
}
WARNING = "#d1495b"
COUNTERS = {"queued": "#e9a23b", "running": "#57a773"}
STYLE = f"""
text {{ font: 12px sans-serif; fill: {INK} }}
.title {{ font-size: 16px; font-weight: bold }}
.pale {{ fill: {PALE} }}
.lane {{ text-anchor: end }}
.task {{
  font-size: 11px; text-anchor: middle; paint-order: stroke; stroke-width: 4px
}}
.slice {{ stroke: {INK}; stroke-opacity: .35; stroke-width: .8 }}
.tick {{ fill: {PALE}; font-size: 11px; text-anchor: middle }}
.arrow {{ fill: none; stroke: {INK}; stroke-width: .9; opacity: .7 }}
.grid {{ stroke: {GRID} }}
.mark {{ stroke: {INK}; stroke-width: 1.4 }}
"""


@dataclasses.dataclass
class Slice:
    """A task in a lane; ``depth`` is that of one inside another."""

    begin: float
    end: float
    task: int
    name: str
    outcome: str
    depth: int


@dataclasses.dataclass
class Trace:
    """What is to be drawn; lanes are known by their numbers."""

    name: str
    lanes: dict[int, str] = dataclasses.field(default_factory=dict)
    slices: dict[int, list[Slice]] = dataclasses.field(default_factory=dict)
    submits: dict[int, list[float]] = dataclasses.field(default_factory=dict)
    arrows: dict[int, list[tuple[int, float]]] = dataclasses.field(
        default_factory=dict
    )
    instants: list[tuple[int, float, str]] = dataclasses.field(
        default_factory=list
    )
    counts: list[tuple[float, dict[str, int]]] = dataclasses.field(
        default_factory=list
    )


def main(trace: str, picture: str) -> None:
    """Draw the first executor of a trace."""
    svg = "\n".join(drawn(read(records_of(Path(trace).read_text()))))
    Path(picture).write_text(svg + "\n")


# -- reading


def records_of(text: str) -> list[Record]:
    """The records of a trace, be it one whose process was killed."""
    text = text.strip()
    records: list[Record] = json.loads(
        text if text.endswith("]") else text + "]"
    )
    return records


def read(records: Iterable[Record]) -> Trace:
    """What happened in the executor that comes first."""
    trace, pid, last = Trace("nothing"), None, 0.0
    for record in records:
        pid = pid or record["pid"]
        if record["pid"] == pid:
            last = max(last, record.get("ts", last))
            _take(trace, record)
    for lane in trace.slices.values():
        for slice_ in lane:
            slice_.end = min(slice_.end, last)
    return trace


def _take(trace: Trace, record: Record) -> None:
    tid, ts = record["tid"], record.get("ts", 0.0)
    slices = trace.slices.setdefault(tid, [])
    match record:
        case {"ph": "M", "name": "process_name"}:
            trace.name = record["args"]["name"]
        case {"ph": "M", "name": "thread_name"}:
            trace.lanes[tid] = record["args"]["name"]
        case {"ph": "X"}:
            trace.submits.setdefault(tid, []).append(ts)
        case {"ph": "B", "name": name, "args": {"task": task}}:
            depth = sum(s.end == math.inf for s in slices)
            slices.append(Slice(ts, math.inf, task, name, "not ended", depth))
        case {"ph": "E"}:
            begun = next(s for s in reversed(slices) if s.end == math.inf)
            begun.end, begun.outcome = ts, record["args"]["outcome"]
        case {"ph": "s" | "f", "id": number}:
            trace.arrows.setdefault(number, []).append((tid, ts))
        case {"ph": "i", "name": name}:
            trace.instants.append((tid, ts, name))
        case {"ph": "C", "args": counts}:
            trace.counts.append((ts, counts))


# -- drawing


def drawn(trace: Trace) -> Iterator[str]:
    """The lines of the SVG."""
    times = [ts for ts, _ in trace.counts] or [0.0]
    first, last = times[0], max(times[-1], times[0] + 1)
    scale = (WIDTH - LEFT - RIGHT) / (last - first)
    rows = {
        tid: HEAD + row * (LANE + GAP) for row, tid in enumerate(trace.lanes)
    }
    lanes_end = HEAD + len(rows) * (LANE + GAP) + GAP
    graphs_end = lanes_end + len(COUNTERS) * (GRAPH + GAP)
    height = graphs_end + AXIS

    def x(ts: float) -> float:
        return LEFT + (ts - first) * scale

    busy = [len(slices) for slices in trace.slices.values() if slices]
    title = (
        f"{trace.name}: {sum(busy)} tasks in {len(busy)} threads, "
        f"{(last - first) / 1e3:.0f} ms"
    )
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    )
    yield f"<title>{escape(title)}</title><style>{STYLE}</style>"
    yield (
        '<marker id="head" viewBox="0 0 6 6" refX="6" refY="3" '
        'markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 .6 6 3 0 5.4z" fill="{INK}"/></marker>'
    )
    yield f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    yield f'<text class="title" x="20" y="28">{escape(title)}</text>'
    yield from _legend(trace)
    yield from _axis(last - first, x(first), scale, graphs_end)
    for tid, y in rows.items():
        yield (
            f'<text class="lane" x="{LEFT - 12}" y="{y + LANE / 2 + 4}">'
            f"{escape(trace.lanes[tid])}</text>"
        )
        yield (
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
            f'y1="{y + LANE}" y2="{y + LANE}"/>'
        )
        for slice_ in trace.slices.get(tid, ()):
            yield from _slice(slice_, x(slice_.begin), x(slice_.end), y)
        for ts in trace.submits.get(tid, ()):
            yield _line("mark", x(ts), y + LANE * 0.45, x(ts), y + LANE)
    for ends in trace.arrows.values():
        if len(ends) > 1:
            yield _arrow(*[(x(ts), rows[tid]) for tid, ts in ends[:2]])
    for tid, y in rows.items():
        for slice_ in trace.slices.get(tid, ()):
            yield _number(slice_, x(slice_.begin), x(slice_.end), y)
    for tid, ts, name in trace.instants:
        at, y = x(ts), rows[tid]
        yield (
            f'<path d="M{at:.1f} {y}l4 -7h-8z" fill="{WARNING}">'
            f"<title>{escape(name)}</title></path>"
        )
    for row, (name, color) in enumerate(COUNTERS.items()):
        base = lanes_end + row * (GRAPH + GAP) + GRAPH
        points = [(x(ts), counts[name]) for ts, counts in trace.counts]
        yield from _graph(name, color, points, base)
    yield "</svg>"


def _legend(trace: Trace) -> Iterator[str]:
    outcomes = {s.outcome for lane in trace.slices.values() for s in lane}
    at = 20
    for outcome, color in COLORS.items():
        if outcome in outcomes:
            yield (
                f'<rect class="slice" fill="{color}" '
                f'x="{at}" y="40" width="11" height="11" rx="2"/>'
            )
            yield f'<text class="pale" x="{at + 16}" y="50">{outcome}</text>'
            at += 100
    yield _line("mark", at + 5, 40, at + 5, 51)
    yield _line("arrow", at + 5, 45.5, at + 26, 45.5, head=True)
    yield (
        f'<text class="pale" x="{at + 32}" y="50">'
        "a submit, and the run that it leads to</text>"
    )


def _axis(
    length: float, left: float, scale: float, bottom: float
) -> Iterator[str]:
    step = 10 ** math.floor(math.log10(length / TICKS))
    step *= next(n for n in (1, 2, 5, 10) if length / (step * n) <= TICKS)
    for number in range(int(length // step) + 1):
        at = left + number * step * scale
        yield _line("grid", at, HEAD - 6, at, bottom)
        yield (
            f'<text class="tick" x="{at:.1f}" y="{bottom + 16}">'
            f"{number * step / 1e3:g} ms</text>"
        )


def _slice(slice_: Slice, x1: float, x2: float, y: float) -> Iterator[str]:
    top = y + 5 * slice_.depth
    text = f"task {slice_.task}: {slice_.name}, {slice_.outcome}"
    yield (
        f'<rect class="slice" fill="{COLORS[slice_.outcome]}" rx="2.5" '
        f'x="{x1:.1f}" width="{max(x2 - x1 - 0.8, 0.8):.1f}" '
        f'y="{top}" height="{y + LANE - top}">'
        f"<title>{escape(text)}</title></rect>"
    )


def _number(slice_: Slice, x1: float, x2: float, y: float) -> str:
    if x2 - x1 < ROOM:
        return ""
    return (
        f'<text class="task" stroke="{COLORS[slice_.outcome]}" '
        f'x="{(x1 + x2) / 2:.1f}" y="{y + LANE / 2 + 4}">{slice_.task}</text>'
    )


def _arrow(begin: tuple[float, float], end: tuple[float, float]) -> str:
    """From the foot of a submit to the corner where its run begins."""
    (x1, y1), (x2, y2) = begin, end
    if y1 == y2:
        return ""
    y1 += LANE
    pull = max(abs(y2 - y1) * 0.45, 7)
    return (
        f'<path class="arrow" marker-end="url(#head)" '
        f'd="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + pull:.1f} '
        f'{x2:.1f} {y2 - pull:.1f} {x2:.1f} {y2:.1f}"/>'
    )


def _graph(
    name: str, color: str, points: list[tuple[float, int]], base: float
) -> Iterator[str]:
    most = max((value for _, value in points), default=0)
    unit = (GRAPH - 8) / max(most, 1)
    path = [f"M{LEFT} {base}"]
    for x, value in points:
        path += [f"H{x:.1f}", f"V{base - value * unit:.1f}"]
    path += [f"V{base}", "z"]
    yield (
        f'<path d="{"".join(path)}" fill="{color}" fill-opacity=".55" '
        f'stroke="{color}"/>'
    )
    yield (
        f'<text class="lane" x="{LEFT - 12}" y="{base - GRAPH / 2 + 2}">'
        f"{name}</text>"
    )
    yield (
        f'<text class="lane pale" x="{LEFT - 12}" '
        f'y="{base - GRAPH / 2 + 17}">at most {most}</text>'
    )


def _line(
    kind: str, x1: float, y1: float, x2: float, y2: float, head: bool = False
) -> str:
    end = ' marker-end="url(#head)"' if head else ""
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" '
        f'x2="{x2:.1f}" y2="{y2:.1f}"{end}/>'
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
