"""The grouped estimators against formulas written row by row, and against environments whose true value is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.estimators import EstimatorName, estimate
from cogorch_dagster.evaluation.importance import importance
from cogorch_dagster.evaluation.improvement import improvement
from cogorch_dagster.evaluation.outcome_model import SHRINKAGE, expected_rewards
from cogorch_dagster.evaluation.patterns import NO_ATTEMPT, Trajectories, group_decisions
from tests.evaluation.simulation import ARMS, Fleet, Log, simulate

ACTIVE = np.array([0.4, 0.3, 0.2, 0.1])
CANDIDATE = np.array([0.1, 0.15, 0.4, 0.35])
FLEET = Fleet()


def ratios_by_row(log: Log, weights: np.ndarray) -> list[float]:
    result = []
    for row in range(len(log.reward)):
        ratio = 1.0
        for t in range(log.action.shape[1]):
            arm = log.action[row, t]
            if arm == NO_ATTEMPT:
                break
            total = sum(weights[other] for other in range(len(ARMS)) if log.available[row, t, other])
            ratio *= weights[arm] / total / log.propensity[row, t]
        result.append(ratio)
    return result


def snips_by_row(log: Log, weights: np.ndarray) -> tuple[float, float, float]:
    """Value, standard error, effective sample size. Residuals are divided by what the decision itself took of them."""
    u = np.array(ratios_by_row(log, weights)) * log.sample_weight
    value = (u * log.reward).sum() / u.sum()
    psi = u * (log.reward - value) / u.sum()
    return value, np.sqrt((psi**2 / (1 - u / u.sum())).sum()), u.sum() ** 2 / (u**2).sum()


def expected_by_row(log: Log, fold: np.ndarray, cell: tuple[int, int, int], left_out: int) -> float:
    """The shrunken mean of decisions outside a fold: everything, attempt, arm, arm within the tenant."""
    tenant, attempt, arm = cell
    s, y, out = log.sample_weight, log.reward, fold != left_out
    pairs = [(r, t) for r in np.flatnonzero(out) for t in range(3) if log.action[r, t] != NO_ATTEMPT]
    mean = sum(s[r] * y[r] for r, _ in pairs) / sum(s[r] for r, _ in pairs)
    for keep in (
        lambda r, t: t == attempt,
        lambda r, t: t == attempt and log.action[r, t] == arm,
        lambda r, t: t == attempt and log.action[r, t] == arm and log.tenant[r] == tenant,
    ):
        chosen = [r for r, t in pairs if keep(r, t)]
        mean = (sum(s[r] * y[r] for r in chosen) + SHRINKAGE * mean) / (sum(s[r] for r in chosen) + SHRINKAGE)
    return mean


def contributions_by_row(log: Log, fold: np.ndarray, weights: np.ndarray, model: dict) -> np.ndarray:
    """What each decision adds to the doubly robust value with the means of a model, by (fold, tenant, attempt, arm)."""
    phi = np.zeros(len(log.reward))
    for row in range(len(phi)):
        before = 1.0
        for t in range(log.action.shape[1]):
            arm = log.action[row, t]
            if arm == NO_ATTEMPT:
                break
            share = weights * log.available[row, t]
            share = share / share.sum()
            q = [model[fold[row], log.tenant[row], t, a] for a in range(len(ARMS))]
            phi[row] += before * sum(share[a] * q[a] for a in range(len(ARMS)) if log.available[row, t, a])
            before *= share[arm] / log.propensity[row, t]
            phi[row] -= before * q[arm]
        phi[row] += before * log.reward[row]
    return phi


def dr_by_row(log: Log, fold: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Value and standard error; the means' own error enters by moving each of them a little and looking."""
    n, total = len(log.reward), log.sample_weight.sum()
    cells = [(x, t, a) for x in range(2) for t in range(3) for a in range(len(ARMS))]
    model = {(f, *cell): expected_by_row(log, fold, cell, f) for f in range(3) for cell in cells}
    phi = contributions_by_row(log, fold, weights, model)
    value = (log.sample_weight * phi).sum() / total
    psi = phi - value
    for x, t, a in cells:
        drawn = np.flatnonzero((log.tenant == x) & (log.action[:, t] == a))
        if not len(drawn):
            continue
        moved = {key: mean + (key[1:] == (x, t, a)) for key, mean in model.items()}
        change = (log.sample_weight * (contributions_by_row(log, fold, weights, moved) - phi)).sum()
        residual = log.reward[drawn] - [model[fold[row], x, t, a] for row in drawn]
        psi[drawn] += change / log.sample_weight[drawn].sum() * residual
    return value, np.sqrt(((log.sample_weight * psi) ** 2).sum() * n / (n - 1)) / total


