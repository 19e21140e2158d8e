"""Histories and logs whose truth is known, made apart from the code under test."""

import numpy as np
import pandas as pd

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.features.history import History

EPOCH_US = 1_700_000_000_000_000
MEDIAN = 0.45493642
"""Of a squared standard normal variable."""
MEANS = np.array([0.2, 0.5, 0.8])


def simulated_history(n: int, seed: int, hours: float = 4.0) -> History:
    """Two tenants, two arms, one attempt for each decision; a judgement 50 ms after each end; one context column."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.integers(0, int(hours * 3.6e9), n)) + EPOCH_US
    tenant, arm = rng.choice(["acme", "globex"], n), rng.choice(["small", "large"], n)
    duration = np.round(rng.lognormal(5, 1, n), 3)
    known = start + np.ceil(duration * 1000).astype(np.int64)
    shared = {"component": "router:core", "tenant": tenant}
    decisions = pd.DataFrame(
        {"decision_id": [f"d{i}" for i in range(n)], "started_us": start, **shared, "version": "1.0.0"}
    )
    decisions["context.length"] = np.where(rng.random(n) < 0.1, np.nan, rng.standard_normal(n))
    attempts = {
        "failed": (rng.random(n) < 0.2).astype(float),
        "duration_ms": duration,
        "queue_ms": np.where(rng.random(n) < 0.2, np.nan, duration / 2),
        "cost_usd": rng.random(n),
    }
    events = {
        "attempts": events_of({"known_us": known, **shared, "arm": arm, **attempts}),
        "judgements": events_of({"known_us": known + 50_000, **shared, "arm": arm, "quality": rng.random(n)}),
        "arrivals": events_of({"known_us": start, **shared}),
    }
    versions = pd.DataFrame({"version": ["1.0.0"], "activated_us": [EPOCH_US - 60_000_000]})
    return History(decisions, events, versions.astype({"activated_us": "Int64", "version": object}), ())


def events_of(columns: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns).sort_values("known_us", kind="stable").reset_index(drop=True)
    frame.insert(0, "event_id", range(len(frame)))
    frame["available_us"] = frame["known_us"] + 1
    return frame


def explained_log(n: int, seed: object, strength: float) -> tuple[LoggedBandit, np.ndarray, float]:
    """A log over three arms, the target of each row, and the target's exact value.

    Of four features one moves the reward of each arm otherwise, one all arms above a threshold; `strength` 0: none. The
    latter is how far the decision before was off, so that features know of earlier rewards. Its square makes the
    rewards depend on each other without being correlated: intervals of independent decisions are still right.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    logging = rng.dirichlet(np.ones(3) * 4, n) * 0.7 + 0.1
    action = (logging.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1).clip(0, 2)
    shock = rng.standard_normal(n)
    x[:, 0] = np.concatenate([[MEDIAN], shock[:-1] ** 2])
    mean = np.broadcast_to(MEANS, (n, 3)) + strength * (
        0.4 * np.tanh(x[:, [1]]) * np.array([1.0, -0.5, 1.0]) + 0.2 * np.sign(x[:, [0]] - MEDIAN)
    )
    reward = mean[np.arange(n), action] + 0.2 * shock
    target = np.array([0.1, 0.2, 0.7])
    log = LoggedBandit(action, logging[np.arange(n), action], reward, ("a", "b", "c"), features=x)
    # Both effects are as often above as below 0 by the same.
    return log, np.tile(target, (n, 1)), float(target @ MEANS)
