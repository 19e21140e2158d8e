"""Pictures of a comparison: every controller's interval by metric, and how controllers learned.

The figures in them are `comparison.py`'s and `bootstrap.py`'s.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats, interquartile_mean, interval, replicates, resampled
from cogorch_dagster.agents.comparison.comparison import Answer, Comparison
from cogorch_dagster.agents.comparison.equal_success import NotComparable
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.figures import INK, png, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = 64
BY_ANSWER = {Answer.better: "#2563eb", Answer.worse: "#dc2626", Answer.undecided: "#9ca3af"}
CURVES = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#4b5563")
MOST_CONTROLLERS = 12
COLUMNS = 3
LONGEST_NAME = 30


def comparison_figure(comparisons: Mapping[str, Mapping[str, Comparison | NotComparable]], *, baseline: str) -> bytes:
    """PNG with a panel for each metric and a row for each controller: the relative difference to the baseline.

    Better is blue, worse is red, undecided is grey; where no percentage can be given the row says why.

    Args:
        comparisons: by controller and metric, 1 to 12 controllers, each with the same metrics.
        baseline: name of what they are compared with.

    Raises:
        InvalidInput: no controller or metric, too many controllers, or controllers with different metrics.
    """
    from matplotlib.figure import Figure

    metrics = list(next(iter(comparisons.values()), {}))
    if not metrics or len(comparisons) > MOST_CONTROLLERS:
        raise InvalidInput(
            f"a picture shows 1 to {MOST_CONTROLLERS} controllers and a metric, "
            f"got {len(comparisons)} and {len(metrics)}"
        )
    for name, found in comparisons.items():
        if list(found) != metrics:
            raise InvalidInput(
                f"{name!r} has metrics {list(found)}, the first controller {metrics}; compare them alike"
            )
    rows = -(-len(metrics) // COLUMNS)
    height = rows * (0.75 + 0.26 * len(comparisons)) + 0.4
    figure = Figure(figsize=(10.0, height), dpi=90, layout="constrained")
    panels = figure.subplots(rows, min(COLUMNS, len(metrics)), squeeze=False, sharey=True).ravel()
    for panel, metric in zip(panels, metrics, strict=False):
        _panel(panel, metric, {name: found[metric] for name, found in comparisons.items()})
    for panel in panels[len(metrics) :]:
        panel.set_axis_off()
    figure.suptitle(f"Difference to {baseline}, interquartile mean and interval over seeds", fontsize=9, color=INK)
    return png(figure, COLOURS)


def _panel(axes: "Axes", metric: str, found: Mapping[str, Comparison | NotComparable]) -> None:
    for row, comparison in enumerate(found.values()):
        if isinstance(comparison, NotComparable) or comparison.relative is None:
            said = "not at equal success" if isinstance(comparison, NotComparable) else "baseline at 0"
            text = axes.text(0.5, row, said, transform=axes.get_yaxis_transform(), va="center", ha="center")
            text.set(fontsize=7, color=INK, style="italic", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
            continue
        relative, colour = comparison.relative, BY_ANSWER[comparison.answer]
        ends = [100 * relative.low, 100 * relative.high]
        axes.plot(ends, [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.scatter([100 * relative.value], [row], color=colour, s=24, zorder=3)
    first = next(iter(found.values()))
    nothing_drawn = not axes.lines
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    axes.set_title(f"{metric} ({first.metric.direction} is better)", fontsize=8, color=INK, loc="left")
    axes.set_yticks(range(len(found)), [_short(name) for name in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.xaxis.set_major_formatter("{x:+g} %")
    if nothing_drawn:
        axes.set_xticks([])
    tidy(axes)


def learning_curves(
    curves: Mapping[str, Floats], *, steps_per_point: int, label: str = "mean reward", seed: int = 0
) -> bytes:
    """PNG of how controllers learned: interquartile mean over the seeds, and its pointwise 95 % interval.

    Args:
        curves: by controller float64 [seeds, points] or, of one training, [points]; finite. 1 to 12 controllers.
        steps_per_point: of single fleets between two points, 1 or more.
        label: of the vertical axis.
        seed: of the resampling.

    Raises:
        InvalidInput: no curve, too many, one without points or of another shape, or numbers that are not finite.
    """
    from matplotlib.figure import Figure

    if not 1 <= len(curves) <= MOST_CONTROLLERS or steps_per_point < 1:
        raise InvalidInput(
            f"a picture shows 1 to {MOST_CONTROLLERS} curves with 1 or more steps per point, "
            f"got {len(curves)} and {steps_per_point}"
        )
    figure = Figure(figsize=(7.2, 3.8), dpi=90, layout="constrained")
    axes = figure.subplots()
    for index, (name, curve) in enumerate(curves.items()):
        values = np.atleast_2d(np.asarray(curve, dtype=np.float64))
        if values.ndim != 2 or not values.size or not np.isfinite(values).all():
            raise InvalidInput(f"the curve of {name!r} must be finite [seeds, points], got shape {np.shape(curve)}")
        colour, style = CURVES[index % len(CURVES)], "-" if index < len(CURVES) else "--"
        steps = np.arange(1, values.shape[1] + 1) * steps_per_point
        if len(values) > 1:
            positions = resampled(len(values), count=500, seed=seed)
            low, high = interval(replicates(values.T, positions, "interquartile mean"))
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, interquartile_mean(values.T), style, color=colour, linewidth=1.4, label=_short(name))
    axes.set_xlabel("steps of single fleets", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
    axes.legend(loc="best", fontsize=8, frameon=False)
    tidy(axes)
    return png(figure, COLOURS)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
