"""Whether there is anything to compare."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.overlap import overlap


def test_verdicts_of_a_binary_treatment() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 2))
    randomised = overlap((rng.random(1000) < 0.5).astype(float), z)
    assert randomised.verdict == "good" and randomised.outside == 0.0 and randomised.reasons == ()
    assert 450 < randomised.effective_rows < 550
    strong = overlap((rng.random(1000) < 1 / (1 + np.exp(-2.5 * z[:, 0]))).astype(float), z)
    assert strong.verdict == "poor" and strong.outside > 0.2 and strong.imbalance[0] > 1
    assert overlap((z[:, 0] > 0).astype(float), z).verdict == "none"


def test_weighting_balances() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(3000, 2))
    found = overlap((rng.random(3000) < 1 / (1 + np.exp(-z[:, 0]))).astype(float), z)
    assert found.imbalance[0] > 0.7
    assert found.imbalance[1] < 0.1


def test_a_continuous_treatment_needs_variation_beyond_its_controls() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(500, 2))
    good = overlap(z[:, 0] + rng.normal(size=500), z)
    assert good.verdict == "good" and good.variation == pytest.approx(0.5, abs=0.08) and good.propensities is None
    assert overlap(z[:, 0] + 0.05 * rng.normal(size=500), z).verdict == "poor"
    assert overlap(z[:, 0] + 1e-5 * rng.normal(size=500), z).verdict == "none"
    spike = np.zeros(500)
    spike[3] = 50.0
    lonely = overlap(z[:, 0] + spike + 0.01 * rng.normal(size=500), z)
    assert lonely.leverage > 0.9 and "rows" in lonely.reasons[-1]
