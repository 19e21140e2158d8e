"""The parts of a calibration by themselves: grouping, the hidden chain, sampling weights, distances, little data."""

from datetime import timedelta
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration import two_state
from cogorch_dagster.fleet.calibration.arrivals import interpolation
from cogorch_dagster.fleet.calibration.calibration import calibrate_table
from cogorch_dagster.fleet.calibration.durations import non_negative
from cogorch_dagster.fleet.calibration.goodness import Sample, distance, verdict
from cogorch_dagster.fleet.calibration.grouping import ModelSummary, group_models, group_tenants
from cogorch_dagster.fleet.parameters import default_parameters
from tests.fleet.calibration.traffic import BEGIN, observations

NAMES = ("one", "two", "three", "four")
DAY = BEGIN + timedelta(days=1)


@given(st.dictionaries(st.text(min_size=1, max_size=300), st.integers(1, 1000), max_size=12))
def test_tenants_are_four_the_largest_first_and_none_is_lost(sizes: dict[str, int]) -> None:
    groups = group_tenants(list(sizes.items()), NAMES)
    assert len(groups) == 4 == len({each.name for each in groups})
    assert groups == group_tenants(list(sizes.items())[::-1], NAMES)
    named = [name for each in groups for name in each.members]
    assert any(each.rest for each in groups) == (len(sizes) > 4)
    if len(sizes) <= 4:
        assert sorted(named) == sorted(sizes)
    else:
        assert min(sizes[name] for name in named) >= max(n for name, n in sizes.items() if name not in named)


def test_models_are_pooled_by_their_speed() -> None:
    speeds = {"a": 100, "b": 110, "c": 1000, "d": 1100, "e": 900, "f": 9000}
    groups = group_models([ModelSummary(name, 10, ms) for name, ms in speeds.items()], NAMES)
    assert [set(each.members) for each in groups] == [{"a", "b"}, {"c", "d", "e"}, {"f"}]
    assert groups[2].name == "f" and groups[1].name == "e and 2 more"
    few = group_models([ModelSummary("x", 5, 10.0), ModelSummary("never ran", 5, None)], NAMES)
    assert [(each.name, each.members) for each in few] == [("x", ("x",)), ("two (absent)", ()), ("three (absent)", ())]


def test_the_chain_agrees_with_the_sum_over_all_paths() -> None:
    rng = np.random.default_rng(1)
    logs, begin, end = rng.normal(size=(2, 7)), 0.2, 0.4
    observed = np.array([True, True, False, True, True, True, True])
    used = np.where(observed, logs, 0)
    step = np.array([[1 - begin, begin], [end, 1 - end]])
    weights = {}
    for path in product((0, 1), repeat=7):
        weight = (end if path[0] == 0 else begin) / (begin + end)
        for t, state in enumerate(path):
            weight *= np.exp(used[state, t]) * (step[path[t - 1], state] if t else 1)
        weights[path] = weight
    total = sum(weights.values())
    chain, _, _ = two_state.pass_through(logs, begin, end, observed)
    expected = [sum(w for path, w in weights.items() if path[t]) / total for t in range(7)]
    assert chain.second == pytest.approx(expected)
    assert chain.log_likelihood == pytest.approx(np.log(total))
    pairs = [(t, t + 1) for t in range(6) if observed[t] and observed[t + 1]]
    begins = sum(w for path, w in weights.items() for a, b in pairs if not path[a] and path[b]) / total
    assert chain.begins == pytest.approx(begins)


def test_factors_hold_at_the_full_hour() -> None:
    weights = interpolation(np.array([0, 30, 23 * 60 + 45]))
    assert weights[0, 0] == 1
    assert weights[1, :2].tolist() == [0.5, 0.5]
    assert weights[2, [23, 0]].tolist() == [0.25, 0.75]


def test_least_squares_without_negative_coefficients() -> None:
    rng = np.random.default_rng(0)
    columns = np.column_stack([np.ones(200), rng.random(200), rng.random(200)])
    assert non_negative(columns, columns @ [1.0, 0.0, 3.0]) == pytest.approx([1, 0, 3], abs=1e-9)
    assert non_negative(columns, columns @ [1.0, -2.0, 3.0])[1] == 0


def test_distances() -> None:
    data = Sample("x", np.array([1.0, 3.0]), np.array([3.0, 1.0]))
    found = distance(data, np.array([1.0, 1.0, 1.0, 3.0]))
    assert (found.ks, found.wasserstein) == (0, 0)
    far = distance(data, np.array([11.0, 11.0, 11.0, 13.0]))
    assert far.ks == 1 and far.wasserstein == pytest.approx(10 / 1.5)
    assert [verdict(ks, 100_000) for ks in (0.05, 0.06, 0.15, 0.16)] == ["good", "fair", "fair", "poor"]
    assert verdict(0.2, 36) == "good"


