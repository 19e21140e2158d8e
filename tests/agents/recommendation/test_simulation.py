"""Documents in the simulated fleet: they do what they say, on seeds that both sides meet."""

import numpy as np
import pytest

from cogorch_dagster.agents.recommendation.places import Places
from cogorch_dagster.agents.recommendation.replica_law import ReplicaLaw
from cogorch_dagster.agents.recommendation.simulation import Documents, documents_compared
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.parameters import default_parameters
from tests.agents.recommendation.sources import AUTOSCALER, QUICK, SETTABLE

FLEET = default_parameters()
PACE = {"scaleUpStep": 2, "scaleDownStep": 1, "scaleUpCooldownMs": 0.0, "scaleDownCooldownMs": 120_000.0}


def router(**weights: float) -> Documents:
    params = {**SETTABLE, "modelWeights": weights}
    return Documents((params, Places.of(FLEET, weights)), {})


def orders(load: list[float], start: float, **params: float) -> list[float]:
    """Replicas after each step of a model that has what it ordered at once."""
    law = ReplicaLaw({**AUTOSCALER, **PACE, **params}, 10, 60.0, 1)
    had, found = np.array([start]), []
    for each in load:
        had = law.desired(had, np.zeros(1), np.array([each]))
        found.append(float(had[0]))
    return found


def test_replicas_follow_the_law_at_the_documents_pace() -> None:
    # 4 at 100 % against 80 % wants 5, then 7 and 8; two at once, six at most.
    assert orders([1.0, 1.0, 1.0], 4) == [5, 6, 6]
    # Down by one, then not before the cooldown of two steps has passed.
    assert orders([0.1] * 6, 6) == [5, 5, 4, 4, 3, 3]
    assert orders([0.8, 0.84], 4) == [4, 4]
    assert orders([0.8], 9) == [6]
    assert orders([0.0] * 3, 2) == [2, 2, 2]
    assert orders([1.0] * 3, 2, scaleUpStep=1, scaleUpCooldownMs=120_000.0) == [3, 3, 4]


def test_what_is_starting_is_not_ordered_again() -> None:
    law = ReplicaLaw({**AUTOSCALER, **PACE}, 10, 60.0, 1)
    assert law.desired(np.array([3.0]), np.array([1.0]), np.array([1.0])) == 4


def test_the_same_documents_do_not_differ_and_a_better_router_does() -> None:
    seeds = range(8)
    same = documents_compared(
        FLEET, router(small=0.5, large=0.5), router(small=0.5, large=0.5), seeds=seeds, limits=QUICK
    )
    assert all(each.difference.low == each.difference.high == 0 for each in same.values())
    slow, mixed = router(small=0.05, medium=0.05, large=0.9), router(small=0.4, medium=0.3, large=0.3)
    found = documents_compared(FLEET, slow, mixed, seeds=seeds, limits=QUICK)
    back = documents_compared(FLEET, mixed, slow, seeds=seeds, limits=QUICK)
    assert found["reward"].difference.low > 0.05
    for name, each in found.items():
        assert back[name].difference.value == pytest.approx(-each.difference.value), name


def test_common_random_numbers_narrow_the_interval() -> None:
    """The difference is known better than either side by itself."""
    near = documents_compared(
        FLEET, router(small=0.4, medium=0.3, large=0.3), router(small=0.45, medium=0.3, large=0.25), seeds=range(8),
        limits=QUICK,
    )["reward"]  # fmt: skip
    alone = near.baseline.high - near.baseline.low
    assert near.difference.high - near.difference.low < alone / 3


def test_an_autoscaler_with_more_room_serves_a_fleet_under_load_better() -> None:
    tight = {**AUTOSCALER, **PACE, "minReplicas": 1, "maxReplicas": 1}
    wide = {**AUTOSCALER, **PACE, "maxReplicas": 10}
    found = documents_compared(
        FLEET, Documents(None, {1: tight}), Documents(None, {1: wide}), seeds=range(8), limits=QUICK
    )
    assert found["good"].difference.low > 0.01
    assert found["latency"].difference.high < 0


def test_fleets_without_traffic_compare_nothing() -> None:
    silent = FLEET.model_copy(
        update={"tenants": tuple(each.model_copy(update={"requests_per_second": 0.0}) for each in FLEET.tenants)}
    )
    with pytest.raises(Refused) as refusal:
        documents_compared(silent, router(small=1.0), router(large=1.0), seeds=range(8), limits=QUICK)
    assert refusal.value.reason == "no_simulated_traffic"
