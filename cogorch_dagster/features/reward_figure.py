"""A reward model as a picture: what was observed beside what was predicted, in tenths of the decisions."""

from cogorch_dagster.features.reward_fitting import Fitted
from cogorch_dagster.figures import INK, MUTED, png, tidy

_SEEN = "#2563eb"


def calibration_figure(fitted: Fitted) -> bytes:
    """The picture as PNG; bars are 95 % intervals, on the line predictions are right."""
    from matplotlib.figure import Figure

    found, seen = fitted.curve, fitted.out_of_fold
    figure = Figure(figsize=(5.2, 3.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    ends = [min(each.predicted for each in found), max(each.predicted for each in found)]
    axes.plot(ends, ends, color=MUTED, linewidth=1.2)
    axes.errorbar(
        [each.predicted for each in found],
        [each.observed for each in found],
        yerr=[1.96 * each.se for each in found],
        fmt="o",
        color=_SEEN,
        markersize=4,
        linewidth=1.2,
    )
    axes.set_title(f"{fitted.rewards.policy}: {seen.decisions} decisions, later than those fitted to", fontsize=8)
    axes.set_xlabel("reward predicted", fontsize=8, color=INK)
    axes.set_ylabel("reward observed", fontsize=8, color=INK)
    tidy(axes)
    return png(figure, 16)
