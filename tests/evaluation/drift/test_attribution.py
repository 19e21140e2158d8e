"""The decomposition adds up, and names what changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.evaluation.drift.attribution import Slice, decompose, explain, ranked

slices = st.dictionaries(
    st.sampled_from("abcde"),
    st.builds(Slice, st.floats(0.1, 1e4), st.floats(-10, 10)),
    min_size=1,
)


def mean(of: dict[str, Slice]) -> float:
    return float(np.average([s.mean for s in of.values()], weights=[s.weight for s in of.values()]))


@given(slices, slices)
def test_contributions_add_up_to_the_change(before: dict[str, Slice], after: dict[str, Slice]) -> None:
    found = decompose(before, after)
    assert sum(each.total for each in found) == pytest.approx(mean(after) - mean(before), abs=1e-9)


def test_a_worse_slice_is_a_within_effect() -> None:
    before = {"acme": Slice(20, 0.8), "other": Slice(80, 0.8)}
    after = {"acme": Slice(20, 0.3), "other": Slice(80, 0.8)}
    found = explain("tenant", before, after)
    assert found is not None
    first = found.slices[0]
    assert (first.value, found.named) == ("acme", 1)
    assert first.within == pytest.approx(-0.1) and first.mix == pytest.approx(0)
    assert found.explained == pytest.approx(1) and found.concentration == pytest.approx(0.8)


def test_more_traffic_of_a_poor_slice_is_a_mix_effect() -> None:
    before = {"batch": Slice(10, 0.2), "live": Slice(90, 0.9)}
    after = {"batch": Slice(50, 0.2), "live": Slice(50, 0.9)}
    found = explain("tenant", before, after)
    assert found is not None
    assert sum(each.mix for each in found.slices) == pytest.approx(-0.28)
    assert [each.within for each in found.slices] == [0, 0]


def test_a_new_slice_brings_its_effect_by_the_mix() -> None:
    found = decompose({"none": Slice(100, 0.9)}, {"none": Slice(80, 0.9), "timeout": Slice(20, 0.0)})
    by_value = {each.value: each for each in found}
    assert by_value["timeout"].within == 0 and by_value["timeout"].mean_before is None
    assert by_value["timeout"].total < -0.08


def test_the_dimension_where_the_change_is_concentrated_comes_first() -> None:
    spread_out = explain(
        "action", {"a": Slice(50, 0.8), "b": Slice(50, 0.8)}, {"a": Slice(50, 0.7), "b": Slice(50, 0.7)}
    )
    narrow = explain("tenant", {"x": Slice(10, 0.8), "y": Slice(90, 0.8)}, {"x": Slice(10, 0.0), "y": Slice(90, 0.79)})
    assert [each.dimension for each in ranked([spread_out, None, narrow])] == ["tenant", "action"]
    assert spread_out is not None and spread_out.concentration == pytest.approx(0)


def test_one_slice_or_no_change_explains_nothing() -> None:
    assert explain("tenant", {"x": Slice(1, 0.5)}, {"x": Slice(1, 0.9)}) is None
    same = {"x": Slice(1, 0.5), "y": Slice(1, 0.5)}
    assert explain("tenant", same, same) is None
    assert decompose({}, same) == []
