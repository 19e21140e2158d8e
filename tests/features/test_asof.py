"""Aggregation over windows, against loops over the events and against Featuretools itself."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features import asof, primitives, synthesis
from cogorch_dagster.features.calculation import by_featuretools, calculate
from tests.features.simulation import simulated_history

EVENT = st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.one_of(st.none(), st.floats(-5, 5)))


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENT, max_size=30), st.lists(st.tuples(st.integers(0, 45), st.sampled_from("abcd")), min_size=1))
def test_windows_hold_what_was_known_within_them(events: list, decisions: list) -> None:
    """Every primitive over (t - 7 s, t], in which an event at the moment itself counts and one 7 s before does not."""
    events.sort(key=lambda each: each[0])
    frame = pd.DataFrame(
        {
            "event_id": range(len(events)),
            "available_us": np.array([each[0] * 1_000_000 for each in events], dtype=np.int64),
            "tenant": pd.Series([each[1] for each in events], dtype=object),
        }
    )
    values = np.array([np.nan if each[2] is None else each[2] for each in events])
    at = np.array([each[0] * 1_000_000 for each in decisions], dtype=np.int64)
    grouped = asof.grouped(frame, "tenant", 0)
    window = grouped.windows(np.array([each[1] for each in decisions], dtype=object), at, 7)
    found = {kind: asof.aggregate(kind, grouped, values, window, at) for kind in synthesis.AGGREGATIONS}
    for row, (moment, tenant) in enumerate(decisions):
        inside = [n for n, each in enumerate(events) if each[1] == tenant and moment - 7 < each[0] <= moment]
        theirs = values[inside]
        known = theirs[np.isfinite(theirs)]
        assert found["count"][row] == len(inside)
        expected = {
            "mean": known.mean() if len(known) else np.nan,
            "last": theirs[-1] if len(theirs) else np.nan,
            "time_since_last": moment - events[inside[-1]][0] if inside else np.nan,
            "recent_p90": np.quantile(known, 0.9) if len(known) else np.nan,
        }
        for kind, value in expected.items():
            assert found[kind][row] == pytest.approx(value, abs=1e-9, nan_ok=True), kind
        hours = np.array([events[n][0] for n in inside])[np.isfinite(theirs)] / 3600
        if len(known) < 3 or np.ptp(hours) == 0:
            assert np.isnan(found["recent_trend"][row])
        else:
            slope = np.polyfit(hours - hours.mean(), known, 1)[0]
            assert found["recent_trend"][row] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_only_the_last_128_events_count_for_percentiles_and_trends() -> None:
    values = np.arange(200.0)
    frame = pd.DataFrame({"event_id": range(200), "available_us": np.arange(200) * 1_000_000, "tenant": "a"})
    at = np.array([300_000_000])
    grouped = asof.grouped(frame, "tenant", 0)
    window = grouped.windows(np.array(["a"], dtype=object), at, 3600)
    assert asof.aggregate("count", grouped, values, window, at) == [200]
    assert asof.aggregate("recent_p90", grouped, values, window, at) == pytest.approx(np.quantile(values[72:], 0.9))
    assert asof.aggregate("recent_trend", grouped, values, window, at) == pytest.approx(3600)
    assert primitives.RECENT == 128


def test_a_log_that_is_too_long_is_refused() -> None:
    frame = pd.DataFrame({"event_id": [0], "available_us": [300 * 86_400_000_000], "tenant": ["a"]})
    with pytest.raises(InvalidInput, match="300 days"):
        asof.grouped(frame, "tenant", 0)


def test_it_gives_what_featuretools_gives() -> None:
    """Every feature of DFS, of decisions with and without a past, from definitions that went through JSON."""
    history = simulated_history(400, 1, hours=1.0)
    made = synthesis.synthesise(history)
    features = synthesis.of_json(synthesis.to_json(made))
    assert features == made
    definitions = synthesis.every(features, (300,))
    assert {each.kind for each in definitions} == {*synthesis.AGGREGATIONS, "column", "hour", "age"}
    assert {each.arm for each in definitions} == {None, "small", "large"}
    few = history.of(history.decisions["decision_id"].iloc[[0, 150, 399]])
    ours, theirs = calculate(few, definitions), by_featuretools(few, features, (300,))
    assert sorted(ours.names) == sorted(theirs.names) and len(ours.names) == len(definitions)
    for name in ours.names:
        assert ours.column(name) == pytest.approx(theirs.column(name), rel=1e-9, abs=1e-9, nan_ok=True), name
    assert np.isfinite(ours.values).mean() > 0.6


def test_definitions_of_another_form_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        synthesis.of_json({"schema_version": "1", "feature_list": ["x"]})
