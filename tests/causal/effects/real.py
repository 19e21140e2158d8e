"""Two public data sets with a known effect, as arrays."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BENCHMARK, BENCHMARK_ERROR = 1794.0, 671.0
"""Earnings that the NSW programme added in the experiment, with the standard error (Dehejia and Wahba 1999)."""


def lalonde(folder: Path) -> tuple[Floats, Floats, Floats]:
    """Earnings in 1978, treatment, covariates: the treated of the experiment, controls of the survey."""
    experiment, survey = (
        np.genfromtxt(folder / "lalonde" / f"{name}_mixtape.csv", delimiter=",", skip_header=1)[:, 2:]
        for name in ("nsw", "cps")
    )
    rows = np.concatenate([experiment[experiment[:, 0] == 1], survey])
    return rows[:, -1], rows[:, 0], rows[:, 1:-1]


def ihdp(folder: Path, number: int) -> tuple[Floats, Floats, Floats, float]:
    """Outcome, treatment, covariates, and the average effect of these rows."""
    rows = np.genfromtxt(folder / "ihdp" / f"ihdp_npci_{number}.csv", delimiter=",")
    return rows[:, 1], rows[:, 0], rows[:, 5:], float(np.mean(rows[:, 4] - rows[:, 3]))