@pytest.mark.parametrize("sample_rate", [1.0, 0.3])
def test_snips_equals_the_formula_row_by_row(sample_rate: float) -> None:
    log = simulate(FLEET, ACTIVE, 700, np.random.default_rng(1), sample_rate)
    found = estimate(log.patterns(), CANDIDATE, "snips")
    value, se, ess = snips_by_row(log, CANDIDATE)
    assert (found.value, found.effective_sample_size) == pytest.approx((value, ess), rel=1e-10)
    # Decisions of one pattern share one correction; where their sample weights differ it is off by a part in 1e5.
    assert found.se == pytest.approx(se, rel=1e-10 if sample_rate == 1 else 1e-5)
    assert found.largest_weight == pytest.approx(max(ratios_by_row(log, CANDIDATE)), rel=1e-10)
    assert found.decisions == len(log.reward)


@pytest.mark.parametrize("sample_rate", [1.0, 0.3])
def test_doubly_robust_equals_the_formula_row_by_row(sample_rate: float) -> None:
    log = simulate(FLEET, ACTIVE, 130, np.random.default_rng(2), sample_rate)
    fold = np.random.default_rng(0).integers(0, 3, len(log.reward))
    found = estimate(log.patterns(fold_seed=0, folds=3), CANDIDATE, "dr")
    assert (found.value, found.se) == pytest.approx(dr_by_row(log, fold, CANDIDATE), rel=1e-9)


def test_ips_is_the_mean_of_weighted_rewards() -> None:
    log = simulate(FLEET, ACTIVE, 500, np.random.default_rng(3))
    terms = np.array(ratios_by_row(log, CANDIDATE)) * log.reward
    found = estimate(log.patterns(), CANDIDATE, "ips")
    assert found.value == pytest.approx(terms.mean(), rel=1e-10)
    assert found.se == pytest.approx(terms.std(ddof=1) / np.sqrt(len(terms)), rel=1e-10)


def test_on_policy_snips_is_the_plain_mean() -> None:
    log = simulate(FLEET, ACTIVE, 800, np.random.default_rng(4))
    found = estimate(log.patterns(), ACTIVE, "snips")
    assert found.value == pytest.approx(log.reward.mean(), rel=1e-12)
    assert found.se == pytest.approx(log.reward.std(ddof=1) / np.sqrt(len(log.reward)), rel=1e-10)
    assert found.effective_sample_size == pytest.approx(len(log.reward), rel=1e-12)


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), repeat=st.integers(2, 4))
def test_grouping_loses_nothing(seed: int, repeat: int) -> None:
    """Rows in any order, or every row repeated: the same estimate."""
    log = simulate(FLEET, ACTIVE, 60, np.random.default_rng(seed))
    once = estimate(log.patterns(folds=1), CANDIDATE, "snips")
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(60), repeat))
    many = estimate(log.part(order).patterns(folds=1), CANDIDATE, "snips")
    assert many.value == pytest.approx(once.value, rel=1e-9)
    assert many.effective_sample_size == pytest.approx(repeat * once.effective_sample_size, rel=1e-9)


