"""One dimension of a search: its place in the unit interval, its grid, and what Optuna holds of it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.dimension import Choice, Dimension

RATE = Dimension("learningRate", 1e-4, 1e-2, "log")
DISCOUNT = Dimension("discount", 0.8, 0.99, "horizon")
EPOCHS = Dimension("epochs", 2, 6, whole=True)
BATCH = Dimension("batchSize", 32, 2048, "log", whole=True)
CLIP = Dimension("clip", 0.1, 0.3)
EVERY = [RATE, DISCOUNT, EPOCHS, BATCH, CLIP]
HIDDEN = Choice("hidden", ([16], [32, 32], [64]))


def test_the_middle_is_the_middle_of_the_scale() -> None:
    assert RATE.value(0.5) == pytest.approx(1e-3)
    # 5 and 100 steps ahead; their geometric mean is sqrt(500).
    assert 1 / (1 - DISCOUNT.value(0.5)) == pytest.approx(math.sqrt(500), rel=2e-3)
    assert CLIP.value(0.5) == pytest.approx(0.2)
    assert EPOCHS.value(0.5) == 4 and isinstance(EPOCHS.value(0.5), int)


@pytest.mark.parametrize("dimension", EVERY, ids=lambda each: each.name)
@given(unit=st.floats(0, 1))
def test_values_are_within_the_ends_and_come_back(dimension: Dimension, unit: float) -> None:
    value = dimension.value(unit)
    assert dimension.low <= value <= dimension.high
    assert dimension.value(dimension.unit(value)) == value
    distribution: Any = dimension.distribution()
    internal = dimension.internal(value)
    assert distribution.low <= internal <= distribution.high
    assert dimension.external(internal) == value


@pytest.mark.parametrize("dimension", EVERY, ids=lambda each: each.name)
def test_every_number_of_optunas_is_a_value_within_the_ends(dimension: Dimension) -> None:
    distribution: Any = dimension.distribution()
    for internal in np.linspace(distribution.low, distribution.high, 201):
        assert dimension.low <= dimension.external(float(internal)) <= dimension.high


def test_whole_numbers_are_equally_likely() -> None:
    drawn = [EPOCHS.value(unit) for unit in (np.arange(1000) + 0.5) / 1000]
    assert np.bincount(drawn, minlength=7).tolist() == [0, 0, 200, 200, 200, 200, 200]


def test_grids() -> None:
    assert RATE.grid(3) == [1e-4, 1e-3, 1e-2]
    assert EPOCHS.grid(3) == [2, 4, 6]
    assert EPOCHS.grid(50) == [2, 3, 4, 5, 6]
    assert HIDDEN.grid(1) == [[16], [32, 32], [64]]


def test_choices() -> None:
    assert [HIDDEN.value(unit) for unit in (0, 0.34, 0.5, 0.99, 1, -1)] == [[16], [32, 32], [32, 32], [64], [64], [16]]
    assert HIDDEN.value(HIDDEN.unit([32, 32])) == [32, 32]
    assert HIDDEN.external(HIDDEN.internal([64])) == [64]
    with pytest.raises(InvalidInput, match="hidden \\[8\\] is none of"):
        HIDDEN.internal([8])
    with pytest.raises(InvalidInput, match="two or more"):
        Choice("activation", ("relu",))


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [(1, 1, "linear"), (2, 1, "linear"), (0, 1, "log"), (0.5, 1, "horizon"), (0, math.inf, "linear")],
)
def test_ends_that_cannot_be(low: float, high: float, scale: Any) -> None:
    with pytest.raises(InvalidInput, match="x cannot be searched from"):
        Dimension("x", low, high, scale)
