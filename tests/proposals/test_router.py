"""Proposals from a lake to a stored draft, and every reason to refuse one."""

import dataclasses
from datetime import timedelta

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.measurement import difference, measure
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, decisions, flags, store
from cogorch_dagster.proposals.figure import proposal_figure
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.router import Proposal, Refusal, propose
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import (
    ARMS,
    POLICY,
    REWARD,
    ROUTER,
    START,
    WEIGHTS,
    bring_into_force,
    generate,
    install,
)


def refused(settings: Settings, reason: str, **options: object) -> Refusal:
    """Propose, expect a refusal for the reason, and that it stored nothing."""

    def state() -> object:
        with transaction(settings) as connection:
            return store.versions(connection), audit.verify(connection).records

    before = state()
    found = propose(settings, POLICY, **options)
    assert isinstance(found, Refusal)
    assert found.reason == reason, found.message
    assert state() == before
    return found


def test_a_better_version_is_proposed_with_its_evidence(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 1200, seed=1).store(settings)
    found = propose(settings, POLICY, seed=3)
    assert isinstance(found, Proposal)
    assert (found.created, found.decision) == (True, None)
    assert (found.version.ref, found.version.status, found.version.parent) == ("router-core@1.0.1", "draft", "1.0.0")
    weights = found.version.params["modelWeights"]
    assert sum(weights.values()) == pytest.approx(1, abs=1e-9)
    assert all(abs(weights[arm] - WEIGHTS[arm]) <= 0.5 + 1e-9 and weights[arm] >= 0.02 for arm in ARMS)
    assert weights["large"] < WEIGHTS["large"]
    assert {k: v for k, v in found.version.params.items() if k != "modelWeights"} == {
        k: v for k, v in ROUTER.items() if k != "modelWeights"
    }
    proof = found.evidence
    assert proof["estimator"] == "dr"
    assert 0.01 <= proof["ci95"][0] < proof["expected_ci95"][0] < proof["estimate"] < proof["ci95"][1]
    assert proof["snips"]["ci95"][0] >= 0.01
    assert proof["candidate"]["value"] - proof["baseline"]["value"] == pytest.approx(proof["estimate"])
    assert proof["baseline"]["version"] == "1.0.0"
    assert 500 <= proof["decisions"] <= 700
    assert proof["decisions_usable"] + sum(proof["decisions_left_out"].values()) == 1200
    assert proof["decisions"] > proof["effective_sample_size"] > 50
    assert set(proof["overlap"]) == set(ARMS)
    assert sum(arm["share"] for arm in proof["overlap"].values()) == pytest.approx(1)
    assert proof["reward"] == {"policy_id": "reward-test", "version": "1.0.0"}
    assert proof["hours"] == [START.replace(minute=0).isoformat()]
    assert proof["sources"] == {"test": proof["decisions_usable"]}
    assert proof["seed"] == 3
    picture = proposal_figure(proof)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 20_000


def test_the_promise_is_kept_by_fresh_traffic(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 1000, seed=2).store(settings)
    found = propose(settings, POLICY)
    assert isinstance(found, Proposal)
    weights = found.version.params["modelWeights"]
    generate(weights, 1000, seed=3, version="1.0.1", start=START + timedelta(hours=2)).store(settings)
    gain, ci95 = difference(measure(settings, POLICY, "1.0.0"), measure(settings, POLICY, "1.0.1"))
    assert found.evidence["ci95"][0] <= gain <= found.evidence["ci95"][1]
    assert ci95[0] > 0


def test_the_same_inputs_give_the_same_draft_once(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 1000, seed=4).store(settings)
    first, second = propose(settings, POLICY), propose(settings, POLICY)
    assert isinstance(first, Proposal)
    assert isinstance(second, Proposal)
    assert (first.created, second.created) == (True, False)
    assert first.version == second.version
    generate(WEIGHTS, 100, seed=5, start=START + timedelta(hours=2)).store(settings)
    third = propose(settings, POLICY)
    assert isinstance(third, Proposal)
    assert (third.created, third.version.version) == (True, "1.0.2")
    with transaction(settings) as connection:
        assert store.version(connection, POLICY, "1.0.1").status == "expired"
        decisions.reject(connection, POLICY, "1.0.2", "anna", "not on a Friday")
    assert "rejected" in refused(settings, "rejected_before").message


@pytest.mark.parametrize(("threshold", "approved"), [(0.03, True), (0.9, False)])
def test_the_mode_of_the_policy_decides_by_the_bound(settings: Settings, threshold: float, approved: bool) -> None:
    install(settings)
    generate(WEIGHTS, 1000, seed=6).store(settings)
    with transaction(settings) as connection:
        administration.set_mode(
            connection, POLICY, "autonomous_threshold", threshold=threshold, actor="anna", reason="let it run"
        )
    found = propose(settings, POLICY)
    assert isinstance(found, Proposal)
    assert found.version.status == ("approved" if approved else "draft")
    assert (found.decision is not None) == approved
    if approved:
        waiting = refused(settings, "decision_waiting")
        assert "router-core@1.0.1" in waiting.message


