"""The confirmed winner as a proposal: only what is better, with its evidence, decided by the policy's mode."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, decisions, store
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.store import Mode
from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import prepare_databases
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.confirmation import Confirmation
from cogorch_dagster.tuning.difference import difference
from cogorch_dagster.tuning.planning import plan_for, todays
from cogorch_dagster.tuning.proposing import evidence, propose
from cogorch_dagster.tuning.study import Study
from tests.tuning.tiny import BUDGET, fleet, plan

POLICY = "agent-ethical"


@pytest.fixture
def study(settings: Settings) -> Study:
    """Of an installation with its seed policies."""
    prepare_databases(settings)
    with transaction(settings) as connection:
        return studies.begin(connection, "tiny", plan_for(connection, "ethical", fleet(), budget=BUDGET))


def confirmed(study: Study, gain: float = 0.06, **changes: Any) -> Confirmation:
    gains = [gain - 0.01, gain, gain + 0.01]
    params = {**study.plan.current, "entropyWeight": 0.02, **changes}
    return Confirmation("tiny", 5, params, study.plan.version, (7, 8, 9), difference(gains, [0.0] * 3))


def test_a_plan_starts_from_what_is_in_force(study: Study, settings: Settings) -> None:
    assert (study.plan.version, study.plan.kind, study.plan.current) == ("1.0.0", "ppo", todays("ppo"))
    with transaction(settings) as connection:
        administration.set_strictness(connection, POLICY, "strict", actor="ann", reason="carefully")
        narrow = plan_for(connection, "ethical", fleet(), budget=BUDGET)
    rates = {each.plan.space.dimensions[0] for each in (study,)} | {narrow.space.dimensions[0]}
    widths = sorted(each.high / each.low for each in rates)  # type: ignore[union-attr]
    assert widths == pytest.approx([1.5**2, 3.0**2])


def test_without_a_version_in_force_the_defaults_of_training_are(settings: Settings) -> None:
    with transaction(settings) as connection:
        found = plan_for(connection, "policy", fleet())
        assert (found.version, found.current) == (None, todays("dqn"))
        with pytest.raises(InvalidInput, match="agent 'cook' is unknown"):
            plan_for(connection, "cook", fleet())


MODES: list[tuple[Mode, float, str]] = [
    ("manual", 0.5, "draft"),
    ("autonomous_threshold", 0.06, "approved"),
    ("autonomous_threshold", 0.03, "draft"),
    ("autonomous_all", 0.03, "approved"),
]


def test_the_mode_of_the_policy_decides(study: Study, settings: Settings) -> None:
    for mode, gain, status in MODES:
        with transaction(settings) as connection:
            administration.set_mode(connection, POLICY, mode, actor="ann", reason="a test")
            draft, decision = propose(connection, study, confirmed(study, gain), actor="tuner")
            assert (mode, draft.status) == (mode, status)
            assert draft.parent == "1.0.0" and draft.created_by == "tuner" and draft.params["entropyWeight"] == 0.02
            assert (decision is None) == (status == "draft")
            assert draft.evidence == as_document(evidence(study, confirmed(study, gain)))
            if decision is not None:
                assert decision.actor == f"rule:{mode}" and decision.digest == draft.digest
                assert decisions.waiting(connection, POLICY) == [decision]
            decisions.reject(connection, POLICY, draft.version, "ann", "the next one")


def test_the_evidence_names_where_it_comes_from() -> None:
    study = Study("tiny", plan(version="1.0.0"), datetime.now(UTC))
    found = evidence(study, confirmed(study))
    assert (found["method"], found["study"], found["trial"], found["seeds"]) == ("trained", "tiny", 5, [7, 8, 9])
    assert found["baseline"] == "agent-ethical@1.0.0" and found["calibration"] == fleet().digest
    assert found["estimate"] == pytest.approx(0.06) and found["differences"] == pytest.approx([0.05, 0.06, 0.07])
    assert 0.03 < found["ci95"][0] < 0.06


def refused(settings: Settings, study: Study, confirmation: Confirmation) -> Refused:
    with pytest.raises(Refused) as error, transaction(settings) as connection:
        propose(connection, study, confirmation, actor="tuner")
    with transaction(settings) as connection:
        assert store.versions(connection, POLICY, "draft") == []
    return error.value


def test_what_must_not_be_proposed_is_not(study: Study, settings: Settings) -> None:
    error = refused(settings, study, confirmed(study, 0.002))
    assert error.reason == "not_better" and "trial 5 of study tiny is not proposed: on 3 fresh seeds" in str(error)
    other = Confirmation("tiny", 5, confirmed(study).params, None, (1, 2, 3), confirmed(study).found)
    assert refused(settings, study, other).reason == "stale_parent"
    # Bounds and steps hold for winners too.
    for name, value in (("learningRate", 9e-3), ("clip", 0.9)):
        with pytest.raises((InvalidInput, Refused), match=name), transaction(settings) as connection:
            propose(connection, study, confirmed(study, **{name: value}), actor="tuner")
