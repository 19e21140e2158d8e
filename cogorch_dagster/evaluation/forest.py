"""A report as a picture: the value by every estimator, and the difference from the baseline in every slice."""

from typing import TYPE_CHECKING, Literal

from cogorch_dagster.evaluation.report import Evaluation, Report
from cogorch_dagster.figures import INK, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MUTED, BETTER, WORSE = "#9ca3af", "#2563eb", "#dc2626"
MOST_SLICES = 40
NAMES = {
    "ips": "importance sampling",
    "snips": "self-normalised",
    "dm": "direct method",
    "dr": "doubly robust",
    "switch": "switch",
    "dros": "optimistic shrinkage",
}


def forest_plot(report: Report, title: str, image: Literal["png", "svg", "pdf"] = "png") -> bytes:
    """The picture, with 40 slices: those found to differ, then those of most decisions.

    A refused slice shows its reason instead of an interval.
    """
    from matplotlib.figure import Figure

    first = sorted(report.slices, key=lambda each: (not _found(each.evaluation), -each.evaluation.support.decisions))
    shown = sorted(first[:MOST_SLICES], key=lambda each: (each.slicing, each.label))
    rows = [("all decisions", report.overall)] + [(f"{each.slicing} = {each.label}", each.evaluation) for each in shown]
    estimators = max(len(report.overall.estimates), 1)
    figure = Figure(figsize=(8.0, 2.0 + 0.26 * (len(rows) + estimators)), dpi=110, layout="constrained")
    values, differences = figure.subplots(2, 1, height_ratios=[estimators + 0.6, len(rows) + 0.6])
    figure.suptitle(title, fontsize=10, color=INK)
    _values(values, report.overall)
    _differences(differences, rows)
    differences.set_xlabel(f"difference from {report.baseline}, doubly robust; coloured where found", fontsize=8)
    for axes in (values, differences):
        axes.tick_params(labelsize=8, colors=INK, length=2)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return drawn(figure, image)


def _found(evaluation: Evaluation) -> bool:
    return evaluation.difference is not None and evaluation.difference.found


def _values(axes: "Axes", overall: Evaluation) -> None:
    found = list(overall.estimates.values())
    for row, each in enumerate(reversed(found)):
        axes.plot(each.ci95, [row, row], color=BETTER, linewidth=2, solid_capstyle="butt")
        axes.scatter([each.value], [row], color=BETTER, s=24, zorder=3)
    axes.set_yticks(range(len(found)), [NAMES[each.estimator] for each in reversed(found)])
    axes.set_ylim(-0.6, max(len(found), 1) - 0.4)
    axes.set_xlabel("mean reward of the policy, 95 % interval", fontsize=8)
    if overall.refusal is not None:
        axes.text(0.5, 0.5, f"refused: {overall.refusal.reason}", transform=axes.transAxes, ha="center", color=MUTED)


def _differences(axes: "Axes", rows: list[tuple[str, Evaluation]]) -> None:
    axes.axvline(0.0, color=INK, linewidth=0.8)
    for row, (_, evaluation) in enumerate(reversed(rows)):
        apart = evaluation.difference
        if apart is None:
            said = f"refused: {evaluation.refusal.reason}" if evaluation.refusal else "no answer about the baseline"
            place = axes.get_yaxis_transform()
            axes.text(0.01, row, said, transform=place, va="center", fontsize=7, color=MUTED)
            continue
        colour = MUTED if not apart.found else WORSE if apart.value < 0 else BETTER
        axes.plot(apart.interval, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.scatter([apart.value], [row], color=colour, s=24, zorder=3)
    labels = [f"{name if len(name) <= 36 else name[:35] + '…'}  ({e.support.decisions})" for name, e in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(-0.6, len(rows) - 0.4)
