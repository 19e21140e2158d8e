"""How probable it is that one controller does better than another on a seed (Agarwal et al. 2021, section 4.3)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.agents.comparison.bootstrap import Floats


def paired_share(gains: Floats, positions: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Share of seeds with a gain, a tie counted as half: of the seeds [...], and of their resamples [..., count].

    Args:
        gains: [..., n], positive where the treated did better on the same seed.
        positions: of the resamples, [count, n].
    """
    wins = (np.sign(gains) + 1) / 2
    return np.asarray(wins.mean(axis=-1)), np.asarray(wins[..., positions].mean(axis=-1))


def unpaired_share(
    baseline: Floats,
    treated: Floats,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    *,
    strata: Sequence[int] | None = None,
) -> tuple[Floats, Floats]:
    """Share of all pairs of seeds of one stratum in which the treated is larger (Mann and Whitney's U), mean of strata.

    Args:
        baseline, treated: [..., n].
        before, after: positions of the baseline's and the treated's resamples, [count, n].
        strata: of the n seeds; one stratum without it.
    """
    n = baseline.shape[-1]
    labels = np.zeros(n, dtype=np.int64) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    sizes = np.bincount(labels).astype(np.float64)
    weights = (labels[:, None] == labels) / sizes[labels] ** 2 / len(sizes)
    wins = (np.sign(treated[..., :, None] - baseline[..., None, :]) + 1) / 2 * weights
    drawn_after, drawn_before = _multiplicities(after, n), _multiplicities(before, n)
    return np.asarray(wins.sum(axis=(-2, -1))), np.asarray(((drawn_after @ wins) * drawn_before).sum(axis=-1))


def _multiplicities(positions: NDArray[np.int64], n: int) -> Floats:
    """How often each seed stands in each resample: [count, n]."""
    count = len(positions)
    cells = positions + np.arange(count)[:, None] * n
    return np.bincount(cells.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)
