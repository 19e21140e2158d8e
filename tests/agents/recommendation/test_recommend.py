"""From a controller to stored drafts: evidence, the gate, every reason to refuse, the same draft once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from cogorch_dagster.agents.recommendation.recommend import recommend
from cogorch_dagster.cli.policy_view import evidence_line, show_version
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, administration, decisions, flags, store
from cogorch_dagster.policies.lineage import lineage
from cogorch_dagster.proposals.drafts import Proposal, Refusal
from cogorch_dagster.settings import Settings
from tests.agents.recommendation.sources import QUICK, SETTABLE, Steady, autoscaler, calibration, stored
from tests.evaluation.traffic import ARMS, POLICY, START, WEIGHTS, Arm, generate, install

CHEAPER = Steady("weights_to_cheapest")
# What the logs show where the slow, dear arm is the one that is right.
LARGE_IS_RIGHT = {
    "small": Arm(80.0, 0.0016, 0.1, 0.3),
    "medium": ARMS["medium"],
    "large": Arm(8.0, 0.0001, 0.01, 0.98),
}


class Both(Steady):
    """Turns weights to the cheapest model in half of the fleets, and something else in the others."""

    def act(self, states: Any) -> Any:
        actions = super().act(states)
        actions["policy"][::2] = CHEAPER.act(states)["policy"][::2]
        return actions


def one(
    settings: Settings, policy_id: str = POLICY, controller: Steady = CHEAPER, **options: Any
) -> Proposal | Refusal:
    options = {"calibration": calibration(), "limits": QUICK, **options}
    found = recommend(settings, [policy_id], controller, options.pop("calibration"), **options)
    assert len(found) == 1
    return found[0]


def proposed(settings: Settings, policy_id: str = POLICY, **options: Any) -> Proposal:
    found = one(settings, policy_id, **options)
    assert isinstance(found, Proposal), found.message
    return found


def refused(settings: Settings, reason: str, policy_id: str = POLICY, **options: Any) -> Refusal:
    """Recommend, expect a refusal for the reason, and that it stored nothing."""
    before = stored(settings)
    found = one(settings, policy_id, **options)
    assert isinstance(found, Refusal)
    assert found.reason == reason, found.message
    assert stored(settings) == before
    return found


def set_mode(settings: Settings, mode: store.Mode, threshold: float = 0.01) -> None:
    with transaction(settings) as connection:
        administration.set_mode(connection, POLICY, mode, threshold=threshold, actor="anna", reason="let it run")


def test_a_draft_without_logs_rests_on_simulation_and_waits_for_a_person(settings: Settings) -> None:
    install(settings, router=SETTABLE)
    set_mode(settings, "autonomous_all")
    found = proposed(settings, seed=4, run_id="run-1", checkpoints={"policy": "sha256:" + "a" * 64})
    assert (found.version.ref, found.version.status, found.decision) == ("router-core@1.0.1", "draft", None)
    assert found.version.created_by == "agents:recommendation"
    assert found.version.params["modelWeights"] == pytest.approx({"small": 0.4, "medium": 0.2, "large": 0.4})
    proof = found.evidence
    assert proof["method"] == "simulated"
    assert not {"ci95", "estimate"} & set(proof)
    simulated = proof["simulated"]
    assert set(simulated["metrics"]) >= {"reward", "latency", "success", "unfairness", "violations", "cost"}
    reward = simulated["metrics"]["reward"]
    assert QUICK.minimum_gain <= reward["ci95"][0] < reward["difference"] < reward["ci95"][1]
    assert reward["recommended"] - reward["active"] == pytest.approx(reward["difference"])
    assert len(set(simulated["seeds"])) == QUICK.seeds
    assert simulated["steps"] == QUICK.steps
    assert simulated["calibration"]["digest"] == calibration().digest
    assert simulated["calibration"]["verdicts"] == {"good": 1}
    assert simulated["calibration"]["fits"][0]["ks"] == 0.04
    assert proof["recommendation"]["checkpoints"] == {"policy": "sha256:" + "a" * 64}
    assert proof["recommendation"]["run_id"] == "run-1"
    assert proof["off_policy"]["answered"] is False
    assert proof["off_policy"]["reason"] == "too_few_decisions"
    assert "0 decisions" in proof["off_policy"]["message"]
    assert proof["agreement"]["same_sign"] is None
    with transaction(settings) as connection:
        decisions.approve(connection, POLICY, "1.0.1", "anna", "read it", digest=found.version.digest)
        activation.activate(connection, "router-core@1.0.1", "anna")
        active = store.active(connection, POLICY)
        assert active is not None and active.params == found.version.params
        assert lineage(connection, POLICY, "1.0.1").problems == ()


def test_logs_that_agree_carry_the_weights_by_themselves(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    install(settings, router=SETTABLE)
    generate(WEIGHTS, 1200, seed=1).store(settings)
    set_mode(settings, "autonomous_threshold")
    found = proposed(settings)
    proof = found.evidence
    assert proof["off_policy"]["answered"] is True
    assert proof["off_policy"]["reason"] is None, proof["off_policy"]["message"]
    assert proof["method"] == "off_policy"
    assert proof["ci95"] == proof["off_policy"]["ci95"] == proof["dr"]["ci95"]
    assert 0.01 <= proof["ci95"][0] < proof["estimate"] < proof["ci95"][1]
    # All decisions estimate: none of them has chosen the weights.
    assert proof["decisions"] == proof["decisions_usable"] > 1000
    assert proof["agreement"]["same_sign"] is True
    assert proof["hours"] == [START.replace(minute=0).isoformat()]
    assert found.decision is not None and found.decision.actor == "rule:autonomous_threshold"
    with transaction(settings) as connection:
        assert lineage(connection, POLICY, "1.0.1").problems == ()
    show_version(found.version)
    shown = capsys.readouterr().out
    assert "improvement +0." in shown
    assert "the signs agree" in shown
    assert "unfairness, share" in shown
    assert "steady; changes modelWeights" in shown


def test_logs_that_see_the_opposite_are_named_and_no_rule_approves(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    install(settings, router=SETTABLE)
    generate(WEIGHTS, 1000, seed=2, arms=LARGE_IS_RIGHT).store(settings)
    set_mode(settings, "autonomous_all")
    found = proposed(settings)
    proof = found.evidence
    assert (proof["method"], found.decision) == ("simulated", None)
    assert proof["off_policy"]["answered"] is True
    assert proof["off_policy"]["reason"] == "bound_below_minimum_gain"
    assert proof["off_policy"]["estimate"] < 0
    assert proof["agreement"]["same_sign"] is False
    assert not {"ci95", "estimate"} & set(proof)
    show_version(found.version)
    shown = capsys.readouterr().out
    assert "THE SIGNS DISAGREE" in shown
    assert "a person decides" in shown
    assert evidence_line(proof) in shown


def test_logs_are_silent_on_targets_so_that_they_cannot_carry_them(settings: Settings) -> None:
    """Weights and another parameter move together: measured weights are not enough."""

    install(settings, router=SETTABLE)
    generate(WEIGHTS, 1200, seed=3).store(settings)
    set_mode(settings, "autonomous_threshold")
    found = proposed(settings, controller=Both("latency_target_down"))
    proof = found.evidence
    assert proof["recommendation"]["changed"] == ["latencyTargetMs", "modelWeights"]
    assert proof["off_policy"]["silent_on"] == ["latencyTargetMs"]
    assert proof["off_policy"]["ci95"][0] > 0.01
    assert (proof["method"], found.decision) == ("simulated", None)


def test_a_knob_that_drifts_without_effect_stays_out_of_the_draft(settings: Settings) -> None:
    install(settings, router=SETTABLE)
    found = proposed(settings, controller=Both("cost_cap_down"))
    assert found.evidence["recommendation"]["changed"] == ["modelWeights"]
    assert found.version.params["maxCostUsd"] == SETTABLE["maxCostUsd"]
    assert "gains nothing sure" in found.evidence["recommendation"]["kept"]["maxCostUsd"]
    assert found.evidence["recommendation"]["arrived_at"]["maxCostUsd"] < SETTABLE["maxCostUsd"]


def test_the_same_inputs_give_the_same_draft_once(settings: Settings) -> None:
    install(settings, router=SETTABLE)
    first, second = proposed(settings, run_id="monday"), proposed(settings, run_id="tuesday")
    assert (first.created, second.created) == (True, False)
    assert first.version == second.version
    other = proposed(settings, seed=1)
    assert (other.created, other.version.version) == (True, "1.0.2")
    assert other.evidence["simulated"]["seeds"] != first.evidence["simulated"]["seeds"]
    with transaction(settings) as connection:
        decisions.reject(connection, POLICY, "1.0.2", "anna", "not on a Friday")
    assert "1.0.2" in refused(settings, "rejected_before", seed=1).message


def test_refusals_before_anything_is_simulated(settings: Settings) -> None:
    assert POLICY in refused(settings, "unknown_policy").message
    install(settings, router=SETTABLE)
    assert "no observations" in refused(settings, "uncalibrated", calibration=calibration(rows=0)).message
    with pytest.raises(InvalidInput, match="kind reward"):
        one(settings, "reward-test")
    with pytest.raises(InvalidInput, match="named twice"):
        recommend(settings, [POLICY, POLICY], CHEAPER, calibration(), limits=QUICK)
    with pytest.raises(InvalidInput, match="got -1"):
        one(settings, seed=-1)
    autoscaler(settings, "elsewhere", "autoscaler:elsewhere")
    assert "elsewhere" in refused(settings, "unknown_component", "elsewhere").message
    proposed(settings)
    with transaction(settings) as connection:
        decisions.approve(connection, POLICY, "1.0.1", "anna", "fine")
    assert "waits" in refused(settings, "decision_waiting").message
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="anna", reason="audit week")
    assert flags.LEARNING in refused(settings, "learning_disabled").message


def test_refusals_by_what_the_simulation_shows(settings: Settings) -> None:
    install(settings, router=SETTABLE)
    idle = refused(settings, "nothing_recommended", controller=Steady())
    assert "leaves it" in idle.evidence["kept"]["timeoutMs"]
    worse = refused(settings, "simulated_bound_below_minimum_gain", controller=Steady("weights_to_ablest"))
    assert worse.evidence["params"]["modelWeights"]["large"] == pytest.approx(0.8)
    assert worse.evidence["simulated"]["metrics"]["reward"]["answer"] == "worse"
    greedy = replace(QUICK, minimum_gain=0.5)
    assert "minimum gain 0.5" in refused(settings, "simulated_bound_below_minimum_gain", limits=greedy).message


def test_a_gain_at_the_cost_of_a_promise_is_refused(settings: Settings) -> None:
    """More replicas answer sooner and cost more than the tolerance allows."""
    install(settings, router=SETTABLE)
    autoscaler(settings, "medium-scaler", "autoscaler:medium")
    more = Steady(replicas=0.9)
    dear = refused(
        settings, "promise_worse", "medium-scaler", controller=more, limits=replace(QUICK, cost_tolerance=0.0)
    )
    assert "cost by up to" in dear.message


def test_an_autoscaler_and_a_router_are_answered_each_by_itself(settings: Settings) -> None:
    install(settings, router=SETTABLE)
    autoscaler(settings, "medium-scaler", "autoscaler:medium")
    autoscaler(settings, "scaler", None)
    controller = Steady("weights_to_cheapest", replicas=0.9)
    router, medium = recommend(
        settings, [POLICY, "medium-scaler"], controller, calibration(), limits=replace(QUICK, minimum_gain=0.0)
    )
    assert isinstance(router, Proposal)
    assert isinstance(medium, Proposal), medium.message
    assert (medium.version.params["minReplicas"], medium.version.params["maxReplicas"]) == (3, 9)
    assert medium.evidence["off_policy"]["reason"] == "not_logged"
    assert "no log" in medium.evidence["off_policy"]["message"]
    assert medium.evidence["method"] == "simulated"
    with pytest.raises(InvalidInput, match="one model"):
        recommend(settings, ["medium-scaler", "scaler"], controller, calibration(), limits=QUICK)


def test_from_observations_to_a_recommendation(settings: Settings) -> None:
    """The lake's traffic calibrates the fleet whose models are the router's arms."""
    install(settings, router=SETTABLE)
    generate(WEIGHTS, 600, seed=5).store(settings)
    found = calibrate(settings, START - timedelta(hours=1), START + timedelta(hours=1))
    assert [model.name for model in found.parameters.models] == ["small", "medium", "large"]
    answer = one(settings, calibration=found, limits=replace(QUICK, minimum_gain=0.0, share_tolerance=1.0))
    proof = answer.evidence
    assert proof["simulated"]["calibration"]["rows"] == found.rows > 600
    assert np.isfinite([each["difference"] for each in proof["simulated"]["metrics"].values()]).all()
    params = answer.version.params if isinstance(answer, Proposal) else answer.evidence["params"]
    cheapest = params["modelWeights"]
    assert cheapest["large"] == pytest.approx(0.4)
