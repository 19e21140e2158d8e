"""Residuals of a reward model: a change of mix is no drift, a change of what an arm earns is."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.drift.expected import expectation, residuals
from tests.evaluation.drift.mixes import DAYS, PER_BUCKET, PERIOD, TRAINING, found, stream


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("mix", "drift"), [(True, 0.0), (False, 0.2), (True, 0.2)])
def test_only_what_the_mix_does_not_explain_is_drift(seed: int, mix: bool, drift: float) -> None:
    draws, bucket = stream(seed, mix=mix, drift=drift)
    training = np.flatnonzero(bucket < TRAINING * PERIOD)
    model = expectation(draws.rows(training), ("a", "b"), ("x", "y"))
    rest = residuals(model, draws, bucket, DAYS * PERIOD)
    near, elsewhere = found(rest.values, rest.within)
    assert (near > 0) == (drift > 0) and elsewhere == 0
    plain = np.bincount(bucket, weights=draws.reward)[None] / PER_BUCKET
    if mix and not drift:
        assert found(plain, float(draws.reward.var()))[0] > 0, "the mean alone takes the mix for a drift"


def test_buckets_must_fit() -> None:
    draws, bucket = stream(1, mix=False, drift=0.0)
    model = expectation(draws.rows(np.arange(1000)), ("a", "b"), ("x", "y"))
    with pytest.raises(InvalidInput, match="give 0 to 9 for each"):
        residuals(model, draws, bucket, 10)
    few = residuals(model, draws.rows(np.arange(4)), bucket[:4], 1)
    assert np.isnan(few.values).all() and few.counts.tolist() == [[4.0]] and few.within == 0.0
