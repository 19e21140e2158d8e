"""The picture of a demo: what the router did before and after, what was promised and what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from cogorch_dagster.demo.result import DemoResult
from cogorch_dagster.figures import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER, ESTIMATE = "#8c96a3", "#1f6feb", "#d9822b"


def draw(result: DemoResult, path: Path) -> None:
    """Write the picture as PNG; replaces an older one whole."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _weights(left, result)
    _difference(right, result)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(drawn(figure))
    temporary.replace(path)


def _weights(axes: "Axes", result: DemoResult) -> None:
    old = result.proposal.parent_params["modelWeights"]
    new = result.proposal.params["modelWeights"]
    arms = sorted(old, key=lambda arm: old[arm])
    places = range(len(arms))
    axes.barh([y + 0.2 for y in places], [old[arm] for arm in arms], 0.38, color=BEFORE, label=result.proposal.parent)
    axes.barh([y - 0.2 for y in places], [new[arm] for arm in arms], 0.38, color=AFTER, label=result.proposal.version)
    axes.set_yticks(list(places), arms)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the requests")
    axes.set_title(f"{result.proposal.policy_id}: {result.proposal.parent} and {result.proposal.version}", fontsize=10)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def _difference(axes: "Axes", result: DemoResult) -> None:
    rows = [
        ("estimated\nbefore approval", result.proposal.estimate, result.proposal.ci95, ESTIMATE),
        ("measured\non the same load", result.measured.diff, result.measured.diff_ci95, AFTER),
    ]
    for y, (_, value, (low, high), color) in enumerate(reversed(rows)):
        axes.plot([low, high], [y, y], color=color, linewidth=3, solid_capstyle="butt")
        axes.plot([value], [y], "o", color=color, markersize=8)
        axes.annotate(f"{value:+.3f}", (value, y), (0, 10), textcoords="offset points", ha="center", color=color)
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_yticks([1, 0], [label for label, *_ in rows])
    axes.set_ylim(-0.6, 1.6)
    axes.set_xlabel("difference of the mean reward, 95 % interval")
    axes.set_title("What was promised, what came", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
