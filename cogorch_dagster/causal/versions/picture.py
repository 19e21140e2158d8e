"""A causal graph as a picture: causes on the left, effects on the right, strength as width, doubt as paleness.

Not here: which graph it is (`version`), and how a page shows a picture.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.graphs.equivalence import consistent_extension
from cogorch_dagster.causal.graphs.graph import Edge, Graph, Mark
from cogorch_dagster.causal.graphs.separation import ancestors
from cogorch_dagster.figures import INK, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

Floats = NDArray[np.float64]
MORE, LESS, PLAIN = "#2563eb", "#dc2626", "#6b7280"
FILLS = {"context": "#f3f4f6", "policy": "#dbeafe", "state": "#fef9c3", "outcome": "#dcfce7"}
_LONGEST = 16
_SWEEPS = 8
# Width of a column.
_INCHES = 1.75


def graph_picture(
    graph: Graph,
    *,
    title: str,
    tiers: Sequence[int] | None = None,
    roles: Mapping[str, str] | None = None,
    strengths: Floats | None = None,
    probabilities: Floats | None = None,
    ties: Sequence[tuple[str, str]] = (),
    image: Literal["png", "svg", "pdf"] = "png",
) -> bytes:
    """The picture of a graph.

    Args:
        tiers: of each variable; default: by the longest directed path to it.
        roles: of the variables, for the colour of their boxes.
        strengths: (p, p) standardised coefficient of i -> j; blue raises, red lowers.
        probabilities: (p, p), 0 to 1, that i and j are joined; an edge pales towards 0.
        ties: pairs that are set together, drawn as dots.
    """
    from matplotlib.figure import Figure

    columns = _columns(graph, tiers)
    routes = {edge: _route(edge, columns) for edge in graph.edges()}
    places = _places(columns, routes)
    rows = 1 + max((2 * y for _, y in places.values()), default=0.0)
    figure = Figure(
        figsize=(min(max(1.2 + _INCHES * len(columns), 7.0), 24.0), min(1.4 + 0.5 * rows, 16.0)),
        dpi=110,
        layout="constrained",
    )
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlim(-0.6, max(len(columns) - 1, 0) + 0.6)
    axes.set_ylim(-rows / 2 - 0.2, rows / 2 + 0.2)
    for name in graph.names:
        fill = FILLS.get((roles or {}).get(name, "context"), FILLS["context"])
        box = {"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": INK, "linewidth": 0.8}
        axes.text(*places[name], wrapped(name), ha="center", va="center", fontsize=7, color=INK, bbox=box, zorder=3)
    for edge, route in routes.items():
        i, j = graph.index(edge.a), graph.index(edge.b)
        strength = None if strengths is None else float(strengths[i, j])
        sure = 1.0 if probabilities is None else float(probabilities[i, j])
        _draw(axes, edge, [places[stop] for stop in route], strength, sure)
    for a, b in ties:
        _dot(axes, places[a], places[b], max(_half_width(a), _half_width(b)))
    _legend(axes, graph, strengths is not None, probabilities is not None, bool(ties))
    return drawn(figure, image)


def wrapped(name: str) -> str:
    """A name on several short lines, broken where it has a mark, and cut where it has none."""
    lines, line = [], ""
    for part in _parts(name):
        if line and len(line) + len(part) > _LONGEST:
            lines.append(line)
            line = ""
        line += part
    return "\n".join(each if len(each) <= _LONGEST + 4 else each[: _LONGEST + 3] + "…" for each in [*lines, line])


def _parts(name: str) -> list[str]:
    found, part = [], ""
    for character in name:
        part += character
        if character in ":._-@/ ":
            found.append(part)
            part = ""
    return [*found, part] if part else found


def _columns(graph: Graph, tiers: Sequence[int] | None) -> list[list[str]]:
    """The variables by column; within a tier, one that is caused by another of it stands further right."""
    # What has no direction stands as it does in one member of the class.
    member = consistent_extension(graph.marks) if graph.undirected.any() else None
    directed = graph.directed if member is None else member
    count = len(graph.names)
    tier = np.zeros(count, dtype=int) if tiers is None else np.asarray(tiers)
    reach = ancestors(directed) & ~np.eye(count, dtype=bool)
    depth = np.zeros(count, dtype=int)
    for _ in range(count):
        inside = directed & (tier[:, None] == tier[None, :])
        deeper = np.where(inside & ~(reach & reach.T), depth[:, None] + 1, 0).max(axis=0, initial=0)
        if (deeper <= depth).all():
            break
        depth = np.maximum(depth, deeper)
    keys = sorted({(int(t), int(d)) for t, d in zip(tier, depth, strict=True)})
    return [
        [name for name, t, d in zip(graph.names, tier, depth, strict=True) if (int(t), int(d)) == key] for key in keys
    ]


def _route(edge: Edge, columns: list[list[str]]) -> list[str]:
    """The edge's stops: its ends, and in each column between them a place of its own, which is added there."""
    at = {name: x for x, column in enumerate(columns) for name in column}
    step = 1 if at[edge.b] > at[edge.a] else -1
    between = range(at[edge.a] + step, at[edge.b], step)
    stops = [f"{edge.a}\0{edge.b}\0{x}" for x in between]
    for x, stop in zip(between, stops, strict=True):
        columns[x].append(stop)
    return [edge.a, *stops, edge.b]


