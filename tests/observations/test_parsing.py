"""Names are resolved, and each bad row is explained: where, what, which bound, and what to give instead."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.observations.parsing import parse_feedback, parse_observations
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA, Observation, to_table

MakeRow = Callable[..., dict[str, Any]]


def test_the_columns_are_the_fields_in_order() -> None:
    assert OBSERVATION_SCHEMA.names == list(Observation.model_fields)
    assert OBSERVATION_SCHEMA.names[:4] == ["observation_id", "source", "source_id", "occurred_at"]
    assert OBSERVATION_SCHEMA.names[-1] == "sample_weight"
    types = {
        "occurred_at": pa.timestamp("us", tz="UTC"),
        "action_set": pa.list_(pa.string()),
        "http_status": pa.int16(),
        "attempt": pa.int16(),
        "input_tokens": pa.int64(),
        "cache_hit": pa.bool_(),
        "propensity": pa.float64(),
        "context": pa.string(),
    }
    assert {name: OBSERVATION_SCHEMA.field(name).type for name in types} == types
    assert FEEDBACK_SCHEMA.names == ["observation_id", "metric", "value", "occurred_at", "ingested_at"]


def test_a_full_row_comes_through_unchanged(row: MakeRow) -> None:
    given_row = row(
        policy_id="router-core",
        policy_version="1.0.0",
        decision_id="d",
        action="small",
        propensity=0.25,
        action_set=["small", "large"],
        context={"b": 1, "a": "ü"},
        http_status=200,
        attempt=2,
        cache_hit=False,
        cost_amount=0.5,
        cost_currency="EUR",
    )
    (record,) = parse_observations([given_row]).records
    (out,) = to_table([record]).to_pylist()
    assert out["context"] == '{"a":"ü","b":1}'
    assert out["occurred_at"] == datetime.fromisoformat(given_row["occurred_at"])
    for name in set(given_row) - {"context", "occurred_at"}:
        assert out[name] == given_row[name]


@pytest.mark.parametrize(
    ("alias", "name", "value"),
    [
        ("durationMs", "duration_ms", 7.0),
        ("tokensIn", "input_tokens", 3),
        ("tokensOut", "output_tokens", 4),
        ("costUsd", "cost_amount", 0.1),
        ("errorCode", "error_type", "timeout"),
        ("gen_ai.request.model", "request_model", "m"),
        ("gen_ai.usage.input_tokens", "input_tokens", 5),
        ("gen_ai.usage.output_tokens", "output_tokens", 6),
        ("gen_ai.provider.name", "provider_name", "p"),
        ("gen_ai.system", "provider_name", "p"),
        ("error.type", "error_type", "e"),
        ("http.response.status_code", "http_status", 503),
        ("policyVersion", "policy_version", "1.0.0"),
        ("traceId", "trace_id", "t"),
    ],
)
def test_aliases(row: MakeRow, alias: str, name: str, value: object) -> None:
    changed = row(**{alias: value})
    if name == "duration_ms":
        del changed["duration_ms"]
    (record,) = parse_observations([changed]).records
    assert getattr(record, name) == value


def test_nested_attributes_and_precedence(row: MakeRow) -> None:
    changed = row(
        gen_ai={"request": {"model": "nested", "temperature": 0.5}, "system": "old", "provider": {"name": "new"}},
        request_model="own name",
    )
    (record,) = parse_observations([changed]).records
    assert (record.request_model, record.provider_name) == ("own name", "new")


def test_a_dollar_cost_brings_its_currency_and_an_empty_text_is_nothing(row: MakeRow) -> None:
    (record,) = parse_observations([row(costUsd=0.1, tenant="", traceId=None)]).records
    assert (record.cost_currency, record.tenant, record.trace_id) == ("USD", None, None)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"occurred_at": "2026-01-01T00:00:00"}, "occurred_at", "no time zone"),
        ({"occurred_at": "yesterday"}, "occurred_at", "ISO 8601"),
        ({"occurred_at": 1767225600}, "occurred_at", "ISO 8601"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "occurred_at", "2000-01-01"),
        ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "occurred_at", "one day from now"),
        ({"occurred_at": "1999-12-31T00:00:00Z"}, "occurred_at", "2000-01-01"),
        ({"occurred_at": (datetime.now(UTC) + timedelta(days=3)).isoformat()}, "occurred_at", "one day from now"),
        ({"duration_ms": -1}, "duration_ms", "below 0"),
        ({"duration_ms": float("nan")}, "duration_ms", "finite"),
        ({"duration_ms": float("inf")}, "duration_ms", "finite"),
        ({"duration_ms": "1e400"}, "duration_ms", "finite"),
        ({"duration_ms": 1e12}, "duration_ms", "above 100000000000"),
        ({"duration_ms": "fast"}, "duration_ms", "not a number"),
        ({"input_tokens": 10**30}, "input_tokens", "above"),
        ({"input_tokens": 1.5}, "input_tokens", "whole number"),
        ({"propensity": 0, "action": "a"}, "propensity", "not above 0"),
        ({"propensity": 1.01, "action": "a"}, "propensity", "above 1"),
        ({"propensity": 0.5}, "propensity", "no action"),
        ({"action": "c", "action_set": ["a", "b"]}, "action", "not in action_set"),
        ({"action_set": ["a"]}, "action", "not in action_set"),
        ({"outcome": "SUCCEED"}, "outcome", "success, failure, timeout, cancelled or pending"),
        ({"component_kind": "robot"}, "component_kind", "llm_router"),
        ({"http_status": 99}, "http_status", "below 100"),
        ({"attempt": 0}, "attempt", "below 1"),
        ({"cache_hit": "perhaps"}, "cache_hit", "boolean"),
        ({"context": "{"}, "context", "not valid JSON"),
        ({"context": [1]}, "context", "not a JSON object"),
        ({"context": {"a": "\0"}}, "context", "NUL"),
        ({"tags": {"a": "x" * 70_000}}, "tags", "65536"),
        ({"tenant": "a\0b"}, "tenant", "NUL"),
        ({"tenant": "\udcff"}, "tenant", "UTF-8"),
        ({"tenant": "x" * 201}, "tenant", "longer than 200"),
        ({"cost_amount": -0.01}, "cost_amount", "below 0"),
        ({"cost_currency": "dollars"}, "cost_currency", "ISO 4217"),
        ({"sample_weight": 0.5}, "sample_weight", "below 1"),
        ({"observation_id": "x"}, "observation_id", "not a UUID"),
        ({"observation_id": "01890000-0000-7000-8000-000000000000"}, "observation_id", "another time"),
        ({"source_id": None}, "source_id", "missing"),
        ({"duratoin_ms": 1}, "duratoin_ms", "did you mean `duration_ms`"),
    ],
)
def test_each_fault_is_explained_and_the_good_rows_stay(
    row: MakeRow, changes: dict[str, object], field: str, words: str
) -> None:
    parsed = parse_observations([row(1), row(2, **changes), row(3)], first_line=10)
    assert [record.source_id for record in parsed.records] == ["row-1", "row-3"]
    assert parsed.rejected_rows == 1
    (rejection,) = parsed.rejections
    assert (rejection.line, rejection.field) == (11, field)
    assert words in rejection.message
    assert len(rejection.message) < 500


def test_every_fault_of_a_row_is_reported_and_rows_that_are_none_too(row: MakeRow) -> None:
    parsed = parse_observations([row(duration_ms=-1, cost_amount="x", nonsense=1), 7, None, {}])
    found = [(rejection.line, rejection.field) for rejection in parsed.rejections]
    assert found[:5] == [(0, "duration_ms"), (0, "cost_amount"), (0, "nonsense"), (1, ""), (2, "")]
    assert {field for line, field in found if line == 3} == {
        "source",
        "source_id",
        "occurred_at",
        "component",
        "component_kind",
        "outcome",
    }
    assert parsed.rejected_rows == 4


def test_a_given_id_must_hold_the_time_of_the_row(row: MakeRow) -> None:
    (derived,) = parse_observations([row()]).records
    (same,) = parse_observations([row(observation_id=derived.observation_id)]).records
    assert same == derived


def test_the_source_of_an_import_overrides_the_row(row: MakeRow) -> None:
    (record,) = parse_observations([row()], source="given").records
    assert record.source == "given"


def test_feedback(row: MakeRow) -> None:
    (observation,) = parse_observations([row()]).records
    good = {
        "observationId": observation.observation_id,
        "metric": "quality",
        "value": 1,
        "occurredAt": "2026-03-01T12:00:00+02:00",
    }
    parsed = parse_feedback(
        [good, {**good, "value": 1.5}, {**good, "metric": "Quality!"}, {**good, "metric": "stars", "value": 5}]
    )
    assert [(record.metric, record.value) for record in parsed.records] == [("quality", 1.0), ("stars", 5.0)]
    assert parsed.records[0].occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert [(rejection.line, rejection.field) for rejection in parsed.rejections] == [(1, "value"), (2, "metric")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*OBSERVATION_SCHEMA.names, "gen_ai", "error.type", "x"]), json_values))
def test_no_row_however_odd_escapes_as_an_exception(changes: dict[str, Any]) -> None:
    base = {
        "source": "s",
        "source_id": "1",
        "occurred_at": "2026-01-01T00:00:00Z",
        "component": "c",
        "component_kind": "cell",
        "outcome": "failure",
    }
    parsed = parse_observations([{**base, **changes}])
    assert len(parsed.records) + parsed.rejected_rows == 1
    assert bool(parsed.rejections) == (parsed.rejected_rows == 1)
    assert to_table(parsed.records).num_rows == len(parsed.records)
