"""Sending: nothing waits for the network, nothing is lost, what cannot be stored is set aside with its reason."""

import json
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from cogorch_dagster.client import ObservationClient
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings
from tests.client.conftest import Peer
from tests.service.processes import Service, free_port, observation, token_for


def stored(settings: Settings, column: str = "source_id", table: str = "inbox_observations") -> list[object]:
    with database.transaction(settings) as connection:
        return list(connection.execute(sa.text(f"SELECT {column} FROM {table} ORDER BY 1")).scalars())


def rejected(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]


def test_observations_and_feedback_arrive_and_name_each_other(shared: Service, tmp_path: Path) -> None:
    token = token_for(shared.settings, "ingest", name="router-eu")
    with ObservationClient(shared.url, token, tmp_path / "spool", batch_size=50) as client:
        ids = []
        for number in range(120):
            row = {**observation(number), "occurred_at": datetime.now(UTC), "decision_id": uuid.uuid4()}
            del row["source_id"]
            ids.append(client.send(row))
            client.feedback({"observation_id": ids[-1], "metric": "quality", "value": number % 2})
        assert client.flush(30)
        stats = client.stats
    assert (stats.sent, stats.accepted, stats.waiting, stats.state, stats.error) == (240, 240, 0, "running", None)
    assert sorted(map(str, ids)) == stored(shared.settings, "payload ->> 'observation_id'")
    assert sorted(map(str, ids)) == stored(shared.settings, "observation_id::text", "inbox_feedback")


def test_bad_rows_are_set_aside_and_the_rest_arrives(shared: Service, tmp_path: Path) -> None:
    token = token_for(shared.settings, "ingest")
    with ObservationClient(shared.url, token, tmp_path) as client:
        client.send(observation(1))
        client.send(observation(2, outcome="splendid", duration_ms=-1))
        client.send({**observation(3), "duration_ms": float("nan")})
        client.send({**observation(4), "tags": object()})
        client.send({**observation(5), "tags": {"big": "x" * (2 << 20)}})
        client.send({"component": "c"})
        client.send(observation(7))
        assert client.flush(30)
        stats = client.stats
    assert stored(shared.settings) == ["row-1", "row-7"]
    assert (stats.accepted, stats.rejected, stats.waiting) == (2, 5, 0)
    entries = rejected(tmp_path)
    assert len(entries) == 5
    by_row = {str(entry["row"])[:200]: entry for entry in entries}
    splendid = next(entry for row, entry in by_row.items() if "splendid" in row)
    assert "splendid" in str(splendid["message"]) and "duration_ms" in str(splendid["message"])
    assert any("a row has at most" in str(entry["message"]) for entry in entries)


def test_a_dead_service_costs_the_caller_nothing_and_the_next_process_delivers(shared: Service, tmp_path: Path) -> None:
    token = token_for(shared.settings, "ingest")
    dead = f"http://127.0.0.1:{free_port()}"
    client = ObservationClient(dead, token, tmp_path / "spool", flush_interval_s=0.05)
    slowest = 0.0
    for number in range(1000):
        began = time.perf_counter()
        client.send(observation(number))
        slowest = max(slowest, time.perf_counter() - began)
    assert not client.flush(0.2)
    assert (client.stats.state, client.stats.waiting) == ("retrying", 1000)
    assert client.stats.error is not None and "Connect" in client.stats.error
    client.close(timeout=0.1)
    assert slowest < 2.0
    with pytest.raises(RuntimeError, match="closed"):
        client.send(observation(0))
    with ObservationClient(shared.url, token, tmp_path / "spool") as successor:
        assert successor.stats.waiting == 1000
        assert successor.flush(30)
    assert len(stored(shared.settings)) == 1000


SENDER = """
import sys
from pathlib import Path
from cogorch_dagster.client import ObservationClient
url, token, spool = sys.argv[1:]
client = ObservationClient(url, token, Path(spool), batch_size=20, flush_interval_s=0.01)
for number in range(1_000_000):
    client.send({"source": "killed", "source_id": f"{number:09d}", "occurred_at": "2026-01-31T12:00:00Z",
                 "component": "c", "component_kind": "service", "outcome": "success"})
    print(number, flush=True)
"""


