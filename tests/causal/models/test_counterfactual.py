"""Counterfactuals: what was stays what it was, known errors give the known answer, gaps widen the interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.counterfactual import abduction, counterfactual
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import Truth, chosen, dataset, truth

NAMES = tuple(f"v{k}" for k in range(6))
TRUTH = truth(np.random.default_rng(11), 6)
MODEL = fit_model(TRUTH.graph, dataset(TRUTH.drawn(np.random.default_rng(0), 300), NAMES), draws=50)
VALUES = st.floats(-1e3, 1e3)


def known(found: list[Answer | NotIdentified]) -> dict[str, Answer]:
    assert all(isinstance(each, Answer) for each in found)
    return {each.variable: each for each in found if isinstance(each, Answer)}


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=6, max_size=6), st.sets(st.integers(0, 5), min_size=1, max_size=4))
def test_at_the_observed_values_it_is_the_observed_row(values: list[float], chosen_places: set[int]) -> None:
    row = dict(zip(NAMES, values, strict=True))
    found = known(counterfactual(MODEL, row, {NAMES[k]: values[k] for k in chosen_places}))
    for name, answer in found.items():
        assert answer.after == answer.before == row[name]
        assert (answer.change, answer.interval) == (0.0, (0.0, 0.0))


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, min_size=6, max_size=6), st.integers(0, 5), VALUES)
def test_it_is_abduction_action_and_prediction_in_every_draw(values: list[float], place: int, value: float) -> None:
    bank = MODEL.members[0]
    row = np.array(values)
    errors = bank.errors(row)
    found = known(counterfactual(MODEL, dict(zip(NAMES, values, strict=True)), {NAMES[place]: value}, level=0.9))
    predicted = np.empty((6, bank.count))
    for d in range(bank.count):
        coefficients = np.zeros((6, 6))
        coefficients[bank.cause, bank.effect] = bank.coefficients[:, d]
        own = Truth(TRUTH.graph, coefficients, bank.intercepts[:, d], np.ones(6))
        predicted[:, d] = own.predicted(errors[None, :, d], {place: value})[0]
    for name, answer in found.items():
        k = NAMES.index(name)
        assert answer.after == pytest.approx(predicted[k, 0], abs=1e-6)
        low, high = np.quantile(predicted[k, 1:], [0.05, 0.95], method="weibull") - row[k]
        assert answer.interval == pytest.approx((low, high), abs=1e-6)


def test_known_errors_give_the_known_answer_within_the_interval() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        own = truth(rng, 5, 3.0)
        model = fit_model(own.graph, dataset(own.drawn(rng, 200), own.graph.names), seed=seed, draws=100)
        errors = rng.standard_normal((1, 5)) * own.deviations
        row = own.predicted(errors)[0]
        i, j = np.argwhere((np.abs(own.effects) > 1e-9) & ~np.eye(5, dtype=bool))[0]
        would = own.predicted(errors, {int(i): float(row[i] + 3)})[0, j]
        found = counterfactual(
            model, dict(zip(own.graph.names, row, strict=True)), {f"v{i}": float(row[i] + 3)}, outcomes=[f"v{j}"]
        )
        answer = known(found)[f"v{j}"]
        covered += row[j] + answer.interval[0] <= would <= row[j] + answer.interval[1]
    assert 89 <= covered <= 99


def test_a_missing_cell_is_its_conditional_mean_and_the_interval_says_that_it_was() -> None:
    chain = chosen({("a", "b"): 2.0, ("b", "c"): 1.0}, "abc", [0, 0, 0])
    x = chain.drawn(np.random.default_rng(0), 2000)
    model = fit_model(chain.graph, dataset(x, "abc"))
    full = known(counterfactual(model, {"a": 1.0, "b": 2.5, "c": 2.0}, {"b": 4.0}))["c"]
    assert full.change == pytest.approx(1.5, abs=0.1)
    # Of b given a and c the mean is (2 a + c) / 2 and the variance 1 / 2.
    part = known(counterfactual(model, {"a": 1.0, "c": 2.0, "b": float("nan")}, {"b": 4.0}))["c"]
    assert part.change == pytest.approx(4.0 - 2.0, abs=0.1)
    assert part.interval[1] - part.interval[0] == pytest.approx(2 * 1.96 * np.sqrt(0.5), rel=0.25)
    assert part.warnings == ("b was not observed; taken at its mean given the rest",)
    # That c is missing does not matter for how it would have changed.
    other = known(counterfactual(model, {"a": 1.0, "b": 2.5}, {"b": 4.0}))["c"]
    assert (other.change, other.interval) == (full.change, full.interval)
    assert other.before == pytest.approx(2.5, abs=0.1)
    assert known(counterfactual(model, {"a": 1.0}, shift={"a": 1.0}))["c"].change == pytest.approx(2.0, abs=0.1)


def test_abduction_says_what_was_unusual() -> None:
    chain = chosen({("a", "b"): 2.0, ("b", "c"): 1.0}, "abc", [0, 0, 0])
    model = fit_model(chain.graph, dataset(chain.drawn(np.random.default_rng(0), 2000), "abc"))
    found = abduction(model, {"a": 1.0, "b": 6.0, "c": 6.0})
    assert found == pytest.approx({"a": 1.0, "b": 4.0, "c": 0.0}, abs=0.25)
    assert set(abduction(model, {"a": 1.0, "b": 6.0})) == {"a", "b"}


def test_unknown_names_and_bows_are_declined() -> None:
    with pytest.raises(InvalidInput, match="no variable 'speed'"):
        counterfactual(MODEL, {"speed": 1.0}, {"v0": 1.0})
    i, j = np.argwhere(TRUTH.graph.directed)[0]
    data = dataset(TRUTH.drawn(np.random.default_rng(0), 100), NAMES)
    model = fit_model(TRUTH.graph, data, draws=20, latents=[(NAMES[i], NAMES[j])])
    (found,) = counterfactual(model, {}, {NAMES[i]: 1.0}, outcomes=[NAMES[j]])
    assert isinstance(found, NotIdentified)
