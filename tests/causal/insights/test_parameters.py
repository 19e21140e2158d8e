"""The graph's word on changed parameters: right in size, silent where it must be, and held against the log."""

from functools import cache

import pytest
import sqlalchemy as sa

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.insights.parameters import causal_evidence, document_of, parameter_effects, variable_of
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.causal.samples import LARGE_ON_REWARD, autoscaled, routed

BEFORE = {"modelWeights": {"small": 0.5, "medium": 0.3, "large": 0.2}, "latencyTargetMs": 100}
AFTER = {"modelWeights": {"small": 0.4, "medium": 0.3, "large": 0.3}, "latencyTargetMs": 120}
QUICK = DiscoverySettings(resamples=20)


@cache
def router() -> CausalVersion:
    return building.build(routed(), settings=QUICK)


def test_each_changed_parameter_has_its_effect_or_says_why_not() -> None:
    found = {each.parameter: each for each in parameter_effects(router(), BEFORE, AFTER)}
    assert set(found) == {"modelWeights.large", "modelWeights.small", "latencyTargetMs"}
    large = found["modelWeights.large"]
    assert large.variable == "share:large" and large.change is not None and large.interval is not None
    assert large.interval[0] < 0.1 * LARGE_ON_REWARD < large.interval[1]
    for silent in ("modelWeights.small", "latencyTargetMs"):
        assert found[silent].change is None and "no variable of the graph stands for it" in found[silent].said


def test_an_arm_that_was_not_named_had_no_weight() -> None:
    before = {"modelWeights": {"small": 0.8, "medium": 0.2}}
    (large, *_) = parameter_effects(router(), before, {"modelWeights": {"small": 0.6, "medium": 0.2, "large": 0.2}})
    assert (large.before, large.after) == (0.0, 0.2) and large.change == pytest.approx(0.2 * LARGE_ON_REWARD, abs=0.02)


def test_graph_and_log_are_held_against_each_other() -> None:
    truth = 0.1 * LARGE_ON_REWARD
    agreeing = document_of(router(), BEFORE, AFTER, {"estimate": truth, "ci95": [truth - 0.01, truth + 0.01]})
    assert agreeing["agreement"]["agrees"] is True
    assert agreeing["total"]["estimate"] == pytest.approx(truth, abs=0.01)
    against = document_of(router(), BEFORE, AFTER, {"estimate": -0.1, "ci95": [-0.11, -0.09]})
    assert against["agreement"]["agrees"] is False and "THEY DISAGREE" in against["agreement"]["said"]
    silent = document_of(router(), BEFORE, AFTER, {})
    assert silent["agreement"]["agrees"] is None and "the log does not say" in silent["agreement"]["said"]


def test_a_variable_is_its_own_parameter_a_share_or_a_key() -> None:
    autoscaler = building.build(autoscaled(), settings=QUICK)
    assert variable_of(autoscaler, "limits.replicas") == "context:replicas"
    assert variable_of(autoscaler, "minReplicas") is None
    assert variable_of(router(), "modelWeights.medium") == "share:medium"
    assert variable_of(router(), "tenantWeights.acme.medium") is None


def test_without_a_graph_there_is_no_word(settings: Settings) -> None:
    assert causal_evidence(settings, None, BEFORE, AFTER, {}) is None
    assert causal_evidence(settings, "router:core", BEFORE, AFTER, {}) is None
    version = building.build_and_keep(settings, routed(), discovery=QUICK).version
    found = causal_evidence(settings, "router:core", BEFORE, AFTER, {})
    assert found is not None and found["version"] == version.digest


def test_a_graph_that_cannot_be_asked_holds_nothing_up(settings: Settings) -> None:
    building.build_and_keep(settings, routed(), discovery=QUICK)
    with transaction(settings) as connection:
        connection.execute(sa.text("ALTER TABLE causal_versions DISABLE TRIGGER USER"))
        connection.execute(sa.text("UPDATE causal_versions SET document = jsonb_set(document, '{rows}', '7')"))
    found = causal_evidence(settings, "router:core", BEFORE, AFTER, {"estimate": 0.1, "ci95": [0.0, 0.2]})
    assert found is not None and found["version"] is None and found["agreement"]["agrees"] is None
    assert "could not be asked" in found["agreement"]["said"]
