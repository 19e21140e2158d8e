"""Whether features look into the future: recomputed from a log that has none, and from one whose future is another.

Both judge by when an event was truly known (`known_us`), whatever time index its frame claims.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from cogorch_dagster.evaluation.patterns import Bools, Floats
from cogorch_dagster.features.calculation import Matrix
from cogorch_dagster.features.history import MEASURES, History

SAMPLE = 24
_RELATIVE = 1e-7
Compute = Callable[[History], Matrix]


@dataclass(frozen=True)
class Leak:
    """A feature that changes with what cannot have been known.

    Attributes:
        check: truncated: the log ends where the decision begins; shuffled: what comes after it is in another order.
        decisions: how many of those checked differ.
        decision_id, value, without: one of them, its value, and the value without that future (NaN: none).
    """

    feature: str
    check: Literal["truncated", "shuffled"]
    decisions: int
    decision_id: str
    value: float
    without: float

    def __str__(self) -> str:
        return (
            f"{self.feature} leaks ({self.check} future): decision {self.decision_id} has {self.value:g}, "
            f"and {self.without:g} without the future; {self.decisions} decisions differ"
        )


def leaks(history: History, compute: Compute, *, sample: int = SAMPLE, seed: int = 0) -> tuple[Leak, ...]:
    """Every feature that leaks, each check on its own.

    Args:
        compute: the features of every decision of the history that it is given.
        sample: decisions that are recomputed, half of them each from a log of its own that ends where they begin.
        seed: of the sample and of the shuffled future.
    """
    if history.decisions.empty:
        return ()
    rng = np.random.default_rng(seed)
    full = compute(history)
    truncated = _truncated(history, compute, full, rng, max(sample // 2, 1))
    return truncated + _shuffled(history, compute, full, rng)


def _truncated(
    history: History, compute: Compute, full: Matrix, rng: np.random.Generator, sample: int
) -> tuple[Leak, ...]:
    count = len(full.decision_id)
    chosen = np.sort(rng.choice(count, min(sample, count), replace=False))
    ids = full.decision_id[chosen]
    without = np.empty((len(chosen), len(full.names)))
    for row, number in enumerate(chosen):
        past = history.until(int(full.started_us[number])).of(pd.Series([full.decision_id[number]]))
        without[row] = compute(past).of(full.decision_id[number : number + 1])[0]
    return _compared("truncated", full, chosen, ids, without)


def _shuffled(history: History, compute: Compute, full: Matrix, rng: np.random.Generator) -> tuple[Leak, ...]:
    """What happened after the middle of the log, given to other events than it happened to."""
    middle = int(full.started_us[len(full.started_us) // 2])
    before = np.flatnonzero(full.started_us <= middle)
    events = {name: _with_another_future(frame, name, middle, rng) for name, frame in history.events.items()}
    without = compute(replace(history, events=events)).of(full.decision_id[before])
    return _compared("shuffled", full, before, full.decision_id[before], without)


def _with_another_future(frame: pd.DataFrame, name: str, middle: int, rng: np.random.Generator) -> pd.DataFrame:
    later = np.flatnonzero(frame["known_us"].to_numpy(np.int64) >= middle)
    columns = [each for each in ("component", "tenant", "arm", *MEASURES[name]) if each in frame]
    out = frame.copy()
    order = rng.permutation(later)
    for column in columns:
        values = frame[column].to_numpy(copy=True)
        values[later] = frame[column].to_numpy()[order]
        out[column] = values
    return out


def _compared(
    check: Literal["truncated", "shuffled"],
    full: Matrix,
    rows: np.ndarray,
    ids: np.ndarray,
    without: Floats,
) -> tuple[Leak, ...]:
    values = full.values[rows]
    differs = _differs(values, without)
    found = []
    for number in np.flatnonzero(differs.any(axis=0)):
        row = int(np.argmax(differs[:, number]))
        found.append(
            Leak(
                feature=full.names[number],
                check=check,
                decisions=int(differs[:, number].sum()),
                decision_id=str(ids[row]),
                value=float(values[row, number]),
                without=float(without[row, number]),
            )
        )
    return tuple(found)


def _differs(one: Floats, other: Floats) -> Bools:
    """By more than sums in another order explain."""
    missing = np.isnan(one) != np.isnan(other)
    a, b = np.nan_to_num(one), np.nan_to_num(other)
    scale = np.maximum(np.abs(a).max(axis=0, initial=0.0), np.abs(b).max(axis=0, initial=0.0))
    return np.asarray(missing | (np.abs(a - b) > _RELATIVE * np.maximum(scale, 1e-12)))
