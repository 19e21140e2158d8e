"""Weights for single tenants: given where both halves say so, kept, and hardly ever given by chance."""

from collections.abc import Mapping

import numpy as np
import pytest

from cogorch_dagster.evaluation.importance import importance
from cogorch_dagster.evaluation.improvement import improvement
from cogorch_dagster.evaluation.patterns import Patterns
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, decisions
from cogorch_dagster.proposals import slices
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.router import Proposal, Refusal, propose
from cogorch_dagster.settings import Settings
from tests.evaluation.simulation import Fleet, simulate
from tests.evaluation.traffic import ARMS, POLICY, WEIGHTS, Arm, generate, install

ACTIVE = np.array([0.4, 0.3, 0.2, 0.1])
NAMES = ("a", "b")


def tried(
    fleet: Fleet, n: int, rng: np.random.Generator, limits: Limits
) -> tuple[tuple[slices.TenantChoice, ...], Patterns]:
    """What the two halves of a log say of tenants' weights, when nothing else is proposed; and the second half."""
    log = simulate(fleet, ACTIVE, n, rng)
    half = rng.random(n) < 0.5
    search, independent = log.part(half).patterns(), log.part(~half).patterns()
    now = dict.fromkeys(NAMES, ACTIVE)
    found = slices.candidates(search, now, now, limits, seed=0)
    return slices.confirmed(independent, found, now, limits), independent


def test_tenants_with_opposite_tastes_get_opposite_weights() -> None:
    apart = Fleet(failure=np.full((2, 4), 0.05), pay=np.array([[0.2, 0.5, 0.5, 0.8], [0.8, 0.5, 0.5, 0.2]]), down=0.0)
    choices, independent = tried(apart, 3000, np.random.default_rng(1), Limits())
    assert [(each.tenant, each.used) for each in choices] == [("a", True), ("b", True)]
    first, second = (each.weights for each in choices)
    assert first[3] > 0.4 and first[0] < 0.1
    assert second[0] > 0.7 and second[3] < 0.1
    for each in choices:
        assert each.interval[0] > Limits().minimum_gain and each.effective_sample_size >= 50 and each.p < 0.025
    table = np.array([first, second])
    both = improvement(independent, table, ACTIVE, "dr")
    share = [sum(each.decisions for each in choices if each.tenant == name) / independent.decisions for name in NAMES]
    assert both.value == pytest.approx(sum(s * each.gain for s, each in zip(share, choices, strict=True)), abs=0.01)
    assert importance(independent, table[None]).ratio.shape[0] == 1


def test_without_a_true_gain_hardly_any_tenant_is_given_weights() -> None:
    """Equal arms, 150 logs: a table by chance in at most 2.5 %, and fewer still since the gain must clear .01."""
    same = Fleet(failure=np.full((2, 4), 0.1), pay=np.full((2, 4), 0.6))
    rng, given = np.random.default_rng(2), 0
    for _ in range(150):
        choices, _ = tried(same, 800, rng, Limits(minimum_gain=0.0))
        given += any(each.used for each in choices)
    assert given <= 9


def test_limits_keep_small_tenants_and_long_tables_out() -> None:
    apart = Fleet(failure=np.full((2, 4), 0.05), pay=np.array([[0.2, 0.5, 0.5, 0.8], [0.8, 0.5, 0.5, 0.2]]), down=0.0)
    choices, _ = tried(apart, 3000, np.random.default_rng(1), Limits(most_slices=1))
    assert len(choices) == 1
    assert tried(apart, 3000, np.random.default_rng(1), Limits(most_slices=0))[0] == ()
    assert tried(apart, 3000, np.random.default_rng(1), Limits(minimum_slice_ess=1500))[0] == ()


def opposite() -> Mapping[str, Mapping[str, Arm]]:
    """The small arm answers tenant-b right and tenant-a wrong; the medium arm the other way round."""
    wrong, right = 0.1, 0.97
    return {
        "tenant-a": {**ARMS, "small": Arm(8.0, 0.0001, 0.01, wrong), "medium": Arm(25.0, 0.0004, 0.02, right)},
        "tenant-b": {**ARMS, "small": Arm(8.0, 0.0001, 0.01, right), "medium": Arm(25.0, 0.0004, 0.02, wrong)},
    }


def test_a_proposal_gives_a_tenant_its_own_weights_and_the_next_keeps_them(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 2400, seed=31, arms_of=opposite(), spacing_s=0.2).store(settings)
    found = propose(settings, POLICY)
    assert isinstance(found, Proposal), found
    params, proof = found.version.params, found.evidence
    own = params["tenantWeights"]["tenant-b"]
    assert own["small"] > 0.5 > params["modelWeights"]["small"]
    assert own["medium"] < 0.1 < params["modelWeights"]["medium"]
    said = {each["tenant"]: each for each in proof["tenants"]}["tenant-b"]
    assert said["used"] and said["interval"][0] > 0.01 and said["effective_sample_size"] >= 50
    assert set(proof["estimators"]) == {"ips", "snips", "dm", "dr", "switch", "dros"}
    assert {each["label"] for each in proof["slices"]} == {"tenant-a", "tenant-b"}
    assert proof["candidate"]["value"] == pytest.approx(proof["estimators"]["dr"]["value"])
    with transaction(settings) as connection:
        decisions.approve(connection, POLICY, found.version.version, "test", "for the test")
        activation.activate(connection, found.version.ref, "test")
    again = propose(settings, POLICY, limits=Limits(minimum_active_share=0.0))
    if isinstance(again, Refusal):
        assert again.reason == "bound_below_minimum_gain"
        assert again.evidence["baseline"]["version"] == found.version.version
    else:
        assert "tenant-b" in again.version.params["tenantWeights"]
