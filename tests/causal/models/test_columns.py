"""Variables with levels as columns, and values in the words of the data set."""

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import Variable
from cogorch_dagster.causal.models.columns import Columns
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import dataset

VARIABLES = (
    Variable("load", "ratio"),
    Variable("night", kind="discrete", levels=("no", "yes")),
    Variable("region", kind="discrete", levels=("eu", "us", "asia")),
)


def test_levels_become_indicators() -> None:
    columns = Columns.of(VARIABLES)
    assert columns.names == ("load", "night", "region=us", "region=asia")
    assert columns.owner == (0, 1, 2, 2)
    values = np.array([[1.5, 0, 2], [np.nan, 1, np.nan], [2.0, 1, 1]])
    wanted = np.array([[1.5, 0, 0, 1], [np.nan, 1, np.nan, np.nan], [2.0, 1, 1, 0]])
    assert np.array_equal(columns.embedded(dataset(values, VARIABLES)), wanted, equal_nan=True)
    edges = np.zeros((3, 3), dtype=bool)
    edges[2, 0] = True
    assert columns.expanded(edges)[:, 0].tolist() == [False, False, True, True]
    assert [columns.unit(k) for k in range(4)] == ["ratio", "", "share", "share"]


def test_values_are_set_by_number_code_or_level() -> None:
    columns = Columns.of(VARIABLES)
    assert columns.assigned("load", 2) == {0: 2.0}
    assert columns.assigned("night", "yes") == {1: 1.0}
    assert columns.assigned("night", 0.5) == {1: 0.5}
    assert columns.assigned("region", "asia") == {2: 0.0, 3: 1.0}
    assert columns.assigned("region", 0) == {2: 0.0, 3: 0.0}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("speed", 1.0, "no variable 'speed'; variables: load, night, region"),
        ("load", "high", "'load' cannot be 'high'; give a finite number"),
        ("load", float("inf"), "give a finite number"),
        ("region", 3, "'region' cannot be 3; give one of eu, us, asia"),
        ("region", 0.5, "set 'region' to one of eu, us, asia"),
        ("region=us", 1.0, "set 'region' to one of"),
    ],
)
def test_other_values_are_refused(name: str, value: float | str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Columns.of(VARIABLES).assigned(name, value)
