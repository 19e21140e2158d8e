"""Promises, utilities and the shared reward, by hand; and the defaults' own consistency."""

import numpy as np
import pytest
from pydantic import ValidationError

from cogorch_dagster.fleet.objectives import RewardWeights, judged
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import Measured


def _measured(**values: float) -> Measured:
    given = {
        "requests": 100.0, "useful": 0.95, "slow": 0.05, "latency_s": 2.0, "cost_usd": 0.003,
        "unfairness": 0.05, "utilisation": 0.65, **values,
    }  # fmt: skip
    arrays = {name: np.array([value]) for name, value in given.items()}
    return Measured(**arrays, good=np.ones((4, 1)))


def test_a_step_in_which_every_promise_is_kept() -> None:
    found = judged(default_parameters(), RewardWeights(), _measured(), np.array([0]))
    assert found.violations.tolist() == [0]
    utilities = {agent: float(value[0]) for agent, value in found.utilities.items()}
    assert utilities == pytest.approx(
        {
            "policy": 1,
            "consensus": 0.5 * 0.95 + 0.5 * 0.5,
            "ethical": 0.75 * 0.95 + 0.25 * 0.95,
            "resource": 0.7 * 0.75 + 0.3,
        }
    )
    weights = RewardWeights()
    expected = sum(getattr(weights, agent) * utilities[agent] for agent in utilities) + weights.global_bonus
    assert float(found.reward[0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("figure", "value"), [("useful", 0.85), ("slow", 0.2), ("cost_usd", 0.009), ("unfairness", 0.25)]
)
def test_a_broken_promise_is_one_violation_and_costs_the_bonus(figure: str, value: float) -> None:
    weights = RewardWeights()
    kept = judged(default_parameters(), weights, _measured(), np.array([0]))
    broken = judged(default_parameters(), weights, _measured(**{figure: value}), np.array([0]))
    assert broken.violations.tolist() == [0.25]
    assert broken.utilities["policy"][0] < 1 - 1 / 8
    assert broken.reward[0] < kept.reward[0] - weights.global_bonus


def test_a_worse_breach_is_worse_and_a_conflict_costs_its_penalty() -> None:
    weights = RewardWeights()
    mild, bad = (
        judged(default_parameters(), weights, _measured(useful=value), np.array([0])) for value in (0.88, 0.75)
    )
    assert bad.utilities["policy"][0] < mild.utilities["policy"][0]
    clash = judged(default_parameters(), weights, _measured(), np.array([2]))
    calm = judged(default_parameters(), weights, _measured(), np.array([0]))
    assert calm.reward[0] - clash.reward[0] == pytest.approx(2 * weights.conflict_penalty)


def test_parameters_refuse_what_cannot_be_and_have_one_digest() -> None:
    defaults = default_parameters()
    again = FleetParameters.model_validate_json(defaults.model_dump_json())
    assert again == defaults
    assert again.digest == defaults.digest
    assert defaults.model_copy(update={"slo_ms": 7000.0}).digest != defaults.digest
    tenant = defaults.tenants[0].model_dump()
    with pytest.raises(ValidationError, match="hourly_shape of tenant chat has mean 2"):
        type(defaults.tenants[0]).model_validate({**tenant, "hourly_shape": (2.0,) * 24})
    with pytest.raises(ValidationError, match="models"):
        FleetParameters(models=defaults.models[:2], tenants=defaults.tenants)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="speed"):
        RewardWeights.model_validate({"speed": 1})
