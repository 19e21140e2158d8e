"""A ramp judged: on when the new version is no worse, back when it is, and never on without traffic."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cogorch_dagster.canary.stepping import evaluate, evaluate_all
from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.trial import read_trial
from cogorch_dagster.observations.inbox import drain
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, canary, decisions, flags
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.lineage import lineage
from cogorch_dagster.settings import Settings
from tests.canary.ramping import PLAN, POLICY, begin, put_in_force, router_params, running, send, statuses


def waits(settings: Settings) -> Any:
    return (running(settings).verdict or {}).get("waits_for")


def events(settings: Settings) -> list[str]:
    """What the audit log says of the new version, oldest first; the chain must be whole."""
    with transaction(settings) as connection:
        assert audit.verify(connection).ok
        return [each.event for each in audit.records(connection, subject=f"{POLICY}@1.0.1")][::-1]


def test_a_version_that_is_no_worse_ramps_until_it_is_in_force(settings: Settings) -> None:
    ramp = begin(settings)
    assert (ramp.share, statuses(settings)) == (0.1, {"1.0.0": "active", "1.0.1": "canary"})
    send(settings, ramp, 3000, seed=1)
    assert evaluate(settings, ramp).move == "advanced"
    second = running(settings)
    assert (second.share, second.step) == (0.5, 1)
    # What was seen at the share before passes nothing at this one.
    assert (evaluate(settings, second).move, waits(settings)) == ("held", "traffic")
    send(settings, second, 60, seed=2)
    assert (evaluate(settings, second).move, waits(settings)) == ("held", "samples")
    send(settings, second, 200, seed=3, after=60)
    done = evaluate(settings, second)
    assert done.move == "activated", done.verdict
    assert statuses(settings) == {"1.0.0": "archived", "1.0.1": "active"}
    kept = running(settings).verdict
    assert kept is not None and kept["verdict"] in ("equivalent", "not_enough_data") and kept["n_canary"] > 300
    log = events(settings)
    assert log[:3] == ["version.proposed", "version.approved", "canary.began"]
    assert [each for each in log if each != "canary.judged"][3:] == [
        "canary.advanced",
        "canary.advanced",
        "version.activated",
    ]
    with transaction(settings) as connection:
        assert lineage(connection, POLICY, "1.0.1").problems == ()
        record = audit.records(connection, subject=f"{POLICY}@1.0.1", event="version.activated")[0]
    assert record.payload["canary"]["n_canary"] == kept["n_canary"]
    assert evaluate_all(settings) == []


HARMS: dict[str, dict[str, tuple[float, float]]] = {
    "errors": {"errors": (0.02, 0.5)},
    "quality": {"right": (0.95, 0.4)},
    "latency": {"latency_ms": (20.0, 120.0)},
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_harm_takes_the_version_back_for_good(settings: Settings, harm: str) -> None:
    ramp = begin(settings)
    send(settings, ramp, 2500, seed=4, **HARMS[harm])  # type: ignore[arg-type]
    assert evaluate(settings, ramp).move == "rolled_back"
    ended = running(settings)
    assert (ended.outcome, statuses(settings)) == ("rolled_back", {"1.0.0": "active", "1.0.1": "rolled_back"})
    assert ended.reason is not None and "Worse" in ended.reason
    assert {"errors": "error_rate", "quality": "the reward changed by -", "latency": "latency_ms"}[harm] in ended.reason
    with transaction(settings) as connection:
        made = decisions.decisions_of(connection, POLICY, "1.0.1")
        record = audit.records(connection, subject=f"{POLICY}@1.0.1", event="canary.rolled_back")[0]
    assert [(each.action, each.actor) for each in made] == [("approve", "ada"), ("abort", canary.RULE)]
    assert record.payload["evidence"]["verdict"] == "worse" and record.payload["share"] == 0.1
    # Its approval is used up, no rollback leads to it, and proposed again it ramps again.
    for target, reason in ((f"{POLICY}@1.0.1", "already_claimed"), (str(made[0].decision_id), "already_claimed")):
        with pytest.raises(Refused) as refusal, transaction(settings) as connection:
            activate(connection, target, "ada")
        assert refusal.value.reason == reason
    with pytest.raises(Refused) as refusal, transaction(settings) as connection:
        decisions.rollback(connection, POLICY, "1.0.1", "ada", "once more")
    assert refusal.value.reason == "never_active"
    again = put_in_force(settings, POLICY, router_params(0.6))
    assert (again.version, again.share) == ("1.0.2", 0.1)


def test_the_verdict_is_the_same_from_the_lake_and_from_the_inbox(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 400, seed=5)
    drain(settings)
    send(settings, ramp, 400, seed=6, after=400)
    found = read_trial(settings, POLICY, "1.0.0", "1.0.1", ramp.started_at).rows
    drain(settings)
    stored = read_trial(settings, POLICY, "1.0.0", "1.0.1", ramp.started_at).rows
    # The last second is left out: something that began then may be on its way.
    assert 660 <= len(found) <= 700
    columns = ["began_s", "treated", "reward", "failed", "duration_ms"]
    assert found[columns].equals(stored[columns])


def test_traffic_that_does_not_belong_to_the_trial_counts_for_nothing(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 500, seed=7, tagged=False, errors=(0.0, 1.0))
    assert (evaluate(settings, ramp).move, waits(settings)) == ("held", "traffic")
    send(settings, ramp, 3000, seed=8, after=500)
    assert evaluate(settings, ramp).move == "advanced"


def test_a_router_that_does_not_keep_to_the_share_ends_the_trial(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 1500, seed=9, share=0.2)
    assert evaluate(settings, ramp).move == "rolled_back"
    assert "treatment received" in str(running(settings).reason)


def test_a_fault_after_a_long_calm_at_a_gate_is_not_thinned_by_it(settings: Settings) -> None:
    ramp = begin(settings, {**PLAN, "gates": [0.1]})
    send(settings, ramp, 8_000, seed=10)
    assert (evaluate(settings, ramp).move, waits(settings)) == ("held", "person")
    # Failures for a few hundred requests change the mean of 8,000 by less than the margin.
    send(settings, ramp, 1200, seed=11, after=8_000, errors=(0.02, 0.7))
    assert evaluate(settings, ramp).move == "rolled_back"
    assert (running(settings).verdict or {})["since"] == "the latest block of decisions"


def test_a_person_opens_a_gate_and_a_rule_does_not(settings: Settings) -> None:
    ramp = begin(settings, {**PLAN, "gates": [0.1]})
    send(settings, ramp, 3000, seed=12)
    for _ in range(3):
        assert (evaluate(settings, running(settings)).move, waits(settings)) == ("held", "person")
    assert events(settings).count("canary.judged") == 1
    with transaction(settings) as connection:
        moved = canary.advance(connection, running(settings), "ada", "looked at it", {})
    assert moved.share == 0.5


def test_the_kill_switch_holds_a_ramp_and_does_not_keep_a_bad_one(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 3000, seed=13)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="a test")
    assert (evaluate(settings, ramp).move, waits(settings)) == ("held", "learning")
    send(settings, ramp, 1500, seed=14, after=3000, errors=(0.02, 0.8))
    assert evaluate(settings, ramp).move == "rolled_back"


def test_a_unit_that_keeps_its_version_is_one_observation(settings: Settings) -> None:
    ramp = begin(settings)
    # 5,000 decisions of 60 units: as decisions they contradict a share of 0.1, as units they do not.
    send(settings, ramp, 5000, seed=15, units=60, share=0.14)
    evaluated = evaluate(settings, ramp)
    assert (evaluated.move, waits(settings)) == ("held", "samples")
    assert evaluated.verdict["at_step"]["asked"] > 4000
    assert sum(evaluated.verdict["at_step"][name] for name in ("control", "canary")) == 60


def test_the_time_of_a_stage_is_kept(settings: Settings) -> None:
    ramp = begin(settings, {**PLAN, "stageDurationMs": 3_600_000})
    send(settings, ramp, 3000, seed=16)
    assert (evaluate(settings, ramp).move, waits(settings)) == ("held", "time")
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
    assert evaluate(settings, running(settings), later).move == "advanced"


def test_a_judge_that_is_overtaken_moves_nothing(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 3000, seed=17)
    assert evaluate(settings, ramp).move == "advanced"
    assert evaluate(settings, ramp).move == "overtaken"
    assert running(settings).share == 0.5
    with transaction(settings) as connection:
        canary.abort(connection, running(settings), "ada", "enough", {})
    assert evaluate(settings, replace(ramp, step=1, share=0.5)).move == "overtaken"
    assert statuses(settings)["1.0.1"] == "rolled_back"
