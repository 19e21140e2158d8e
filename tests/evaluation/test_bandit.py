"""Row-level logs: the same answers as formulas written out, as grouped logs, and inputs that are refused."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.bandit import FOLDS, LoggedBandit
from cogorch_dagster.evaluation.estimators import EVERY, estimates
from cogorch_dagster.evaluation.patterns import Patterns, Trajectories, group_decisions
from cogorch_dagster.evaluation.report import evaluate_bandit

ARMS = ("a", "b", "c")
MEANS = np.array([[0.2, 0.5, 0.8], [0.7, 0.4, 0.3]])


def simulated(n: int, seed: int, weighted: bool = False) -> tuple[LoggedBandit, np.ndarray, np.ndarray]:
    """A log over two contexts with propensities of each row's own, the target of each row, and the target's value."""
    rng = np.random.default_rng(seed)
    context = (rng.random(n) < 0.4).astype(np.int64)
    logging = rng.dirichlet(np.ones(3) * 4, n) * 0.7 + 0.1
    action = (logging.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1).clip(0, 2)
    reward = MEANS[context, action] + 0.2 * rng.standard_normal(n)
    target = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])[context]
    log = LoggedBandit(
        action,
        logging[np.arange(n), action],
        reward,
        ARMS,
        sample_weight=rng.choice([1.0, 3.0], n) if weighted else None,
        slices={"tenant": np.array(["x", "y"])[context]},
    )
    truth = 0.6 * MEANS[0] @ [0.1, 0.2, 0.7] + 0.4 * MEANS[1] @ [0.5, 0.25, 0.25]
    return log, target, truth


@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_equal_their_formulas(weighted: bool) -> None:
    log, target, _ = simulated(600, 1, weighted)
    patterns, (ratios,) = log.against(target)
    found = estimates(patterns, ratios)
    rows = np.arange(600)
    s = np.ones(600) if log.sample_weight is None else log.sample_weight
    r = target[rows, log.action] / log.propensity
    tenant = (log.slices["tenant"] == "y").astype(int)
    fold = np.random.default_rng(0).integers(0, FOLDS, 600)
    q = np.zeros((600, 3))
    for row in rows:
        out = fold != fold[row]
        mean = (s * log.reward)[out].sum() / s[out].sum()
        mean = ((s * log.reward)[out].sum() + 5 * mean) / (s[out].sum() + 5)
        for arm in range(3):
            its = out & (log.action == arm)
            coarse = ((s * log.reward)[its].sum() + 5 * mean) / (s[its].sum() + 5)
            own = its & (tenant == tenant[row])
            q[row, arm] = ((s * log.reward)[own].sum() + 5 * coarse) / (s[own].sum() + 5)
    expected, drawn = (target * q).sum(axis=1), q[rows, log.action]

    def corrected(weight: np.ndarray) -> float:
        return float((s * (expected + weight * (log.reward - drawn))).sum() / s.sum())

    assert found["ips"].value == pytest.approx((s * r * log.reward).sum() / s.sum(), rel=1e-10)
    assert found["snips"].value == pytest.approx((s * r * log.reward).sum() / (s * r).sum(), rel=1e-10)
    assert found["dm"].value == pytest.approx(corrected(0 * r), rel=1e-10)
    assert found["dr"].value == pytest.approx(corrected(r), rel=1e-10)
    most, strength = found["switch"].parameter, found["dros"].parameter
    assert found["switch"].value == pytest.approx(corrected(np.where(r <= most, r, 0)), rel=1e-10)
    shrunk = r if np.isinf(strength) else strength * r / (r * r + strength)
    assert found["dros"].value == pytest.approx(corrected(shrunk), rel=1e-10)
    assert found["dr"].effective_sample_size == pytest.approx((s * r).sum() ** 2 / ((s * r) ** 2).sum(), rel=1e-10)


def test_rows_and_groups_agree() -> None:
    """The same decisions as a router's attempts, grouped: every estimator gives the same."""
    rng = np.random.default_rng(2)
    n = 3000
    context, action = rng.integers(0, 2, n), rng.integers(0, 3, n)
    reward = MEANS[context, action] + 0.1 * rng.standard_normal(n)
    log = LoggedBandit(action, np.full(n, 1 / 3), reward, ARMS, slices={"tenant": context})
    drawn = Trajectories(
        arms=ARMS,
        tenants=("0", "1"),
        sets=np.ones((1, 3), dtype=bool),
        action=action[:, None],
        propensity=np.full((n, 1), 1 / 3),
        set_index=np.zeros((n, 1), dtype=np.int64),
        tenant=context,
        fold=np.random.default_rng(0).integers(0, FOLDS, n),
    )
    grouped: Patterns = group_decisions(drawn, reward)
    assert len(grouped.sums.n) == 2 * 3 * FOLDS
    target = np.array([0.2, 0.3, 0.5])
    rows, (shared,) = log.against(target)
    _, (by_row,) = log.against(np.tile(target, (n, 1)))
    by_group = estimates(grouped, type(shared)(*_of(grouped, target)))
    for name, each in estimates(rows, shared).items():
        assert (each.value, each.se) == pytest.approx((by_group[name].value, by_group[name].se), rel=1e-9), name
    for name, each in estimates(log.against(np.tile(target, (n, 1)))[0], by_row).items():
        assert (each.value, each.se) == pytest.approx((by_group[name].value, by_group[name].se), rel=1e-9), name


