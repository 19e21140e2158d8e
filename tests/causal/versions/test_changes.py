"""What changed is put down to the mechanism that changed, also to a parameter that never moved within a period."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.attribution import Attribution
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions.changes import why_between
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput
from tests.causal.samples import QUEUE_ON_LATENCY, REPLICAS_ON_QUEUE, autoscaled


@cache
def version() -> CausalVersion:
    return building.build(autoscaled(800), settings=DiscoverySettings(resamples=20))


def fixed(replicas: float, seed: int, latency_shift: float = 0.0) -> CausalDataset:
    """A period in which somebody held the replicas."""
    rng = np.random.default_rng(seed)
    load = 100 + 20 * rng.standard_normal(400)
    queue = 20 + 1.2 * load + REPLICAS_ON_QUEUE * replicas + 4 * rng.standard_normal(400)
    latency = 200 + latency_shift + QUEUE_ON_LATENCY * queue + 10 * rng.standard_normal(400)
    reward = 1.2 - 0.001 * latency + 0.02 * rng.standard_normal(400)
    values = np.column_stack([load, np.full(400, replicas), queue, latency, reward])
    return replace(autoscaled(400), values=values)


def parts(found: Attribution | NotIdentified) -> dict[str, float]:
    assert isinstance(found, Attribution)
    assert sum(part.share.value for part in found.parts) == pytest.approx(found.shift.value)
    return {part.variable: part.share.value for part in found.parts}


def test_each_mechanism_gets_what_it_changed() -> None:
    found = parts(why_between(version(), autoscaled(800), fixed(7.0, 1), fixed(8.5, 2, 25.0), "latency_ms"))
    assert found["context:replicas"] == pytest.approx(1.5 * REPLICAS_ON_QUEUE * QUEUE_ON_LATENCY, abs=3)
    assert found["latency_ms"] == pytest.approx(25.0, abs=3)
    assert abs(found["queue_ms"]) < 3


def test_without_a_change_nothing_is_put_down_to_anything() -> None:
    found = why_between(version(), autoscaled(800), autoscaled(400, 11), autoscaled(400, 12), "reward")
    assert isinstance(found, Attribution)
    assert found.shift.interval[0] < 0 < found.shift.interval[1]
    surely = [part.variable for part in found.parts if part.share.interval[0] > 0 or part.share.interval[1] < 0]
    assert len(surely) <= 1


def test_a_period_may_lack_a_variable_but_not_the_outcome() -> None:
    names = ("load", "queue_ms", "latency_ms", "reward")
    before, after = (autoscaled(400, seed, shift=20.0 * seed).only(names) for seed in (0, 1))
    found = parts(why_between(version(), autoscaled(800), before, after, "latency_ms"))
    assert found["latency_ms"] == pytest.approx(20.0, abs=4) and "context:replicas" not in found
    with pytest.raises(InvalidInput, match="latency_ms"):
        short = autoscaled(400).only(("load", "queue_ms"))
        why_between(version(), autoscaled(800), short, short, "latency_ms")
