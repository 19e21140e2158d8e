"""A data set holds what fits together and nothing else, and its digest is of its content."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset, SetAside, Variable
from cogorch_dagster.causal.data.description import describe
from cogorch_dagster.causal.data.lags import with_lags
from cogorch_dagster.errors import InvalidInput

COLOUR = Variable("colour", kind="discrete", levels=("blue", "red"))


def dataset(**changes: Any) -> CausalDataset:
    given = {
        "scope": "test",
        "variables": (Variable("load", "requests/min"), COLOUR, Variable("latency", "ms", "outcome", 4)),
        "values": [[1.0, 0, 5.0], [2.0, 1, np.nan], [4.0, 1, 7.0], [8.0, np.nan, 8.0], [9.0, 1, 9.0]],
        "groups": [0, 0, 0, 1, 1],
        "times": [0, 60, 120, 600, 660],
        "set_aside": (SetAside("replicas", "is constant at 3"),),
    }
    return CausalDataset(**{**given, **changes})


def test_the_digest_is_that_of_the_content() -> None:
    data = dataset()
    assert data.digest == dataset().digest == replace(data, inputs="other", set_aside=()).digest
    changed = [
        replace(data, scope="other"),
        replace(data, values=np.nan_to_num(data.values)),
        replace(data, times=data.times + 1),
        replace(data, groups=data.groups + 1),
        replace(data, variables=(*data.variables[:2], replace(data.variables[2], unit="s"))),
    ]
    assert len({data.digest, *(each.digest for each in changed)}) == 6
    negative_zero = np.where(data.values == 0, -0.0, data.values)
    assert replace(data, values=negative_zero).digest == data.digest


def test_rows_and_columns_are_taken_and_never_written() -> None:
    data = dataset()
    taken = data.where(data.column("load") > 1.5)
    assert taken.rows == 4 and taken.column("load").tolist() == [2, 4, 8, 9] and taken.groups.tolist() == [0, 0, 1, 1]
    only = data.only(("latency",), (SetAside("load", "for the test"),))
    assert only.names == ("latency",) and [each.name for each in only.set_aside] == ["replicas", "load"]
    with pytest.raises(ValueError, match="read-only"):
        data.values[0, 0] = 0
    with pytest.raises(InvalidInput, match=r"no variable 'x'; it has load, colour, latency"):
        data.column("x")
    with pytest.raises(InvalidInput, match="set aside: is constant at 3"):
        data.column("replicas")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variables": ()}, "has no variables"),
        ({"variables": (COLOUR, Variable("a"), Variable("a"))}, "same name: a"),
        ({"variables": (Variable("a"),)}, r"must be \(rows, 1\)"),
        ({"groups": [0, 0]}, "groups are"),
        ({"groups": [0, 1, 0, 1, 1]}, "several pieces"),
        ({"values": np.full((5, 3), np.inf)}, "row 0 of 'load' is infinite"),
        ({"values": np.full((5, 3), -1e120)}, "row 0 of 'load' is -1e[+]120, beyond 1e[+]100"),
        ({"values": np.full((5, 3), 2.0)}, "has the code 2; its codes are 0 .. 1"),
        ({"values": np.full((5, 3), 0.5)}, "has the code 0.5"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        dataset(**changes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"role": "cause"}, "role 'cause' of 'x' must be one of context, policy, state, outcome"),
        ({"tier": -1}, "must not be negative"),
        ({"kind": "discrete"}, "lists distinct levels"),
        ({"levels": ("a",)}, "lists distinct levels"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Variable(**{"name": "x", **given})


def test_the_description_has_a_line_for_each_column() -> None:
    load, colour, latency, replicas = describe(dataset())
    assert (load["name"], load["unit"], load["mean"], load["missing"]) == ("load", "requests/min", 4.8, 0.0)
    assert colour["note"] == "blue 25%, red 75%" and colour["mean"] is None and colour["missing"] == 0.2
    assert latency["sd"] == pytest.approx(np.std([5, 7, 8, 9], ddof=1)) and latency["tier"] == 4
    assert replicas["note"] == "set aside: is constant at 3"


def test_lags_stay_within_their_group() -> None:
    found = with_lags(dataset(), 1)
    assert found.names == ("load@-1", "colour@-1", "latency@-1", "load", "colour", "latency")
    assert found.column("load@-1").tolist() == [1, 2, 8] and found.column("load").tolist() == [2, 4, 9]
    assert [variable.tier for variable in found.variables] == [0, 0, 0, 1, 1, 5]
    assert found.variables[1].levels == COLOUR.levels
    two = with_lags(dataset(), 2, ("latency",))
    assert two.names == ("latency@-2", "latency@-1", "load", "colour", "latency") and two.rows == 1
    assert [variable.tier for variable in two.variables] == [0, 1, 2, 2, 6]
    assert with_lags(dataset(), 0).names == dataset().names
    for lags, message in ((-1, "between 0 and 24"), (3, "take fewer lags")):
        with pytest.raises(InvalidInput, match=message):
            with_lags(dataset(), lags)
    with pytest.raises(InvalidInput, match="earlier rows already"):
        with_lags(found, 1)
