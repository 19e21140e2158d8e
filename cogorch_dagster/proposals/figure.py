"""A small picture of a proposal: weights before and after, and the interval of the improvement."""

from collections.abc import Mapping
from typing import Any

from cogorch_dagster.figures import INK, MUTED, png, tidy

OLD, NEW = "#9ca3af", "#2563eb"
COLOURS = 32
MOST_ARMS = 12


def proposal_figure(evidence: Mapping[str, Any]) -> bytes:
    """PNG, under 20 kB, of an evidence document of `proposals.router`; the twelve most changed arms at most."""
    from matplotlib.figure import Figure

    overlap = evidence["overlap"]
    by_change = sorted(overlap, key=lambda arm: -abs(overlap[arm]["weight_after"] - overlap[arm]["weight_before"]))
    arms = sorted(by_change[:MOST_ARMS], key=lambda arm: overlap[arm]["weight_after"])
    figure = Figure(figsize=(7.2, 1.5 + 0.32 * len(arms)), dpi=80, layout="constrained")
    weights, gain = figure.subplots(2, 1, height_ratios=[0.5 + len(arms), 1.6])

    for row, arm in enumerate(arms):
        before, after = overlap[arm]["weight_before"], overlap[arm]["weight_after"]
        weights.plot([before, after], [row, row], color=MUTED, linewidth=3, zorder=1)
        weights.scatter([before], [row], color=OLD, s=40, zorder=2, label="active" if row == 0 else None)
        weights.scatter([after], [row], color=NEW, s=40, zorder=3, label="proposed" if row == 0 else None)
    weights.set_yticks(range(len(arms)), [arm if len(arm) <= 28 else f"{arm[:27]}…" for arm in arms])
    weights.set_ylim(-0.6, len(arms) - 0.4)
    weights.set_xlim(-0.02, 1.02)
    weights.set_xlabel("weight", fontsize=8)
    weights.legend(loc="lower right", fontsize=8, frameon=False)

    names = {"snips": "self-normalised", "dr": "doubly robust"}
    for row, name in enumerate(names):
        low, high = evidence[name]["ci95"]
        gain.plot([low, high], [row, row], color=NEW, linewidth=2, solid_capstyle="butt")
        gain.scatter([evidence[name]["estimate"]], [row], color=NEW, s=30, zorder=3)
    gain.axvline(0, color=INK, linewidth=0.8)
    gain.set_yticks(range(len(names)), list(names.values()))
    gain.set_ylim(-0.6, 1.6)
    gain.set_xlabel("improvement of the mean reward, 95 % interval", fontsize=8)
    for axes in (weights, gain):
        tidy(axes, label_size=8)
    return png(figure, COLOURS)
