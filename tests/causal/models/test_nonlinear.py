"""Curves are found where there are some, lines kept where there are none, and gcm stays quiet and seeded."""

import random

import numpy as np
import pytest

from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.nonlinear import counterfactual_nonlinear, samples, what_if_nonlinear
from cogorch_dagster.causal.models.nonlinear_fitting import NonlinearModel, fit_nonlinear
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import Floats, dataset

GRAPH = Graph.from_edges("abc", [("a", "b"), ("a", "c"), ("b", "c")])


def rows(seed: int, count: int = 600) -> Floats:
    """b is a line in a; c = b² + a / 2."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=count)
    b = 0.8 * a + rng.normal(size=count)
    return np.column_stack([a, b, b**2 + 0.5 * a + 0.5 * rng.normal(size=count)])


@pytest.fixture(scope="module")
def model() -> NonlinearModel:
    return fit_nonlinear(GRAPH, dataset(rows(0), "abc"), refits=3)


def test_trees_stand_only_where_a_line_is_wrong(model: NonlinearModel) -> None:
    assert [each.kind for each in model.mechanisms] == ["root", "linear", "nonlinear"]
    curve = model.mechanisms[2]
    assert curve.nonlinear_error < 0.3 * curve.linear_error
    assert curve.linear_error == pytest.approx(2 * 1.64**2 + 0.25, rel=0.3)


def test_a_curve_is_followed_where_a_line_would_say_nothing(model: NonlinearModel) -> None:
    by_name = {}
    for value in (0.0, 2.0):
        before, after = what_if_nonlinear(model, {"b": value}, outcomes=["a", "c"])
        assert (before.change, before.interval) == (0.0, (0.0, 0.0))
        by_name[value] = after
    # E[b²] is 1.64: down to 0, up to 4. The slope of a line through it is 0.
    assert by_name[0.0].change == pytest.approx(-1.64, abs=0.3)
    assert by_name[2.0].change == pytest.approx(2.36, abs=0.5)
    assert by_name[2.0].interval[0] < 2.36 < by_name[2.0].interval[1]
    assert "trees are flat there" in what_if_nonlinear(model, {"b": 9.0}, outcomes=["c"])[0].warnings[0]


def test_counterfactuals_keep_the_error_of_the_row(model: NonlinearModel) -> None:
    row = {"a": 0.0, "b": 1.0, "c": 1.5}
    (same,) = counterfactual_nonlinear(model, row, {"b": 1.0}, outcomes=["c"])
    assert same.after == pytest.approx(1.5, abs=1e-9)
    (other,) = counterfactual_nonlinear(model, row, {"b": -1.5}, outcomes=["c"])
    assert other.after == pytest.approx(2.25 + 0.5, abs=0.6)
    with pytest.raises(InvalidInput, match="no value of c"):
        counterfactual_nonlinear(model, {"a": 0.0, "b": 1.0}, {"b": 1.0}, outcomes=["c"])


def test_samples_come_from_the_distribution_under_the_intervention(model: NonlinearModel) -> None:
    drawn = samples(model, {"b": 1.5}, 2000)
    assert (drawn["b"] == 1.5).all()
    assert drawn["c"].mean() == pytest.approx(2.25, abs=0.4)
    assert drawn["a"].mean() == pytest.approx(0.0, abs=0.1)
    assert np.array_equal(drawn["c"], samples(model, {"b": 1.5}, 2000)["c"])


def test_it_is_quiet_and_leaves_the_global_generators_alone(capfd: pytest.CaptureFixture[str]) -> None:
    np.random.seed(5)
    random.seed(5)
    wanted = np.random.random(), random.random()
    np.random.seed(5)
    random.seed(5)
    found = [
        what_if_nonlinear(fit_nonlinear(GRAPH, dataset(rows(1, 150), "abc"), refits=2), {"a": 1.0}, outcomes=["c"])
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert (np.random.random(), random.random()) == wanted
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_has_no_such_mechanisms_is_refused() -> None:
    with pytest.raises(InvalidInput, match="kind dag"):
        fit_nonlinear(Graph.from_edges("abc", undirected=[("a", "b")], kind="cpdag"), dataset(rows(0), "abc"))
    few = rows(0)
    few[50:, 1] = np.nan
    with pytest.raises(InvalidInput, match="50 complete rows"):
        fit_nonlinear(GRAPH, dataset(few, "abc"))