def _of(grouped: Patterns, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from cogorch_dagster.evaluation.importance import importance

    ratios = importance(grouped, target[None])
    return ratios.probability, ratios.cumulative


def test_every_interval_covers() -> None:
    """93 to 97 % of 1,000 logs of 600 rows, for each estimator."""
    hits = dict.fromkeys(EVERY, 0)
    for run in range(1000):
        log, target, truth = simulated(600, 10_000 + run)
        patterns, (ratios,) = log.against(target)
        for name, each in estimates(patterns, ratios).items():
            hits[name] += each.ci95[0] <= truth <= each.ci95[1]
    assert all(0.93 <= count / 1000 <= 0.97 for count in hits.values()), hits


def extreme(seed: int, n: int, rarest: float, unseen: float) -> tuple[LoggedBandit, float]:
    """A log with propensities of .5 and `rarest` for the arm in question; rewards vary with them by `unseen`."""
    rng = np.random.default_rng(seed)
    often = rng.random(n) < 0.5
    chance = np.where(often, 0.5, rarest)
    action = (rng.random(n) < chance).astype(np.int64)
    reward = np.array([0.3, 0.6])[action] + unseen * (often - 0.5) + 0.2 * rng.standard_normal(n)
    return LoggedBandit(action, np.where(action == 1, chance, 1 - chance), reward, ("a", "b")), 0.6


@pytest.mark.parametrize(("rarest", "unseen"), [(0.005, 0.0), (0.03, 0.6)], ids=["model right", "model wrong"])
def test_shrinkage_gains_where_the_model_is_right_and_loses_little_elsewhere(rarest: float, unseen: float) -> None:
    """Mean squared error over 400 logs beside doubly robust, and intervals that still cover."""
    names = ("dm", "dr", "switch", "dros")
    squared, hits = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0)
    for run in range(400):
        log, truth = extreme(20_000 + run, 2000 if unseen else 800, rarest, unseen)
        patterns, (ratios,) = log.against(np.array([0.0, 1.0]))
        for name, each in estimates(patterns, ratios, names).items():
            squared[name] += (each.value - truth) ** 2
            hits[name] += each.ci95[0] <= truth <= each.ci95[1]
    assert squared["dros"] < (0.9 if unseen == 0 else 1.05) * squared["dr"], squared
    assert squared["switch"] < 1.05 * squared["dr"], squared
    assert all(count / 400 > 0.92 for count in hits.values()), hits
    if unseen:
        assert squared["dm"] > 3 * squared["dr"], squared


def test_the_direct_method_is_as_wrong_as_its_model() -> None:
    """Arms chosen by a property that the model does not see: dm is off, dr is not."""
    rng = np.random.default_rng(3)
    n = 20_000
    hard = rng.random(n) < 0.5
    chance = np.where(hard, 0.8, 0.2)
    action = (rng.random(n) < chance).astype(np.int64)
    reward = np.where(hard, 0.2, 0.8) + 0.1 * action + 0.05 * rng.standard_normal(n)
    log = LoggedBandit(action, np.where(action == 1, chance, 1 - chance), reward, ("a", "b"))
    found = evaluate_bandit(log, np.array([0.0, 1.0])).overall.estimates
    assert found["dm"].value < 0.6 - 0.1
    for name in ("ips", "snips", "dr", "switch", "dros"):
        assert abs(found[name].value - 0.6) < 4 * found[name].se, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": np.ones(3)}, r"propensity has shape \(3,\)"),
        ({"reward": np.array([0.0, np.nan])}, "row 1: reward is nan"),
        ({"action": np.array([0, 3])}, "row 1: action is 3; it must be 0 to 2"),
        ({"action": np.array([0.0, 1.0])}, "integer"),
        ({"sample_weight": np.array([1.0, 0.0])}, "row 1: sample_weight is 0.0"),
        ({"slices": {"tenant": np.array(["x"])}}, "tenant has shape"),
    ],
)
def test_wrong_columns_are_named(change: dict[str, object], message: str) -> None:
    good = {"action": np.array([0, 1]), "propensity": np.ones(2), "reward": np.zeros(2), "arms": ARMS}
    LoggedBandit(**good)
    with pytest.raises(InvalidInput, match=message):
        LoggedBandit(**{**good, **change})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.array([0.5, 0.5]), "shape"),
        (np.array([0.5, 0.4, 0.2]), "sum to 1"),
        (np.array([1.5, -0.5, 0.0]), "at least 0"),
        (np.array([np.nan, 0.5, 0.5]), "at least 0"),
    ],
)
def test_a_target_must_be_a_distribution(target: np.ndarray, message: str) -> None:
    log, _, _ = simulated(50, 4)
    with pytest.raises(InvalidInput, match=message):
        log.against(target)
