"""`kill -9` of the service and of PostgreSQL under load: what was acknowledged is there, the rest arrives once."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from cogorch_dagster.client import ObservationClient
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, free_port, observation, service_of, token_for


def stored(settings: Settings) -> list[str]:
    with database.transaction(settings) as connection:
        return list(connection.execute(sa.text("SELECT source_id FROM inbox_observations")).scalars())


class Load:
    """Two senders: one posts and notes what was acknowledged, the other is the client that the fleet uses."""

    def __init__(self, service: Service, token: str, spool: Path) -> None:
        self.client = ObservationClient(service.url, token, spool, batch_size=20, flush_interval_s=0.02)
        self.acknowledged: list[str] = []
        self.refused: set[int] = set()
        self.sent = 0
        self._service = service
        self._token = token
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post), threading.Thread(target=self._send)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        self.client.close(0.1)

    def _post(self) -> None:
        number = 0
        headers = {"Authorization": f"Bearer {self._token}"}
        with httpx.Client(base_url=self._service.url, headers=headers, trust_env=False, timeout=30) as http:
            while not self._stop.is_set():
                rows = [observation(number + i, source_id=f"posted-{number + i}") for i in range(10)]
                number += 10
                try:
                    answer = http.post("/api/v1/observations", json={"observations": rows})
                except httpx.TransportError:
                    time.sleep(0.02)
                    continue
                if answer.status_code == 200:
                    assert answer.json()["accepted"] == 10
                    self.acknowledged += [row["source_id"] for row in rows]
                else:
                    self.refused.add(answer.status_code)
                    time.sleep(0.02)

    def _send(self) -> None:
        while not self._stop.is_set():
            self.client.send(observation(self.sent, source_id=f"sent-{self.sent}"))
            self.sent += 1
            time.sleep(0.001)

    def wait_for_more(self, rows: int = 100, seconds: float = 60) -> None:
        """Until so many further rows of each sender were acknowledged."""
        posted, accepted = len(self.acknowledged), self.client.stats.accepted
        deadline = time.monotonic() + seconds
        while len(self.acknowledged) < posted + rows or self.client.stats.accepted < accepted + rows:
            assert time.monotonic() < deadline, f"{self.client.stats}\n{self._service.log}"
            time.sleep(0.02)

    def check(self, settings: Settings) -> None:
        """Every acknowledged row is stored, and every row given to the client, each once."""
        found = stored(settings)
        assert len(found) == len(set(found))
        assert set(self.acknowledged) <= set(found)
        assert {f"sent-{number}" for number in range(self.sent)} <= set(found)
        stats = self.client.stats
        assert (stats.dropped, stats.rejected, stats.corrupted, stats.waiting) == (0, 0, 0, 0)
        assert stats.accepted + stats.duplicates >= self.sent


def test_kill_9_of_the_service_under_load_loses_nothing(service: Service, settings: Settings, tmp_path: Path) -> None:
    with Load(service, token_for(settings, "ingest"), tmp_path / "spool") as load:
        for _ in range(2):
            load.wait_for_more()
            service.kill()
            time.sleep(0.2)
            service.start()
        load.wait_for_more()
        load._stop.set()
        for thread in load._threads:
            thread.join(timeout=60)
        assert load.client.flush(60)
        load.check(settings)
        assert load.client.stats.retries > 0


@pytest.fixture
def embedded() -> Iterator[Settings]:
    """An installation with a PostgreSQL of its own, in a short folder: a socket path has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="cogorch-") as folder:
        own = Settings(home=Path(folder), _env_file=None)
        migrate.prepare(own)
        yield own
        database.dispose()
        postgres.stop(own, mode="immediate")


def test_kill_9_of_postgresql_under_load_loses_no_acknowledged_observation(embedded: Settings, tmp_path: Path) -> None:
    with (
        service_of(embedded, tmp_path) as service,
        Load(service, token_for(embedded, "ingest"), tmp_path / "spool") as load,
    ):
        for _ in range(2):
            load.wait_for_more()
            pid = postgres.server_pid(embedded)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            restart(embedded)
        load.wait_for_more()
        load._stop.set()
        for thread in load._threads:
            thread.join(timeout=60)
        assert load.client.flush(60)
        load.check(embedded)
        assert load.refused <= {503}
        service.wait_until(lambda: "cogorch_listening 1.0" in service.get("/metrics").text)
        assert service.get("/readyz").status_code == 200
        assert service.process is not None and service.process.poll() is None
        assert "Traceback" not in service.log


def restart(settings: Settings, seconds: float = 60) -> None:
    """Start the server again; the backends of the killed one may need a moment to notice and leave."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            database.dispose()
            postgres.ensure_running(settings)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_without_postgresql_the_service_lives_and_asks_to_come_back(settings: Settings, tmp_path: Path) -> None:
    token = token_for(settings, "ingest", "read")
    away = settings.model_copy(
        update={"postgres_url": SecretStr(f"postgresql://nobody:topsecret@127.0.0.1:{free_port()}")}
    )
    service = Service(away, tmp_path / "service.log")
    try:
        service.start(ready=False)
        ready = service.get("/readyz")
        assert (ready.status_code, ready.json()["ready"], ready.headers["Retry-After"]) == (503, False, "1")
        for answer in (
            service.post("/api/v1/observations", token, {"observations": [observation(1)]}),
            service.get("/api/v1/policies/router-x/active", token),
            service.get("/api/v1/policies/router-x/events", token),
        ):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert answer.json()["error"] == "database_unavailable"
            assert "topsecret" not in answer.text
        metrics = service.get("/metrics").text
        assert "cogorch_database_up 0.0" in metrics and "cogorch_inbox_depth NaN" in metrics
        assert service.get("/healthz").status_code == 200
        assert "topsecret" not in service.log and token not in service.log
    finally:
        service.end()
