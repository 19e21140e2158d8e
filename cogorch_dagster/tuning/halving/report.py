"""What a halving study came to, rung by rung, as a table and as a picture of its learning curves."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from cogorch_dagster.figures import INK, png, tidy
from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.rungs import Ladder, ranked

FAILED = "#dc2626"
# From the first rung to the last: the further a trial came, the darker.
SHADES = ("#bfdbfe", "#93c5fd", "#60a5fa", "#3b82f6", "#1d4ed8", "#1e3a8a")


@dataclass(frozen=True)
class RungRow:
    """One rung of the table.

    Attributes:
        rung, steps: from 0, and what a trial has been trained for there.
        reached, promoted, failed: trials that came there, those of them that were asked on, and those that failed on
            the way here.
        best, middle: highest and median score; None where nobody came.
    """

    rung: int
    steps: int
    reached: int
    promoted: int
    failed: int
    best: float | None
    middle: float | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def rung_rows(ladder: Ladder, records: Sequence[Record]) -> list[RungRow]:
    """The table, from the first rung to the last."""
    trials = [record.trial for record in records]
    rows = []
    for rung, steps in enumerate(ladder.levels):
        there = ranked(trials, rung)
        scores = [trial.scores[rung] for trial in there]
        rows.append(
            RungRow(
                rung=rung,
                steps=steps,
                reached=len(there),
                promoted=sum(trial.next_rung > rung + 1 or trial.status != "paused" for trial in there),
                failed=sum(trial.status == "failed" and trial.next_rung == rung for trial in trials),
                best=max(scores, default=None),
                middle=median(scores) if scores else None,
            )
        )
    return rows


def learning_curves(ladder: Ladder, records: Sequence[Record], *, label: str = "score") -> bytes:
    """PNG of every trial's scores over its steps: a point where it was paused at once, a line where it was promoted.

    Args:
        label: of the vertical axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 3.6), dpi=80, layout="constrained")
    axes = figure.subplots()
    for record in sorted(records, key=lambda each: len(each.scores)):
        height = len(record.scores)
        if height:
            steps, colour = ladder.levels[:height], SHADES[round((height - 1) * 5 / max(ladder.top, 1))]
            axes.plot(steps, record.scores, "-", marker="o", markersize=2.5, linewidth=1, color=colour)
            if record.status == "failed":
                axes.plot(steps[-1:], record.scores[-1:], "x", color=FAILED, markersize=5)
    for row in rung_rows(ladder, records):
        text = f"{row.reached} trials" if row.reached != 1 else "1 trial"
        axes.annotate(text, (row.steps, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color=INK, ha="center")
    axes.set_xscale("log")
    axes.set_xticks(ladder.levels, [f"{steps:,}" for steps in ladder.levels])
    axes.minorticks_off()
    axes.set_xlabel("steps of the trial", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    tidy(axes)
    return png(figure, 16)
