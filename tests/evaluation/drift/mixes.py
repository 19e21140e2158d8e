"""Rewards of a router whose traffic changes, or one of whose arms gets worse, bucket by bucket."""

import numpy as np

from cogorch_dagster.evaluation.drift.detection import detect, prepare
from cogorch_dagster.evaluation.ridge import Draws

DAYS, TRAINING, PERIOD, PER_BUCKET = 30, 10, 24, 25
AT = 18 * PERIOD


def stream(seed: int, *, mix: bool, drift: float) -> tuple[Draws, np.ndarray]:
    """Two tenants, two arms, a length that costs reward. From `AT` on the mix changes, the reward of an arm drops."""
    rng = np.random.default_rng(seed)
    bucket = np.repeat(np.arange(DAYS * PERIOD), PER_BUCKET)
    n, late = len(bucket), bucket >= AT
    label = (rng.random(n) < np.where(late & mix, 0.75, 0.4)).astype(np.int64)
    length = rng.standard_normal(n) + np.where(late & mix, 0.5, 0.0)
    arm = (rng.random(n) < 0.5).astype(np.int64)
    reward = 0.5 + 0.2 * label + 0.1 * arm - 0.1 * np.clip(length, -2, 2) + 0.2 * rng.standard_normal(n)
    reward -= drift * (late & (arm == 1))
    return Draws(arm, label, np.zeros(n, dtype=np.int64), reward, np.ones(n), length[:, None]), bucket


def found(values: np.ndarray, within: float) -> tuple[int, int]:
    """Regime changes reported near the planted one, and elsewhere."""
    changes = detect(prepare(values, PERIOD, TRAINING, least_scale=np.sqrt(within / PER_BUCKET))).changes
    near = sum(abs(each.onset - AT) <= 3 * PERIOD for each in changes)
    return near, len(changes) - near
