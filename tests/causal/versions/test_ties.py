"""What is set together is tied; what merely may not cause one another is not."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.effects.answer import Effect
from cogorch_dagster.causal.effects.effect import effect
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions.ties import ties
from cogorch_dagster.causal.versions.version import CausalVersion
from tests.causal.samples import routed

NAMES = ("load", "a", "b", "y")
GRAPH = Graph.from_edges(NAMES, [("load", "a"), ("load", "b"), ("a", "y"), ("b", "y")])
APART = Knowledge(forbidden=frozenset({("a", "b"), ("b", "a")}))


def covariance(between: float) -> np.ndarray:
    """Of a and b = load + error, whose errors correlate, and y of both."""
    rng = np.random.default_rng(0)
    errors = rng.multivariate_normal([0, 0], [[1, between], [between, 1]], 4000)
    load = rng.standard_normal(4000)
    a, b = load + errors[:, 0], load + errors[:, 1]
    return np.cov(np.column_stack([load, a, b, a + b + rng.standard_normal(4000)]), rowvar=False)


def test_only_dependence_beyond_the_parents_ties() -> None:
    columns = [[0], [1], [2], [3]]
    assert ties(GRAPH, APART, columns, covariance(-0.5), 4000) == (("a", "b"),)
    # Both follow load; that is in the graph.
    assert ties(GRAPH, APART, columns, covariance(0.0), 4000) == ()
    # An edge may be between them, and none was found.
    assert ties(GRAPH, Knowledge(), columns, covariance(-0.5), 4000) == ()
    # Few independent rows show nothing.
    assert ties(GRAPH, APART, columns, covariance(-0.5), 8) == ()


def shares(rows: int = 800) -> CausalDataset:
    """As `routed`, with shares that take from each other."""
    rng = np.random.default_rng(3)
    values = routed(rows).values.copy()
    drawn = rng.multinomial(40, [0.5, 0.3, 0.2], rows) / 40
    values[:, 1], values[:, 2] = drawn[:, 2], drawn[:, 1]
    values[:, 3] = 80 + 400 * drawn[:, 2] + 100 * drawn[:, 1] + 8 * rng.standard_normal(rows)
    values[:, 4] = 0.6 + 0.3 * drawn[:, 2] + 0.02 * rng.standard_normal(rows)
    values[:, 5] = 0.1 + values[:, 4] - 0.25 * values[:, 3] / 1000 + 0.005 * rng.standard_normal(rows)
    return replace(routed(rows), values=values)


def test_an_effect_of_a_share_holds_the_other_shares() -> None:
    data = shares()
    version = building.build(data, settings=DiscoverySettings(resamples=20))
    assert version.tied == (("share:large", "share:medium"),)
    assert CausalVersion.of(version.document(), version.model).tied == version.tied
    found = effect(data, version.graph, "share:medium", "latency_ms", latents=version.latents)
    assert isinstance(found, Effect)
    assert found.claim == "causal" and "share:large" in found.estimand.adjustment
    assert found.estimate.interval[0] < 100 < found.estimate.interval[1]
    # Without the tie the graph would allow the comparison that is confounded by what the large arm loses.
    alone = float(np.polyfit(data.column("share:medium"), data.column("latency_ms"), 1)[0])
    assert alone == pytest.approx(100 - 400 * 0.2 / 0.7, abs=30)
