"""A calibration as a picture: every distribution of the data beside the calibrated and the default one."""

from typing import TYPE_CHECKING

from cogorch_dagster.figures import png
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.calibration.goodness import LEVELS, Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
DATA, CALIBRATED, DEFAULT = "#111827", "#2563eb", "#9ca3af"
COLOURS = 16


def distributions(calibration: Calibration) -> bytes:
    """A PNG under 20 kB of the distribution functions of all fits, axes of values logarithmic."""
    from matplotlib.figure import Figure

    fits = calibration.fits
    rows = max(-(-len(fits) // COLUMNS), 1)
    figure = Figure(figsize=(8.0, 0.5 + 1.35 * rows), dpi=75, layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, fit in zip(panels, fits, strict=False):
        _panel(axes, fit)
    for axes in panels[len(fits) :]:
        axes.set_axis_off()
    title = "data (black), calibrated (blue), default (grey)" if fits else "too few observations for any distribution"
    figure.suptitle(f"{calibration.since:%Y-%m-%d %H:%M} to {calibration.until:%Y-%m-%d %H:%M}: {title}", fontsize=7)
    return png(figure, COLOURS)


def _panel(axes: "Axes", fit: Fit) -> None:
    for values, colour, style, width in zip(
        fit.quantiles, (DATA, CALIBRATED, DEFAULT), ("-", "-", ":"), (2.0, 1.1, 1.1), strict=True
    ):
        axes.plot([max(value, 0.5) for value in values], LEVELS, style, color=colour, linewidth=width)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_yticks([0, 1])
    axes.tick_params(labelsize=5, length=2, pad=1)
    axes.set_title(f"{_short(fit.name)}\nKS {fit.calibrated.ks:.3f}, {fit.verdict}", fontsize=5.5, pad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _short(name: str) -> str:
    # A dollar sign would begin a formula.
    text = name.replace("$", r"\$")
    return text if len(text) <= 40 else text[:18] + "…" + text[-21:]