def test_distances_agree_with_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(2)
    values, drawn = rng.integers(0, 20, 300).astype(float), rng.poisson(9, 500).astype(float)
    found = distance(Sample("x", values, np.ones(300)), drawn)
    assert found.ks == pytest.approx(stats.ks_2samp(values, drawn).statistic)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(values, drawn) / values.mean())


def test_a_sampled_log_gives_the_rates_of_the_whole() -> None:
    # Without bursts, which fewer rows show less of and which then count as dispersion.
    truth = default_parameters()
    calm = tuple(each.model_copy(update={"bursts_per_day": 0.0}) for each in truth.tenants)
    whole = observations(truth.model_copy(update={"tenants": calm}), 1, scale=0.05)
    rng = np.random.default_rng(0)
    failed = np.array(whole["outcome"].to_pylist()) == "failure"
    kept = failed | (rng.random(whole.num_rows) < 0.25)
    weight = np.where(failed, 1.0, 4.0)
    part = whole.append_column("sample_weight", pa.array(weight)).filter(pa.array(kept))
    full, sampled = (calibrate_table(each, BEGIN, DAY).parameters for each in (whole, part))
    for a, b in zip(full.tenants, sampled.tenants, strict=True):
        assert b.requests_per_second == pytest.approx(a.requests_per_second, rel=0.08)
        # Drawing one in four adds 3 to the variance over the mean.
        assert b.dispersion == pytest.approx(a.dispersion, rel=0.3, abs=0.5)
    for m, n in zip(full.models, sampled.models, strict=True):
        assert n.failure_rate == pytest.approx(m.failure_rate, rel=0.3)


def test_little_data_keep_defaults_and_say_so() -> None:
    base = default_parameters()
    table = observations(base, 0.05, scale=0.05).slice(0, 40)
    found = calibrate_table(table, BEGIN, DAY)
    assert {each.name for each in found.parameters.models} == {"small", "medium", "large"}
    for own, model in zip(base.models, found.parameters.models, strict=True):
        assert model.model_copy(update={"name": own.name}) == own
    assert found.parameters.tenants[0].bursts_per_day == base.tenants[0].bursts_per_day
    assert "are needed" in found.parameters.origin["models.0.overhead_ms"]
    assert "are needed" in found.parameters.origin["tenants.0.hourly_shape"]
    assert all(fit.held_out is None for fit in found.fits)


def test_absent_tenants_have_no_traffic() -> None:
    table = observations(default_parameters(), 0.1, scale=0.05)
    only = table.filter(pa.array([each == "chat" for each in table["tenant"].to_pylist()]))
    tenants = calibrate_table(only, BEGIN, DAY).parameters.tenants
    assert [each.name for each in tenants] == ["chat", "code (absent)", "batch (absent)", "support (absent)"]
    assert [each.requests_per_second > 0 for each in tenants] == [True, False, False, False]


def test_hours_that_were_not_recorded_are_not_quiet_ones() -> None:
    table = observations(default_parameters(), 1, scale=0.05)
    hours = [each.hour for each in table["occurred_at"].to_pylist()]
    gap = table.filter(pa.array([hour not in (10, 11, 12) for hour in hours]))
    full, part = (calibrate_table(each, BEGIN, DAY).parameters.tenants[0] for each in (table, gap))
    assert part.requests_per_second == pytest.approx(full.requests_per_second, rel=0.08)
    assert 0.8 < part.hourly_shape[11] < 1.5
    assert part.hourly_shape[15] == pytest.approx(full.hourly_shape[15], abs=0.2)


def test_what_cannot_be_calibrated_is_refused() -> None:
    table = pa.table({"tenant": ["a"]})
    with pytest.raises(InvalidInput, match="occurred_at is needed"):
        calibrate_table(table, BEGIN, DAY)
    with pytest.raises(InvalidInput, match="is not before until"):
        calibrate_table(table, DAY, BEGIN)
    with pytest.raises(InvalidInput, match="at most 400"):
        calibrate_table(table, BEGIN, BEGIN + timedelta(days=401))
    made = observations(default_parameters(), 0.02, scale=0.05)
    with pytest.raises(InvalidInput, match="give at least 1"):
        calibrate_table(made, BEGIN, DAY, replicas={"small": 0})
