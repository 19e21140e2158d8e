"""Pictures of a study as PNG below 20 kB: how the score came along, what mattered, what each objective costs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.figures import png, tidy
from cogorch_dagster.tuning.study import Objective
from cogorch_dagster.tuning.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#2563eb", "#dc2626", "#9ca3af"
LABELS: dict[Objective, str] = {
    "reward": "score (lower bound of the normalised return)",
    "conflicts": "conflicts per step",
    "latency": "inference, ms",
}


def history(trials: Sequence[Trial]) -> bytes:
    """Scores in the order of the trials, and the best so far; failed ones are marked at the bottom.

    Raises:
        InvalidInput: no trial has ended.
    """
    done = [(each.number, each.values[0]) for each in trials if each.values is not None]
    failed = [each.number for each in trials if each.state == "failed"]
    if not done and not failed:
        raise InvalidInput("no trial of the study has ended yet, so there is no history to draw")
    figure, axes = _panel(7.2, 3.6)
    if done:
        numbers, scores = np.array(done).T
        axes.plot(numbers, scores, "o", color=GREY, markersize=3.5)
        axes.step(numbers, np.maximum.accumulate(scores), where="post", color=BLUE, linewidth=1.4, label="best so far")
        if numbers[0] == 0:
            axes.axhline(scores[0], color=RED, linewidth=0.9, linestyle="--", label="in force")
    if failed:
        axes.plot(failed, np.zeros(len(failed)), "x", color=RED, transform=axes.get_xaxis_transform(), clip_on=False)
    axes.set_xlabel("trial", fontsize=8)
    axes.set_ylabel(LABELS["reward"], fontsize=8)
    if done:
        axes.legend(loc="best", fontsize=8, frameon=False)
    return png(figure, 64)


def importance_figure(shares: Mapping[str, float]) -> bytes:
    """A bar for each hyperparameter, the most important on top.

    Raises:
        InvalidInput: there are none.
    """
    if not shares:
        raise InvalidInput("too few trials are complete to say what matters; run more")
    names = sorted(shares, key=lambda name: shares[name])
    figure, axes = _panel(6.4, 0.8 + 0.26 * len(names))
    axes.barh(names, [shares[name] for name in names], color=BLUE, height=0.6)
    axes.set_xlabel("share of the importance", fontsize=8)
    return png(figure, 64)


def pareto_figure(trials: Sequence[Trial], front: Sequence[Trial], objectives: Sequence[Objective]) -> bytes:
    """The score against each other objective, a panel for each; the front of all objectives together is blue.

    Raises:
        InvalidInput: a single objective, or no complete trial.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    others = len(objectives) - 1
    done = [each for each in trials if each.values is not None]
    if others < 1 or not done:
        raise InvalidInput("a Pareto front needs two objectives and a complete trial")
    figure = Figure(figsize=(4.6 * others, 3.6), dpi=90, layout="constrained")
    panels = figure.subplots(1, others, squeeze=False, sharey=True).ravel()
    chosen = {each.number for each in front}
    for place, axes in enumerate(panels, start=1):
        for inside, colour, size in ((False, GREY, 3.0), (True, BLUE, 4.5)):
            points = [each.values for each in done if (each.number in chosen) == inside and each.values is not None]
            axes.plot([p[place] for p in points], [p[0] for p in points], "o", color=colour, markersize=size)
        axes.set_xlabel(LABELS[objectives[place]], fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        tidy(axes)
    panels[0].set_ylabel(LABELS["reward"], fontsize=8)
    return png(figure, 64)


def _panel(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    axes: Any = figure.subplots()
    tidy(axes)
    return figure, axes