def test_kill_9_of_the_sending_process_loses_nothing_that_was_sent(shared: Service, tmp_path: Path) -> None:
    token = token_for(shared.settings, "ingest")
    arguments = [sys.executable, "-c", SENDER, shared.url, token, str(tmp_path / "spool")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        sent: list[int] = []
        # Killed in the middle: some rows have arrived and more are on their way.
        while len(sent) < 500 or not stored(shared.settings):
            sent += [int(process.stdout.readline()) for _ in range(100)]
            assert len(sent) < 100_000
        process.kill()
        sent += [int(line) for line in process.stdout.read().splitlines()[:-1]]
    with ObservationClient(shared.url, token, tmp_path / "spool") as successor:
        assert successor.flush(60)
    found = stored(shared.settings)
    assert len(found) == len(set(found)) and set(found) >= {f"{number:09d}" for number in sent}


def test_a_bad_token_stops_the_sending_and_keeps_the_rows(shared: Service, tmp_path: Path) -> None:
    with ObservationClient(shared.url, "cogorch_wrong", tmp_path) as client:
        client.send(observation(1))
        assert not client.flush(30)
        assert (client.stats.state, client.stats.waiting) == ("denied", 1)
        assert client.stats.error == "401 the token is not one of this installation"
        client.send(observation(2))
        assert not client.flush(30)
    token = token_for(shared.settings, "read")
    with ObservationClient(shared.url, token, tmp_path) as client:
        assert not client.flush(30)
        assert client.stats.error is not None and "this needs scope ingest" in client.stats.error
    with ObservationClient(shared.url, token_for(shared.settings, "ingest"), tmp_path) as client:
        assert client.flush(30)
    assert stored(shared.settings) == ["row-1", "row-2"]


def test_a_row_that_spoils_its_batch_is_found_and_the_others_are_delivered(peer: Peer, tmp_path: Path) -> None:
    delivered: list[str] = []

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        rows = json.loads(body)["observations"]
        if any(row["source_id"] == "row-13" for row in rows):
            return 422, b'{"error": "not_storable", "message": "cannot hold it"}'
        delivered.extend(row["source_id"] for row in rows)
        return 200, json.dumps({"accepted": len(rows), "duplicates": 0, "rejected": []}).encode()

    peer.answer = answer
    with ObservationClient(peer.url, "t", tmp_path, flush_interval_s=0.01) as client:
        for number in range(40):
            client.send(observation(number))
        assert client.flush(30)
        assert client.stats.rejected == 1
    assert sorted(delivered) == sorted(f"row-{number}" for number in range(40) if number != 13)
    assert rejected(tmp_path)[0]["message"] == "422 cannot hold it"


def test_answers_that_are_not_the_services_are_tried_again(peer: Peer, tmp_path: Path) -> None:
    answers = [
        (200, b"<html>a captive portal</html>"),
        (200, b'{"accepted": 1}'),
        (200, b'{"accepted": 1, "duplicates": 0, "rejected": [{"index": 9, "message": "m"}]}'),
        (404, b"no such page"),
        (500, b'{"error": "database_error", "message": "m"}'),
        (503, b""),
    ]
    peer.answer = lambda path, body: (
        answers.pop(0) if answers else (200, b'{"accepted": 1, "duplicates": 0, "rejected": []}')
    )
    with ObservationClient(peer.url, "t", tmp_path, flush_interval_s=0.01) as client:
        client.send(observation(1))
        assert client.flush(60)
        assert (client.stats.retries, client.stats.accepted, client.stats.error) == (6, 1, None)
    assert len({body for _, body in peer.requests}) == 1


@pytest.mark.parametrize(
    "wrong", [{"url": "service:8710"}, {"batch_size": 0}, {"flush_interval_s": 0}, {"max_spool_bytes": 1}]
)
def test_impossible_arguments_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    arguments = {"url": "http://127.0.0.1:1", "token": "t", "spool": tmp_path, **wrong}
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        ObservationClient(**arguments)  # type: ignore[arg-type]