def test_refusals_before_any_data_is_read(settings: Settings) -> None:
    assert "router-core" in refused(settings, "unknown_policy").message
    with transaction(settings) as connection:
        administration.create_policy(connection, POLICY, "router", "router:core", actor="test")
        administration.create_policy(connection, "pace", "canary", actor="test")
    assert "no active version" in refused(settings, "no_active_policy").message
    with pytest.raises(InvalidInput, match="kind canary"):
        propose(settings, "pace")
    bring_into_force(settings, POLICY, {**ROUTER, "modelWeights": {"small": 1.0, "large": 0.0}})
    assert "1 arm" in refused(settings, "single_arm").message
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="anna", reason="audit week")
    assert flags.LEARNING in refused(settings, "learning_disabled").message


def test_too_few_decisions_names_what_was_left_out(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 150, seed=7).store(settings)
    generate(WEIGHTS, 120, seed=8, propensities=False).store(settings)
    found = refused(settings, "too_few_decisions", feedback_delay=timedelta(0))
    assert "150 decisions" in found.message
    assert "at least 200" in found.message
    assert "120 no_propensity" in found.message
    assert found.evidence["decisions_usable"] == 150


def test_an_arm_that_was_never_logged_lacks_overlap(settings: Settings) -> None:
    install(settings, router={**ROUTER, "modelWeights": {**WEIGHTS, "large": 0.5, "new": 0.1}})
    generate({**WEIGHTS, "large": 0.5}, 300, seed=9).store(settings)
    found = refused(settings, "missing_overlap")
    assert "new 0" in found.message
    assert found.evidence["overlap"]["new"]["n"] == 0


def test_an_arm_that_is_switched_off_stays_off(settings: Settings) -> None:
    install(settings, router={**ROUTER, "modelWeights": {"small": 0.3, "medium": 0.0, "large": 0.7}})
    generate({"small": 0.3, "medium": 0.0, "large": 0.7}, 800, seed=10).store(settings)
    found = propose(settings, POLICY)
    assert isinstance(found, Proposal)
    assert found.version.params["modelWeights"]["medium"] == 0


def test_a_small_effective_sample_is_refused(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 300, seed=11).store(settings)
    found = refused(settings, "small_effective_sample", limits=Limits(minimum_ess=500))
    assert "at least 500" in found.message


def test_a_bound_below_the_minimum_gain_is_refused_with_its_evidence(settings: Settings) -> None:
    """Equal arms: whatever chance prefers in one half, the other half does not confirm."""
    install(settings)
    same = dict.fromkeys(ARMS, ARMS["medium"])
    generate(WEIGHTS, 600, seed=12, arms=same).store(settings)
    found = refused(settings, "bound_below_minimum_gain")
    assert "0.01" in found.message
    assert min(found.evidence["dr"]["ci95"][0], found.evidence["snips"]["ci95"][0]) < 0.01


def test_evidence_about_replaced_versions_is_unsettled(settings: Settings) -> None:
    """Most decisions of another version: refused. As many of the active one: used together with the older ones."""
    install(settings)
    generate(WEIGHTS, 600, seed=13).store(settings)
    now = {"small": 0.4, "medium": 0.3, "large": 0.3}
    version = bring_into_force(settings, POLICY, {**ROUTER, "modelWeights": now})
    later = START + timedelta(hours=2)
    generate(now, 300, seed=14, version=version, start=later).store(settings)
    found = refused(settings, "unsettled")
    assert "33." in found.message
    assert version in found.message
    generate(now, 500, seed=15, version=version, start=later + timedelta(hours=1)).store(settings)
    mixed = propose(settings, POLICY)
    assert isinstance(mixed, Proposal)
    assert set(mixed.evidence["decisions_by_version"]) == {"1.0.0", version}
    assert mixed.evidence["baseline"]["version"] == version
    measured = mixed.evidence["on_policy"]
    assert abs(mixed.evidence["baseline"]["value"] - measured["value"]) < 4 * np.hypot(
        mixed.evidence["baseline"]["se"], measured["se"]
    )


def test_missing_feedback_is_refused_where_quality_counts(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 400, seed=16, judged=0.3).store(settings)
    found = refused(settings, "missing_feedback", feedback_delay=timedelta(0))
    assert "at least 50%" in found.message
    bring_into_force(settings, "reward-test", {**REWARD, "qualityWeight": 0, "successWeight": 0.6})
    assert not isinstance(propose(settings, POLICY), Refusal)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Limits)])
def test_limits_out_of_bounds_are_named(field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{field} must be .* got -1"):
        Limits(**{field: -1})
