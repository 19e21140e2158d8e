"""An effect in slices: right in each, told to differ where it does, refused where the slice follows the treatment."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.causal.effects.slices import sliced
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput

NAMES = ("load", "tenant", "replicas", "latency", "queue")
GRAPH = Graph.from_edges(
    NAMES,
    [("load", "replicas"), ("load", "latency"), ("tenant", "latency"), ("replicas", "latency"), ("replicas", "queue")],
)
ESTIMAND = Estimand("backdoor", "replicas", "latency", adjustment=("load",))


def data(of_b: float = -6.0, rows: int = 3000) -> CausalDataset:
    """Replicas lower latency by 2 for tenant a and by `of_b` for tenant b."""
    rng = np.random.default_rng(0)
    load, tenant = rng.standard_normal(rows), rng.integers(0, 2, rows)
    replicas = load + rng.standard_normal(rows)
    latency = 5 * load + np.where(tenant == 1, of_b, -2.0) * replicas + rng.standard_normal(rows)
    values = np.column_stack([load, tenant, replicas, latency, replicas + rng.standard_normal(rows)])
    variables = [Variable(name) for name in NAMES]
    variables[1] = replace(variables[1], kind="discrete", levels=("a", "b"))
    return CausalDataset("x", tuple(variables), values, np.arange(rows), np.arange(rows))


def test_each_level_has_its_own_effect() -> None:
    found = sliced(data(), GRAPH, ESTIMAND, "tenant")
    assert found.names == ("tenant=a", "tenant=b") and found.effects.homogeneity < 1e-6
    for each, truth in zip(found.effects.slices, (-2.0, -6.0), strict=True):
        assert each.simultaneous is not None and each.simultaneous[0] < truth < each.simultaneous[1]


def test_parts_of_a_number_still_hold_it() -> None:
    found = sliced(data(of_b=-2.0), GRAPH, ESTIMAND, "load", parts=4)
    assert [name.split(" ")[1] for name in found.names] == ["up", "from", "from", "above"]
    assert found.effects.homogeneity > 0.01
    for each in found.effects.slices:
        assert each.share == pytest.approx(0.25, abs=0.01)
        # Without load among the controls it would be off by up to 5 times what is left of load in a part.
        assert each.simultaneous is not None and each.simultaneous[0] < -2.0 < each.simultaneous[1]


def test_rows_that_lack_a_value_are_left_out() -> None:
    values = data().values.copy()
    values[::7, 3], values[::11, 1] = np.nan, np.nan
    found = sliced(replace(data(), values=values), GRAPH, ESTIMAND, "tenant")
    assert sum(each.estimate.rows for each in found.effects.slices if each.estimate) == int(
        (~np.isnan(values[:, [1, 3]]).any(axis=1)).sum()
    )


def test_what_follows_the_treatment_makes_no_slices() -> None:
    for by, message in (("queue", "may change queue"), ("replicas", "may change replicas"), ("nobody", "no variable")):
        with pytest.raises(InvalidInput, match=message):
            sliced(data(), GRAPH, ESTIMAND, by)
    with pytest.raises(InvalidInput, match="by instrument"):
        sliced(data(), GRAPH, replace(ESTIMAND, kind="instrument"), "tenant")
    with pytest.raises(InvalidInput, match="1 parts"):
        sliced(data(), GRAPH, ESTIMAND, "load", parts=1)
