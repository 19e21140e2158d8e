"""Each reason to refuse, at its border, overall and in slices alone."""

import re

import numpy as np
import pytest

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.report import Evaluation, evaluate_bandit
from cogorch_dagster.evaluation.support import MINIMUM_DECISIONS, RefusalReason

TARGET = np.array([0.0, 1.0])


def log(n: int, hits: int, chance: float, **changes: object) -> LoggedBandit:
    """Rows of which the first `hits` drew the second arm; rewards alternate."""
    action = (np.arange(n) < hits).astype(np.int64)
    columns = {
        "action": action,
        "propensity": np.where(action == 1, chance, 1 - chance),
        "reward": (np.arange(n) % 2).astype(float),
        "arms": ("a", "b"),
    }
    return LoggedBandit(**{**columns, **changes})


def evaluated(logged: LoggedBandit) -> Evaluation:
    return evaluate_bandit(logged, TARGET).overall


@pytest.mark.parametrize(
    ("logged", "reason", "says"),
    [
        (log(29, 15, 0.5), RefusalReason.TOO_FEW_DECISIONS, "29 decisions, at least 30"),
        (log(60, 0, 0.5), RefusalReason.ARM_NEVER_LOGGED, r"b \(100.0%\)"),
        (log(60, 29, 0.5), RefusalReason.SMALL_EFFECTIVE_SAMPLE, "worth 29.0"),
        (log(80, 40, 0.5, reward=np.ones(80)), RefusalReason.CONSTANT_REWARD, "the same"),
        (log(400, 200, 0.2), RefusalReason.INCONSISTENT_PROPENSITIES, r"mean importance weight is 2\.500"),
        (log(60, 30, 0.5, propensity=np.r_[0.0, np.ones(59)]), RefusalReason.PROPENSITY_OUT_OF_RANGE, "1 of 60"),
        (log(60, 30, 0.5, propensity=np.r_[np.nan, 1.5, np.ones(58)]), RefusalReason.PROPENSITY_OUT_OF_RANGE, "2 of"),
    ],
)
def test_refusals(logged: LoggedBandit, reason: RefusalReason, says: str) -> None:
    found = evaluated(logged)
    assert found.refusal is not None
    assert found.refusal.reason is reason
    assert re.search(says, found.refusal.message), found.refusal.message
    assert (found.estimates, found.difference) == ({}, None)


def test_just_enough_is_answered() -> None:
    assert MINIMUM_DECISIONS == 30
    found = evaluated(log(60, 30, 0.5))
    assert found.refusal is None
    assert found.support.effective_sample_size == pytest.approx(30)
    assert found.estimates["snips"].value == pytest.approx(0.5)


def test_a_slice_is_refused_alone() -> None:
    """Tenant y never drew the arm: it is refused, the other answered."""
    tenant = np.array(["x"] * 200 + ["y"] * 100)
    report = evaluate_bandit(log(300, 100, 0.4, slices={"tenant": tenant}), TARGET)
    answered = {each.label: each.evaluation for each in report.slices}
    assert answered["x"].refusal is None and answered["x"].support.decisions == 200
    assert answered["y"].refusal.reason is RefusalReason.ARM_NEVER_LOGGED


def test_a_slice_is_a_log_of_its_own() -> None:
    rng = np.random.default_rng(1)
    action, tenant = rng.integers(0, 2, 900), rng.integers(0, 3, 900)
    reward = rng.random(900)
    whole = LoggedBandit(action, np.full(900, 0.5), reward, ("a", "b"), slices={"tenant": tenant})
    found = {each.label: each.evaluation for each in evaluate_bandit(whole, TARGET).slices}
    for number in range(3):
        here = tenant == number
        mine = reward[here & (action == 1)]
        assert found[str(number)].estimates["snips"].value == pytest.approx(mine.mean())
        assert found[str(number)].estimates["snips"].se == pytest.approx(mine.std(ddof=1) / np.sqrt(len(mine)))
        assert found[str(number)].support.decisions == here.sum()
