"""Ingest over HTTP: what is acknowledged is committed, what is bad is explained, limits hold."""

import datetime as dt

import sqlalchemy as sa

from cogorch_dagster.observations import identity
from cogorch_dagster.platform import database
from cogorch_dagster.service.ingest import MAX_BODY_BYTES, MAX_ROWS
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, observation, token_for

OBSERVATIONS = "/api/v1/observations"
OUTCOMES = ("accepted", "duplicate", "rejected")
FEEDBACK = "/api/v1/feedback"


def stored(settings: Settings) -> list[str]:
    with database.transaction(settings) as connection:
        query = "SELECT source_id FROM inbox_observations ORDER BY source_id"
        return list(connection.execute(sa.text(query)).scalars())


def counted(service: Service, outcome: str) -> float:
    """The counter of observations with this outcome; 0 before the first."""
    name = f'cogorch_ingest_rows_total{{outcome="{outcome}",stream="observations"}} '
    lines = [line for line in service.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


def test_rows_are_committed_when_the_answer_comes_and_sending_again_changes_nothing(shared: Service) -> None:
    token = token_for(shared.settings, "ingest")
    batch = {"observations": [observation(1), observation(2), observation(2)]}
    first = shared.post(OBSERVATIONS, token, batch)
    assert (first.status_code, first.json()) == (200, {"accepted": 2, "duplicates": 1, "rejected": []})
    assert stored(shared.settings) == ["row-1", "row-2"]
    second = shared.post(OBSERVATIONS, token, {"observations": [observation(1), observation(3)]})
    assert second.json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert stored(shared.settings) == ["row-1", "row-2", "row-3"]


def test_bad_rows_are_named_and_the_good_ones_stored(shared: Service) -> None:
    rows = [
        observation(0),
        observation(1, propensity=1.5),
        "not a row",
        observation(3, outcome="splendid", duration_ms=-1),
        observation(4),
    ]
    before = {outcome: counted(shared, outcome) for outcome in OUTCOMES}
    answer = shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), {"observations": rows})
    assert answer.status_code == 207
    body = answer.json()
    assert (body["accepted"], body["duplicates"]) == (2, 0)
    assert {(row["index"], row["field"]) for row in body["rejected"]} == {
        (1, "propensity"),
        (2, ""),
        (3, "outcome"),
        (3, "duration_ms"),
    }
    assert "1.5" in next(row["message"] for row in body["rejected"] if row["index"] == 1)
    assert stored(shared.settings) == ["row-0", "row-4"]
    assert [counted(shared, outcome) - before[outcome] for outcome in OUTCOMES] == [2, 0, 3]
    shared.wait_until(lambda: "cogorch_inbox_depth 2.0" in shared.get("/metrics").text)


def test_a_row_without_source_belongs_to_the_token(shared: Service) -> None:
    row = observation(1)
    del row["source"]
    token = token_for(shared.settings, "ingest", name="router-eu")
    assert shared.post(OBSERVATIONS, token, {"observations": [row]}).json()["accepted"] == 1
    with database.transaction(shared.settings) as connection:
        assert connection.execute(sa.text("SELECT source FROM inbox_observations")).scalar_one() == "router-eu"


def test_camel_case_and_opentelemetry_names_are_understood(shared: Service) -> None:
    row = {
        "source": "otel",
        "sourceId": "span-1",
        "occurredAt": "2026-01-31T12:00:00Z",
        "component": "router:core",
        "componentKind": "llm_router",
        "outcome": "success",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 7,
    }
    assert shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), {"observations": [row]}).status_code == 200
    with database.transaction(shared.settings) as connection:
        payload = connection.execute(sa.text("SELECT payload FROM inbox_observations")).scalar_one()
    assert (payload["request_model"], payload["input_tokens"]) == ("m-1", 7)


def test_feedback_is_stored_once(shared: Service) -> None:
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    row = {
        "observation_id": str(identity.observation_id("test", "row-1", moment)),
        "metric": "quality",
        "value": 1,
        "occurred_at": "2026-01-31T12:05:00Z",
    }
    token = token_for(shared.settings, "ingest")
    answer = shared.post(FEEDBACK, token, {"feedback": [row, row, {**row, "value": 2}]})
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 1)
    assert [bad["field"] for bad in answer.json()["rejected"]] == ["value"]


def test_an_empty_batch_is_nothing(shared: Service) -> None:
    answer = shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), {"observations": []})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "duplicates": 0, "rejected": []})


NO_BATCHES = {
    "cut off": (b'{"observations": [', 400, "malformed_json"),
    "no utf-8": (b"\xff\xfe", 400, "malformed_json"),
    "nan": (b'{"observations": [NaN]}', 400, "malformed_json"),
    "a list": (b"[]", 400, "malformed_batch"),
    "another key": (b'{"feedback": []}', 400, "malformed_batch"),
    "no list": (b'{"observations": {}}', 400, "malformed_batch"),
    "empty": (b"", 400, "malformed_json"),
    "too many rows": (b'{"observations": [' + b"1," * MAX_ROWS + b"1]}", 413, "batch_too_large"),
    "too many bytes": (b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large"),
}


def test_a_body_that_is_no_batch_is_refused_as_a_whole(shared: Service) -> None:
    token = token_for(shared.settings, "ingest")
    for name, (body, status, error) in NO_BATCHES.items():
        answer = shared.post(OBSERVATIONS, token, content=body)
        assert (answer.status_code, answer.json()["error"]) == (status, error), name
    assert stored(shared.settings) == []


def test_a_body_without_length_is_cut_at_the_limit(shared: Service) -> None:
    chunks = [b" " * (1 << 20)] * ((MAX_BODY_BYTES >> 20) + 2)
    answer = shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), content=iter(chunks))
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


def test_a_compressed_body_is_refused(shared: Service) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_encoding")


def test_the_largest_batch_is_taken(shared: Service) -> None:
    batch = {"observations": [observation(number) for number in range(MAX_ROWS)]}
    assert shared.post(OBSERVATIONS, token_for(shared.settings, "ingest"), batch).json()["accepted"] == MAX_ROWS