def test_doubly_robust_removes_the_noise_that_the_arms_explain() -> None:
    quiet = Fleet(noise=0.0, failure=np.zeros((2, 4)))
    patterns = simulate(quiet, ACTIVE, 4000, np.random.default_rng(5)).patterns()
    assert estimate(patterns, CANDIDATE, "dr").se < 0.5 * estimate(patterns, CANDIDATE, "snips").se


@pytest.mark.parametrize("sample_rate", [1.0, 0.25])
def test_trajectory_weights_are_unbiased(sample_rate: float) -> None:
    """Mean over 400 logs within 3.5 standard errors of the exact value; ratios average to 1."""
    rng = np.random.default_rng(6)
    truth = FLEET.value(CANDIDATE)
    values: dict[str, list[float]] = {"ips": [], "dr": []}
    mass = []
    for _ in range(400):
        patterns = simulate(FLEET, ACTIVE, 600, rng, sample_rate).patterns()
        for name, found in values.items():
            found.append(estimate(patterns, CANDIDATE, name).value)
        ratio = importance(patterns, CANDIDATE[None]).ratio[0]
        mass.append(ratio @ patterns.sums.s / patterns.sums.s.sum())
    for found in (*values.values(),):
        assert abs(np.mean(found) - truth) < 3.5 * np.std(found) / np.sqrt(len(found))
        # The bound is tight enough to notice a bias of 3 % of the reward.
        assert 3.5 * np.std(found) / np.sqrt(len(found)) < 0.02
    assert abs(np.mean(mass) - 1) < 3.5 * np.std(mass) / np.sqrt(len(mass))


def test_first_draw_weights_alone_would_be_biased() -> None:
    """The check on unbiasedness can fail: dropping the fallbacks' part of the ratio is visible at once."""
    fragile = Fleet(failure=np.array([[0.05, 0.6, 0.1, 0.7], [0.6, 0.1, 0.7, 0.1]]))
    log = simulate(fragile, ACTIVE, 60_000, np.random.default_rng(7))
    truth = fragile.value(CANDIDATE)
    terms = []
    for row in range(len(log.reward)):
        share = CANDIDATE * log.available[row, 0]
        terms.append(share[log.action[row, 0]] / share.sum() / log.propensity[row, 0] * log.reward[row])
    se = np.std(terms) / np.sqrt(len(terms))
    assert abs(np.mean(terms) - truth) > 4 * se
    right = estimate(log.patterns(), CANDIDATE, "ips")
    assert abs(right.value - truth) < 3.5 * right.se


@pytest.mark.parametrize("mixed", [False, True], ids=["one version", "two versions"])
def test_intervals_cover_the_truth(mixed: bool) -> None:
    """93 to 97 % of 1,000 logs of 2,000 decisions, for the value and for the expected improvement, by both estimators.

    Two versions: half of the decisions were made by weights that are neither the active ones nor the candidate.
    """
    rng = np.random.default_rng(8)
    old = np.array([0.25, 0.25, 0.25, 0.25])
    n, runs = 2000, 1000
    logged = np.where((np.arange(n) % 2 == 0)[:, None], ACTIVE, old) if mixed else ACTIVE
    truth, before = FLEET.value(CANDIDATE), FLEET.value(ACTIVE)
    estimators: tuple[EstimatorName, ...] = ("snips", "dr")
    hits = {(name, what): 0 for name in estimators for what in ("value", "difference")}
    for _ in range(runs):
        patterns = simulate(FLEET, logged, n, rng).patterns()
        for name in estimators:
            found = improvement(patterns, CANDIDATE, ACTIVE, name)
            hits[name, "value"] += abs(found.candidate - truth) <= 1.96 * found.candidate_se
            hits[name, "difference"] += found.expected_ci95[0] <= truth - before <= found.expected_ci95[1]
    assert all(0.93 <= count / runs <= 0.97 for count in hits.values()), hits


