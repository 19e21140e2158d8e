"""Doubly robust with features: covered, narrower where they explain, and blind to what comes later."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.estimators import estimates
from cogorch_dagster.evaluation.forward import BORDERS, FEWEST, forward_fitted, moved
from cogorch_dagster.evaluation.importance import importance
from cogorch_dagster.evaluation.outcome_model import fitted
from cogorch_dagster.evaluation.patterns import Trajectories, by_row
from cogorch_dagster.evaluation.report import evaluate_bandit
from tests.evaluation.simulation import ARMS, Fleet, Log, simulate
from tests.features.simulation import explained_log


def test_intervals_cover_and_are_narrower() -> None:
    """140 logs of 700 decisions: at least 92 % covered, a tenth narrower; without any signal as wide as before."""
    for strength, narrower in ((1.0, 0.9), (0.0, 1.03)):
        hits, widths, errors = 0, np.zeros(2), []
        for seed in range(140):
            log, target, truth = explained_log(700, [1, seed], strength)
            for place, each in enumerate((replace(log, features=None), log)):
                patterns, (ratios,) = each.against(target)
                found = estimates(patterns, ratios, ("dr",), each.reward_model)["dr"]
                widths[place] += found.ci95[1] - found.ci95[0]
            hits += found.ci95[0] <= truth <= found.ci95[1]
            errors.append(found.value - truth)
        assert hits / 140 >= 0.92, strength
        assert widths[1] / widths[0] < narrower, strength
        assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(140), strength


def test_a_decision_is_predicted_from_the_past_alone() -> None:
    """Whatever later decisions earn, draw or look like, and whatever a decision itself earns: features add the same."""
    log, target, _ = explained_log(640, 5, 1.0)
    begins = round(BORDERS[4] * 640)
    rng = np.random.default_rng(6)
    order = np.concatenate([np.arange(begins), begins + rng.permutation(640 - begins)])
    other = replace(
        log,
        reward=np.concatenate([log.reward[:begins], rng.standard_normal(640 - begins)]),
        action=log.action[order],
        features=np.concatenate([log.features[: begins + 80], rng.standard_normal((560 - begins, 4))]),
    )
    one, two = (each.reward_model.by_arm - fitted(each.against(target)[0]).by_arm for each in (log, other))
    assert np.abs(one[: begins + 80] - two[: begins + 80]).max() < 1e-12 < np.abs(one[: begins + 80]).max()
    assert np.abs(one[begins + 80 :] - two[begins + 80 :]).max() > 0.01


def rows_of(log: Log) -> Trajectories:
    bits = 1 << np.arange(len(ARMS))
    return Trajectories(
        arms=ARMS,
        tenants=("a", "b"),
        sets=((np.arange(1 << len(ARMS))[:, None] & bits) > 0).astype(bool),
        action=log.action,
        propensity=log.propensity,
        set_index=(log.available * bits).sum(axis=2),
        tenant=log.tenant,
        fold=np.random.default_rng(0).integers(0, 5, len(log.reward)),
    )


def test_routers_with_fallbacks_are_evaluated_without_bias() -> None:
    """Trajectories of up to three attempts, sampled successes, a feature that tells the tenant: mean of 40 logs."""
    fleet, weights = Fleet(), np.array([0.4, 0.1, 0.1, 0.4])
    truth, errors, widths = fleet.value(weights), [], np.zeros(2)
    for seed in range(40):
        log = simulate(fleet, np.full(4, 0.25), 500, np.random.default_rng([7, seed]), sample_rate=0.5)
        patterns = by_row(replace(rows_of(log), tenants=("a",), tenant=0 * log.tenant), log.reward, log.sample_weight)
        ratios = importance(patterns, weights[None])
        features = log.tenant[:, None].astype(float)
        models = (None, forward_fitted(patterns, features, np.arange(len(features))))
        found = [estimates(patterns, ratios, ("dr",), model)["dr"] for model in models]
        errors.append(found[1].value - truth)
        widths += [each.se for each in found]
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(40)
    assert widths[1] < widths[0]


def test_decisions_before_the_features_may_be_used_are_expected_without_them() -> None:
    log, target, _ = explained_log(800, 3, 1.0)
    patterns, _ = log.against(target)
    order = np.arange(800)
    plain, every, late = (
        forward_fitted(patterns, log.features, order, usable_from) for usable_from in (np.inf, -np.inf, 500)
    )
    assert np.array_equal(plain.by_arm, fitted(patterns).by_arm)
    first = patterns.state[:, 0]
    assert np.array_equal(late.by_arm[first[:500]], plain.by_arm[first[:500]])
    assert np.array_equal(late.by_arm[first[500:]], every.by_arm[first[500:]])
    changed = (every.by_arm != plain.by_arm).any(axis=1)[first]
    # Before there is any evidence the means alone are chosen, which takes the second block as well.
    assert changed[round(BORDERS[2] * 800) :].all() and not changed[: round(BORDERS[1] * 800)].any()
    assert [moved(order, at) for at in (-np.inf, 500, 800)] == [750, 300, 0] and moved(order[:100]) == 0


def test_rows_without_features_are_as_before() -> None:
    log = simulate(Fleet(), np.full(4, 0.25), 300, np.random.default_rng(8))
    rows, grouped = by_row(rows_of(log), log.reward, log.sample_weight), log.patterns()
    weights = np.array([[0.1, 0.2, 0.3, 0.4]])
    one, two = (estimates(each, importance(each, weights)) for each in (rows, grouped))
    for name, each in one.items():
        assert (each.value, each.se) == pytest.approx((two[name].value, two[name].se), rel=1e-9), name
    none = forward_fitted(rows, np.empty((len(rows.action), 0)), np.arange(len(rows.action)))
    assert (none.by_arm == fitted(rows).by_arm).all() and (none.mass == fitted(rows).mass).all()


def test_a_report_uses_the_features_overall_and_in_slices() -> None:
    log, target, _ = explained_log(900, 9, 1.0)
    sliced = replace(log, slices={"half": np.arange(900) % 2})
    featured, plain = (evaluate_bandit(each, target) for each in (sliced, replace(sliced, features=None)))
    assert featured.overall.estimates["dr"].se < plain.overall.estimates["dr"].se
    assert featured.overall.difference.se < plain.overall.difference.se
    assert featured.overall.estimates["ips"] == pytest.approx(plain.overall.estimates["ips"])
    for one, two in zip(featured.slices, plain.slices, strict=True):
        assert one.evaluation.estimates["dr"].se < two.evaluation.estimates["dr"].se


def test_it_refuses_what_does_not_fit() -> None:
    log, target, _ = explained_log(FEWEST + 10, 10, 1.0)
    grouped, _ = replace(log, features=None).against(target[0])
    with pytest.raises(InvalidInput, match="row by row"):
        forward_fitted(grouped, log.features, np.arange(len(log)))
    with pytest.raises(InvalidInput, match="one row and one time"):
        forward_fitted(grouped, log.features[1:], np.arange(len(log)))
    with pytest.raises(InvalidInput, match="features has shape"):
        LoggedBandit(log.action, log.propensity, log.reward, log.arms, features=log.features[1:])
