"""Real logged decisions: the Open Bandit Dataset, against the reference values that come with it (2 %: Monte Carlo)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cogorch_dagster.evaluation.estimators import estimate
from cogorch_dagster.evaluation.patterns import Patterns, Trajectories, group_decisions

ITEMS = 34
POSITIONS = 3


def thompson_shares(prior: Path) -> np.ndarray:
    """(position, item): how often Bernoulli Thompson sampling shows an item there, over 100,000 draws."""
    men = yaml.safe_load(prior.read_text())["men"]
    theta = np.random.RandomState(12345).beta(men["alpha"], men["beta"], size=(100_000, ITEMS))
    shown = np.argsort(theta, axis=1)[:, ::-1][:, :POSITIONS]
    return np.stack([np.bincount(shown[:, position], minlength=ITEMS) / len(theta) for position in range(POSITIONS)])


def logged(path: Path) -> Patterns:
    log = pd.read_csv(path)
    n = len(log)
    drawn = Trajectories(
        arms=tuple(map(str, range(ITEMS))),
        tenants=("1", "2", "3"),
        sets=np.ones((1, ITEMS), dtype=bool),
        action=log["item_id"].to_numpy(np.int64)[:, None],
        propensity=log["propensity_score"].to_numpy()[:, None],
        set_index=np.zeros((n, 1), dtype=np.int64),
        tenant=log["position"].to_numpy(np.int64) - 1,
        fold=np.arange(n, dtype=np.int64) % 5,
    )
    return group_decisions(drawn, log["click"].to_numpy(float))


@pytest.mark.parametrize(
    ("behaviour", "ips", "snips", "ess", "largest"),
    [("random", 0.004534, 0.004604, 2467, 10.7), ("bts", 0.003009, 0.003189, 656, 178)],
)
def test_reference_values(realdata: Path, behaviour: str, ips: float, snips: float, ess: float, largest: float) -> None:
    folder = realdata / "obd"
    thompson = thompson_shares(folder / "prior_bts.yaml")
    target = thompson if behaviour == "random" else np.full((POSITIONS, ITEMS), 1 / ITEMS)
    patterns = logged(folder / behaviour / "men" / "men.csv")
    assert patterns.decisions == 10_000
    found = {name: estimate(patterns, target, name) for name in ("ips", "snips", "dr")}
    assert found["ips"].value == pytest.approx(ips, rel=0.02)
    assert found["snips"].value == pytest.approx(snips, rel=0.02)
    assert found["snips"].effective_sample_size == pytest.approx(ess, rel=0.02)
    assert found["snips"].largest_weight == pytest.approx(largest, rel=0.02)
    assert found["dr"].ci95[0] < found["snips"].value < found["dr"].ci95[1]
