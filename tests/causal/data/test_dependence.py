"""What says nothing of its own is set aside, with its partners, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.data.constants import constants, rarely_together
from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.data.dependence import dependent
from cogorch_dagster.causal.data.indicators import embedded

LAW = settings(max_examples=30, deadline=None)


def dataset(**columns: np.ndarray) -> CausalDataset:
    """Columns of whole numbers from 0 whose name begins with `d_` are discrete."""
    variables = tuple(
        Variable(name, kind="discrete", levels=tuple("abcdefgh"[: int(np.nanmax(held)) + 1]))
        if name.startswith("d_")
        else Variable(name)
        for name, held in columns.items()
    )
    values = np.column_stack(list(columns.values()))
    return CausalDataset("test", variables, values, np.zeros(len(values)), np.arange(len(values)))


def reasons(data: CausalDataset, prefer: tuple[str, ...] = ()) -> dict[str, str]:
    found = dependent(data.names, embedded(data.variables, data.values), prefer)
    return {each.name: each.reason for each in found}


def test_reasons_name_the_partners() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 200)) + 5
    shares = rng.dirichlet([2, 3, 4], 200)
    data = dataset(
        a=a, copy=a, b=b, scaled=3 - 2 * b, s1=shares[:, 0], s2=shares[:, 1], s3=shares[:, 2], c=c, sum=a + 2 * c
    )
    assert reasons(data) == {
        "copy": "equals a",
        "scaled": "is -2 times b plus 3",
        "s3": "adds up to 1 with s1 and s2",
        "sum": "depends linearly on a and c",
    }
    assert set(reasons(data, prefer=("sum", "copy"))) == {"a", "scaled", "s3", "c"}


def test_columns_far_from_zero_are_told_apart_as_well() -> None:
    """Bytes and times since 1970: beside a constant they are all but the same column."""
    rng = np.random.default_rng(1)
    used, free = 8e9 + 1e6 * rng.standard_normal((2, 200))
    assert reasons(dataset(used=used, free=free, copy=used, left=1.6e10 - used)) == {
        "copy": "equals used",
        "left": "is -1 times used plus 1.6e+10",
    }


@LAW
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0, 0.3))
def test_independent_columns_stay_and_one_of_a_dependent_set_goes(seed: int, q: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((300, q)) @ (np.eye(q) + 0.5 * rng.standard_normal((q, q)))
    last = values @ rng.uniform(1, 2, q)
    values = np.column_stack([values, last])
    values[rng.random(values.shape) < missing] = np.nan
    names = [f"x{place}" for place in range(q + 1)]
    data = dataset(**dict(zip(names, values.T, strict=True)))
    assert reasons(data.only(tuple(names[:q]))) == {}
    assert set(reasons(data)) == {names[q]}


def test_discrete_variables_are_looked_at_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    fine = rng.integers(0, 4, 400)
    coarse = (fine >= 2).astype(float)
    other = rng.integers(0, 3, 400)
    relabelled = np.array([2, 0, 1])[other]
    data = dataset(d_coarse=coarse, d_fine=fine, d_other=other, d_again=relabelled, x=rng.standard_normal(400))
    assert reasons(data) == {"d_coarse": "is determined by d_fine", "d_again": "is determined by d_other"}
    assert reasons(data.only(("d_fine", "d_coarse", "x"))) == {"d_coarse": "is determined by d_fine"}


def test_constant_and_empty_columns() -> None:
    data = dataset(a=np.full(20, 2.5), b=np.arange(20.0), d_one=np.zeros(20), e=np.full(20, np.nan))
    found = {each.name: each.reason for each in constants(data)}
    assert found == {"a": "is constant at 2.5", "d_one": "is constant at a", "e": "has no value"}
    # What rounding or underflow leaves is none; a small unit is.
    steps = np.arange(12.0)
    assert [
        each.name for each in constants(dataset(tiny=1e-200 * steps, far=1e9 + 1e-6 * steps, small=1e-30 * steps))
    ] == ["tiny", "far"]


def test_columns_that_are_never_known_together() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 100))
    first[50:], second[:45] = np.nan, np.nan
    data = dataset(whole=rng.standard_normal(100), first=first, second=second)
    (found,) = rarely_together(data)
    assert (found.name, found.reason) == ("first", "is known together with second in 5 rows")
    second[:40] = 1.0
    assert rarely_together(dataset(first=first, second=second)) == []


def test_indicators_leave_out_the_most_frequent_level_and_unseen_ones() -> None:
    data = CausalDataset(
        "test",
        (Variable("x"), Variable("d", kind="discrete", levels=("a", "b", "c", "unseen"))),
        [[1, 0], [2, 1], [3, 1], [4, 2], [5, np.nan]],
        np.zeros(5),
        np.arange(5),
    )
    found = embedded(data.variables, data.values)
    assert found.labels == ("x", "d=a", "d=c") and found.owner.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found.values[:, 1:], [[1, 0], [0, 0], [0, 0], [0, 1], [np.nan, np.nan]])
    assert found.continuous.tolist() == [True, False, False]
    assert found.values[:, 0] == pytest.approx([1, 2, 3, 4, 5])
