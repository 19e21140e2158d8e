"""Simpson's reversal: replicas go with latency in the rows, and yet they shorten it, by what the simulation says."""

import numpy as np
import pytest

from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.intervention import what_if
from cogorch_dagster.fleet.causes import true_effect
from cogorch_dagster.fleet.parameters import default_parameters
from tests.causal.autoscaler import graph, rows


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sign_is_right_with_its_interval(seed: int) -> None:
    data = rows(seed=seed)
    assert np.corrcoef(data.column("replicas"), data.column("latency_s"))[0, 1] > 0.15
    (answer,) = what_if(fit_model(graph(), data), shift={"replicas": 0.1}, outcomes=["latency_s"])
    assert isinstance(answer, Answer)
    assert answer.interval[1] < 0
    truth = true_effect(
        default_parameters(), "replicas", [0.4] * 3, "latency_s", against=[0.3] * 3, steps=120, fleets=48, seed=seed
    )
    assert truth.interval[1] < 0
    assert answer.interval[0] < truth.mean < answer.interval[1]
    naive = fit_model(graph().from_edges(("replicas", "latency_s"), [("replicas", "latency_s")]), data)
    (wrong,) = what_if(naive, shift={"replicas": 0.1}, outcomes=["latency_s"])
    assert isinstance(wrong, Answer)
    assert wrong.change > 0
