"""Places of Optuna's parameters: there and back, the same as our own dimensions have, and even on each scale."""

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.cube import cube_of
from tests.tuning.tiny import PPO, space

SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-1, 3),
    "rate": FloatDistribution(1e-4, 1, log=True),
    "layers": IntDistribution(1, 3),
    "width": IntDistribution(8, 128, log=True),
    "even": IntDistribution(2, 10, step=2),
    "tenth": FloatDistribution(0, 1, step=0.25),
    "kind": CategoricalDistribution(["a", None, 3]),
}


def test_there_and_back() -> None:
    cube, rng = cube_of(SPACE), np.random.default_rng(0)
    assert cube.choices == (0, 0, 0, 0, 0, 0, 3)
    drawn = [cube.params(place) for place in rng.random((300, len(SPACE)))]
    again = [cube.params(place) for place in cube.places(drawn)]
    for one, two in zip(drawn, again, strict=True):
        assert one.pop("kind") == two.pop("kind")
        assert two == pytest.approx(one, rel=1e-12)
    for each in [cube.params(place) for place in rng.random((50, len(SPACE)))]:
        assert all(isinstance(each[name], int) for name in ("layers", "width", "even"))
        assert all(SPACE[name]._contains(SPACE[name].to_internal_repr(value)) for name, value in each.items())


def test_whole_numbers_and_choices_have_even_room_and_the_ends_are_reached() -> None:
    cube = cube_of(SPACE)
    low, high = cube.params(np.zeros(len(SPACE))), cube.params(np.ones(len(SPACE)))
    assert low == {"x": -1, "rate": pytest.approx(1e-4), "layers": 1, "width": 8, "even": 2, "tenth": 0, "kind": "a"}
    assert high == {"x": 3, "rate": pytest.approx(1), "layers": 3, "width": 128, "even": 10, "tenth": 1, "kind": 3}
    drawn = [cube.params(place) for place in np.random.default_rng(1).random((3000, len(SPACE)))]
    for name in ("layers", "even", "tenth", "kind"):
        _, counts = np.unique([str(each[name]) for each in drawn], return_counts=True)
        assert counts.max() / counts.min() < 1.3


def test_the_same_places_as_our_own_dimensions() -> None:
    own = space()
    cube = cube_of(own.distributions())
    tried = [PPO, *(own.drawn(seed) for seed in range(20))]
    expected = [own.unit(params) for params in tried]
    assert cube.places([own.internal(params) for params in tried]) == pytest.approx(np.array(expected), abs=1e-9)


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no parameter"):
        cube_of({})
    with pytest.raises(InvalidInput, match="x has a single value"):
        cube_of({"x": FloatDistribution(1, 1)})
    cube = cube_of({"kind": CategoricalDistribution(["a", "b"])})
    with pytest.raises(InvalidInput, match="kind has a value that is none of its choices"):
        cube.places([{"kind": "c"}])
    assert cube.places([]).shape == (0, 1)
