"""Expected rewards: fitted from the lake, judged by later decisions, registered as data, and found again."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features import expectation, reward_judging, reward_leakage, reward_registry, store
from cogorch_dagster.features.calculation import Matrix
from cogorch_dagster.features.decision_rewards import DecisionRewards
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.reward_figure import calibration_figure
from cogorch_dagster.features.reward_fitting import Fitted, fit
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.aliases import promote
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY, START, install
from tests.features.sets import SELECTED, handmade
from tests.features.test_building import NOW, traffic

END = START + timedelta(seconds=700)


def fitted(settings: Settings, **options: object) -> Fitted:
    until = options.pop("until", END)
    return fit(settings, POLICY, START, until, feedback_delay=NOW, **options)


def prepared(settings: Settings) -> FeatureSet:
    """Seven hundred seconds of traffic, and a feature set that half of it allows."""
    install(settings)
    traffic(1400, 1).store(settings)
    features = handmade(settings, START, START + timedelta(seconds=350))
    with transaction(settings) as connection:
        store.save(connection, features)
    return features


def test_a_model_is_fitted_judged_and_registered(mlflow_database: Settings) -> None:
    settings = mlflow_database
    features = prepared(settings)
    blind = fitted(settings, context=())
    first, verdict = reward_judging.register(settings, blind, "run-1")
    assert (first.ref, verdict.outcome, verdict.over) == ("reward-model-router-core@1", "first", None)
    assert first.aliases == ("champion",) and first.tags["run"] == "run-1" and first.tags["judged"] == str(verdict)
    assert blind.out_of_fold.saved.high < 0.15, "tenants differ by nothing here"

    found = fitted(settings, features=features)
    seen = found.out_of_fold
    assert found.rewards.model.features == SELECTED and found.rewards.mix.features == tuple(
        each.name for each in features.context
    )
    assert seen.saved.low > 0.3 and seen.r2.low > seen.r2_by_arm.high
    assert seen.slope.low < 1.1 and seen.slope.high > 0.9 and found.newest.saved.low > 0.3
    assert (seen.decisions, found.newest.decisions) == (933, 280)
    version, verdict = reward_judging.register(settings, found)
    assert verdict.outcome == "better" and verdict.over == first.ref and verdict.saved.low > 0.2
    assert version.aliases == ("champion",) and registry.find(settings, f"{first.name}@previous").version == 1
    assert version.metrics["r2"] == seen.r2.value and version.metrics["newest_decisions"] == 280
    assert version.params["feature_set"] == features.digest and version.lineage.inputs == found.inputs
    assert (version.lineage.since, version.lineage.until) == (START, END) and version.lineage.code_version

    # Once more gives the same version, and says that it is the champion.
    again, said = reward_judging.register(settings, fitted(settings, features=features))
    assert again.ref == version.ref and said.outcome == "champion"
    # One that knows less is not better, and stays a candidate.
    lesser, said = reward_judging.register(settings, fitted(settings, context=(), until=END - timedelta(seconds=1)))
    assert said.outcome == "not shown better" and lesser.aliases == ("candidate",) and said.saved.high < 0
    assert [each.ref for each in reward_registry.in_use(settings)] == [lesser.ref, version.ref]


def test_a_version_predicts_leaks_nothing_is_repeated_and_stands_beside_another(mlflow_database: Settings) -> None:
    settings = mlflow_database
    found = fitted(settings, features=prepared(settings))
    version, verdict = reward_judging.register(settings, found)
    lesser, _ = reward_judging.register(settings, fitted(settings, context=(), until=END - timedelta(seconds=1)))
    assert verdict.outcome == "first"
    champion = reward_registry.champion(settings, POLICY)
    assert champion.version.ref == version.ref
    assert json.dumps(champion.rewards.document()) == json.dumps(found.rewards.document())
    values = champion.rewards.values(settings, START, END).of(found.held.decision_id)
    predicted = champion.rewards.model.expected_of(values, found.held.tenant, found.held.arm)
    assert np.array_equal(predicted, found.held.predicted)
    assert reward_leakage.leaks_of(settings, champion.rewards, START, END, sample=6) == ()

    repeated = reward_judging.reproduce(settings, version)
    assert repeated.same and repeated.same_inputs
    traffic(10, 5).store(settings)
    other = reward_judging.reproduce(settings, version)
    assert not other.same_inputs
    traffic(200, 6, start=END).store(settings)
    both = reward_judging.beside(settings, lesser, version, END + timedelta(seconds=200))
    assert (both.first, both.second) == (lesser.ref, version.ref) and both.saved.low > 0.2
    # The second was fitted until a fifth of the period before its end, the first a little earlier.
    assert both.since == version.lineage.until - timedelta(seconds=140) and both.decisions >= 470
    with pytest.raises(InvalidInput, match=r"since .*; at least 100 tell them apart"):
        reward_judging.beside(settings, lesser, version, both.since + timedelta(seconds=40))
    foreign = registry.register(
        settings, "agent-policy", {"params.json": b"{}"}, params={}, metrics={}, lineage=Lineage("0.1.0")
    )
    with pytest.raises(InvalidInput, match=r"holds params.json, not a reward model"):
        reward_registry.rewards_of(settings, foreign)
    with pytest.raises(InvalidInput, match="is of type object"):
        reward_registry.register_reward_model(
            settings, POLICY, {"model": object()}, params={}, metrics={}, lineage=Lineage("0.1.0")
        )

    told: list[str] = []
    expected = expectation.by_mix(settings, told.append)
    seen = expected("router:core", START, END)
    assert seen.model == version.ref and len(seen.reward) == 1410 and abs(seen.rest.mean()) < 0.02
    assert seen.rest.std() < 0.9 * seen.reward.std() and expected("nobody", START, END) is None and told == []
    Path(settings.lake_root, version.folder, "model.json").write_bytes(b"{}")
    assert expected("router:core", START, END) is None
    assert told[0].startswith(f"the reward model of router:core is not used: model.json of {version.ref}")


def test_a_champion_is_compared_on_decisions_that_it_has_not_seen(mlflow_database: Settings) -> None:
    settings = mlflow_database
    install(settings)
    traffic(700, 2).store(settings)
    found = fitted(settings, until=START + timedelta(seconds=350))
    # The context is found in the data.
    assert "context.length" in found.rewards.model.features and found.rewards.feature_set is None
    version, _ = reward_judging.register(settings, found)
    late = replace(version, params={**version.params, "fitted_until": (START + timedelta(seconds=320)).isoformat()})
    champion = reward_registry.Champion(late, found.rewards)
    verdict = reward_judging.judged(settings, found, champion)
    assert (verdict.outcome, verdict.saved, verdict.decisions) == ("too few to compare", None, 60)
    honest = reward_judging.judged(settings, found, reward_registry.Champion(version, found.rewards))
    assert (honest.outcome, honest.saved.value, honest.decisions) == ("not shown better", 0.0, 140)
    # Means by arm that are better keep the first from being used.
    worse = replace(found, newest=replace(found.newest, saved=replace(found.newest.saved, low=-0.3, high=-0.1)))
    assert reward_judging.judged(settings, worse, None).outcome == "worse than the means"
    assert reward_judging.judged(settings, replace(found, newest=None), None).outcome == "too few to compare"
    promote(settings, version.name, version.version)

    # Other hours with the same decisions, fitted to the same share of them, are no other version; its file is mended.
    path = Path(settings.lake_root, version.folder, "model.json")
    path.unlink()
    shifted = fit(settings, POLICY, START - timedelta(seconds=4), START + timedelta(seconds=351), feedback_delay=NOW)
    assert shifted.since != found.since and shifted.metrics == found.metrics
    again, verdict = reward_judging.register(settings, shifted)
    assert (again.ref, again.lineage.since, verdict.outcome) == (version.ref, START, "champion") and path.exists()
    differing = replace(shifted, feedback_delay=NOW + timedelta(seconds=1))
    assert reward_judging.repeated(settings, shifted).ref == version.ref
    assert reward_judging.repeated(settings, differing) is None
    assert calibration_figure(found).startswith(b"\x89PNG")

    with pytest.raises(InvalidInput, match=r"made 239 scored decisions .* at least 240"):
        fitted(settings, until=START + timedelta(seconds=149))
    with pytest.raises(InvalidInput, match="is of kind reward"):
        fit(settings, "reward-test", START, END)


def test_a_model_that_looks_ahead_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature computed with what comes later changes the predictions of every arm."""
    install(settings)
    traffic(700, 3).store(settings)
    features = handmade(settings, START, START + timedelta(seconds=200))
    with transaction(settings) as connection:
        store.save(connection, features)
    found = fitted(settings, features=features, until=START + timedelta(seconds=350))
    honest = reward_leakage.calculate

    def ahead(past: object, definitions: object) -> Matrix:
        matrix = honest(past, definitions)
        values = matrix.values.copy()
        values[:, 0] = past.events["judgements"]["quality"].mean()
        return replace(matrix, values=values)

    monkeypatch.setattr(reward_leakage, "calculate", ahead)
    leaks = reward_leakage.leaks_of(settings, found.rewards, START, START + timedelta(seconds=350), sample=6)
    assert {each.feature for each in leaks} == {"large", "medium", "small"}


def test_what_is_no_reward_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="format 'other'"):
        DecisionRewards.of({"format": "other"})
    with pytest.raises(InvalidInput, match="no complete reward model"):
        DecisionRewards.of({"format": "cogorch-decision-rewards/1", "policy": "x"})