def _places(columns: list[list[str]], routes: Mapping[Edge, list[str]]) -> dict[str, tuple[float, float]]:
    """Coordinates; within a column near what each is joined with, so that fewer edges cross (Sugiyama et al. 1981)."""
    near: dict[str, list[str]] = {}
    for route in routes.values():
        for one, other in pairwise(route):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    order = [list(column) for column in columns]
    height = _heights(order)
    for sweep in range(_SWEEPS):
        for column in order if sweep % 2 == 0 else reversed(order):
            at = {name: float(np.mean([height[o] for o in near.get(name, [name])])) for name in column}
            column.sort(key=lambda name: (-at[name], name))
            height.update(_heights([column]))
    return {name: (float(x), height[name]) for x, column in enumerate(order) for name in column}


def _heights(columns: list[list[str]]) -> dict[str, float]:
    return {name: (len(column) - 1) / 2 - y for column in columns for y, name in enumerate(column)}


def _draw(axes: "Axes", edge: Edge, stops: list[tuple[float, float]], strength: float | None, sure: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    hidden = edge.at_a == Mark.ARROW and edge.at_b == Mark.ARROW
    colour = PLAIN if strength is None or strength == 0 else MORE if strength > 0 else LESS
    heads = {(False, False): "-", (False, True): "-|>", (True, False): "<|-", (True, True): "<|-|>"}
    axes.add_patch(
        FancyArrowPatch(
            path=_curve(stops, _half_width(edge.a), _half_width(edge.b)),
            arrowstyle=heads[(edge.at_a == Mark.ARROW, edge.at_b == Mark.ARROW)],
            mutation_scale=8,
            linewidth=1.0 if strength is None else 0.7 + 2.0 * min(abs(strength), 1.0),
            linestyle="--" if hidden or Mark.CIRCLE in (edge.at_a, edge.at_b) else "-",
            color=colour,
            alpha=0.25 + 0.75 * min(max(sure, 0.0), 1.0),
            zorder=2,
        )
    )


def _dot(axes: "Axes", one: tuple[float, float], other: tuple[float, float], width: float) -> None:
    """A dotted line between two variables, on the left where they share a column."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    beside = width + 0.12 if one[0] == other[0] else 0.0
    (x0, y0), (x1, y1) = one, other
    start = x0 - width if beside else x0
    end = x1 - width if beside else x1
    points = [(start, y0), (x0 - beside, y0), (x1 - beside, y1), (end, y1)]
    path = Path(points, [Path.MOVETO, *[Path.CURVE4] * 3])
    axes.add_patch(PathPatch(path, fill=False, edgecolor=PLAIN, linestyle=":", linewidth=1.2, zorder=1))


def _curve(stops: list[tuple[float, float]], first: float, last: float) -> "Path":
    """From the side of one box to the side of another, level where it passes a column."""
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = stops[0], stops[-1]
    if x0 == x1:
        # Within a column: bowed to the right, so that it does not run through the boxes between.
        bow = x0 + max(first, last) + 0.12
        return Path([(x0 + first, y0), (bow, y0), (bow, y1), (x1 + last, y1)], [Path.MOVETO, *[Path.CURVE4] * 3])
    step = 1.0 if x1 > x0 else -1.0
    points = [(x0 + step * first, y0), *stops[1:-1], (x1 - step * last, y1)]
    vertices, codes = [points[0]], [Path.MOVETO]
    for (ax, ay), (bx, by) in pairwise(points):
        middle = (ax + bx) / 2
        vertices += [(middle, ay), (middle, by), (bx, by)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _half_width(name: str) -> float:
    """Of a box, in columns, as its font will make it."""
    longest = max(len(line) for line in wrapped(name).splitlines())
    return (longest * 0.029 + 0.06) / _INCHES


def _legend(axes: "Axes", graph: Graph, signed: bool, doubted: bool, tied: bool) -> None:
    said = ["arrow: causes"]
    if graph.undirected.any():
        said.append("line: direction not told by the data")
    if graph.bidirected.any():
        said.append("dashed: hidden common cause")
    if (graph.marks == Mark.CIRCLE).any():
        said.append("dashed: may be hidden common cause")
    if tied:
        said.append("dots: set together")
    if signed:
        said.append("blue raises, red lowers, width by strength")
    if doubted:
        said.append("pale: less sure")
    axes.text(0.0, -0.02, "; ".join(said), transform=axes.transAxes, fontsize=6.5, color=PLAIN, va="top")
