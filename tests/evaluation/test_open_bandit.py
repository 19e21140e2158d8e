"""Real logged decisions: the Open Bandit Dataset, against the reference values that come with it (2 %: Monte Carlo)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.report import evaluate_bandit
from cogorch_dagster.evaluation.support import RefusalReason

ITEMS = 34
POSITIONS = 3


def thompson_shares(prior: Path) -> np.ndarray:
    """(position, item): how often Bernoulli Thompson sampling shows an item there, over 100,000 draws."""
    men = yaml.safe_load(prior.read_text())["men"]
    theta = np.random.RandomState(12345).beta(men["alpha"], men["beta"], size=(100_000, ITEMS))
    shown = np.argsort(theta, axis=1)[:, ::-1][:, :POSITIONS]
    return np.stack([np.bincount(shown[:, position], minlength=ITEMS) / len(theta) for position in range(POSITIONS)])


def logged(path: Path) -> tuple[LoggedBandit, np.ndarray]:
    """The log, and each row's position."""
    log = pd.read_csv(path)
    position = log["position"].to_numpy(np.int64)
    return LoggedBandit(
        action=log["item_id"].to_numpy(np.int64),
        propensity=log["propensity_score"].to_numpy(),
        reward=log["click"].to_numpy(float),
        arms=tuple(map(str, range(ITEMS))),
        slices={"position": position},
    ), position - 1


@pytest.mark.parametrize(
    ("behaviour", "ips", "snips", "ess", "largest"),
    [("random", 0.004534, 0.004604, 2467, 10.7), ("bts", 0.003009, 0.003189, 656, 178)],
)
def test_reference_values(realdata: Path, behaviour: str, ips: float, snips: float, ess: float, largest: float) -> None:
    folder = realdata / "obd"
    thompson = thompson_shares(folder / "prior_bts.yaml")
    log, position = logged(folder / behaviour / "men" / "men.csv")
    assert len(log) == 10_000
    target = thompson[position] if behaviour == "random" else np.full(ITEMS, 1 / ITEMS)
    report = evaluate_bandit(log, target)
    found, held = report.overall.estimates, report.overall.support
    assert report.overall.refusal is None
    assert found["ips"].value == pytest.approx(ips, rel=0.02)
    assert found["snips"].value == pytest.approx(snips, rel=0.02)
    assert held.effective_sample_size == pytest.approx(ess, rel=0.02)
    assert held.largest_weight == pytest.approx(largest, rel=0.02)
    for each in found.values():
        assert each.ci95[0] < found["snips"].value < each.ci95[1]
    # What the target earned on the site is known too, from 10,000 decisions with an error of their own.
    earned = {"random": 0.0069, "bts": 0.0046}[behaviour]
    error = np.hypot(found["dr"].se, np.sqrt(earned * (1 - earned) / 10_000))
    assert abs(found["dr"].value - earned) < 1.96 * error
    assert {each.label for each in report.slices} == {"1", "2", "3"}
    assert sum(each.evaluation.support.decisions for each in report.slices) == 10_000


def test_targets_without_overlap_are_refused(realdata: Path) -> None:
    """Rows of one arm never logged; and a target on the rarest arms, of an effective sample size under 30."""
    log, _ = logged(realdata / "obd" / "bts" / "men" / "men.csv")
    counts = np.bincount(log.action, minlength=ITEMS)
    rarest = int(np.argmin(counts))
    only = np.eye(ITEMS)[rarest]
    assert counts[rarest] < 30
    small = evaluate_bandit(log, only).overall
    assert small.refusal is not None and small.refusal.reason == RefusalReason.SMALL_EFFECTIVE_SAMPLE
    assert f"{small.support.effective_sample_size:.1f}" in small.refusal.message
    rows = log.action != rarest
    without = LoggedBandit(log.action[rows], log.propensity[rows], log.reward[rows], log.arms)
    never = evaluate_bandit(without, np.full(ITEMS, 1 / ITEMS)).overall
    assert never.refusal is not None and never.refusal.reason == RefusalReason.ARM_NEVER_LOGGED
    assert not never.estimates
    assert log.arms[rarest] in never.refusal.message