def test_intervals_cover_under_sampling_of_successes() -> None:
    rng = np.random.default_rng(10)
    truth, runs = FLEET.value(CANDIDATE), 1000
    hits = 0
    for _ in range(runs):
        found = estimate(simulate(FLEET, ACTIVE, 4000, rng, sample_rate=0.3).patterns(), CANDIDATE, "dr")
        hits += found.ci95[0] <= truth <= found.ci95[1]
    assert 0.93 <= hits / runs <= 0.97


def test_ignoring_sample_weights_would_be_biased() -> None:
    log = simulate(FLEET, ACTIVE, 30_000, np.random.default_rng(11), sample_rate=0.1)
    truth = FLEET.value(CANDIDATE)
    weighted = estimate(log.patterns(), CANDIDATE, "snips")
    bare = estimate(Log(**{**log.__dict__, "sample_weight": np.ones(len(log.reward))}).patterns(), CANDIDATE, "snips")
    assert abs(weighted.value - truth) < 3.5 * weighted.se
    assert abs(bare.value - truth) > 5 * bare.se


def test_measured_difference_on_fresh_traffic_falls_inside_the_interval() -> None:
    """For a fixed candidate, with before and after on separate traffic of as many decisions: nominally 95 %."""
    rng = np.random.default_rng(12)
    n, runs, hits = 800, 600, 0
    for _ in range(runs):
        found = improvement(simulate(FLEET, ACTIVE, n, rng).patterns(), CANDIDATE, ACTIVE, "dr")
        after, before = (simulate(FLEET, w, n, rng).reward.mean() for w in (CANDIDATE, ACTIVE))
        hits += found.ci95[0] <= after - before <= found.ci95[1]
    assert 0.93 <= hits / runs <= 0.975


def test_expected_rewards_are_cross_fitted() -> None:
    """A decision's own reward does not reach its own prediction."""
    log = simulate(FLEET, ACTIVE, 300, np.random.default_rng(13))
    patterns = log.patterns(folds=3)
    fold = np.random.default_rng(0).integers(0, 3, 300)
    louder = Log(**{**log.__dict__, "reward": np.where(fold == 1, log.reward + 100, log.reward)})
    before, after = expected_rewards(patterns), expected_rewards(louder.patterns(folds=3))
    np.testing.assert_allclose(before[1], after[1])
    assert (after[0] > before[0] + 1).all()


def test_an_arm_that_the_candidate_never_draws_gets_weight_zero() -> None:
    log = simulate(FLEET, ACTIVE, 400, np.random.default_rng(14))
    patterns = log.patterns()
    never = importance(patterns, np.array([[0.0, 0.5, 0.5, 0.0]])).ratio[0]
    used = (patterns.action == 0).any(axis=1) | (patterns.action == 3).any(axis=1)
    assert used.any()
    assert (never[used] == 0).all()
    assert (never[~used] > 0).all()


@pytest.mark.parametrize(
    ("propensity", "arm", "message"), [(0.0, 0, "propensity 0.0"), (1.5, 0, "propensity 1.5"), (0.5, 1, "action set")]
)
def test_impossible_rows_are_named(propensity: float, arm: int, message: str) -> None:
    zeros = np.zeros(2, dtype=np.int64)
    drawn = Trajectories(
        arms=("a", "b"),
        tenants=("",),
        sets=np.array([[True, False]]),
        action=np.array([[0], [arm]]),
        propensity=np.array([[1.0], [propensity]]),
        set_index=np.zeros((2, 1), dtype=np.int64),
        tenant=zeros,
        fold=zeros,
    )
    with pytest.raises(InvalidInput, match=rf"decision 1, attempt 1: .*{message}"):
        group_decisions(drawn, np.zeros(2))


def test_weights_of_an_unknown_arm_are_refused() -> None:
    patterns = simulate(FLEET, ACTIVE, 10, np.random.default_rng(15)).patterns()
    with pytest.raises(InvalidInput, match=r"\['giant'\]"):
        patterns.weights({"small": 0.5, "giant": 0.5})
