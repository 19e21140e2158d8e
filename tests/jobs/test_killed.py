"""A loop that is killed half-way leaves a consistent installation, and the next one completes the work.

Other points, within the engine's own steps, are in the tests of `observations`, `rewards` and `policies`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform import dagster_instance
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, store
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from tests.dagster_layer import active
from tests.evaluation.traffic import POLICY, START, WEIGHTS, generate, install

PATIENCE_S = 60.0


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """The loop over the traffic's hours as a process that leads a group of its own."""
    dagster_instance.write_instance(settings)
    command = [sys.executable, "-m", "jobs.execute", "learning_loop", START.isoformat(), datetime.now(UTC).isoformat()]
    return subprocess.Popen(
        command,
        env={**os.environ, **dagster_instance.environment(settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def count(settings: Settings, sql: str) -> int:
    with transaction(settings) as connection:
        return int(connection.execute(sa.text(sql)).scalar_one())


def kill_when(settings: Settings, reached: Callable[[], bool]) -> None:
    """Start the loop and kill it as soon as the point is reached, or let it end when it is quicker than we look."""
    process = start(settings)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None and not reached():
        time.sleep(0.01)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)
    assert reached()


@pytest.mark.usefixtures("dagster_database")
def test_the_next_run_completes_what_a_killed_one_began(settings: Settings) -> None:
    install(settings)
    made = generate(WEIGHTS, 1200, seed=1)
    waiting = [Observation.model_validate(row) for row in made.observations]
    with transaction(settings) as connection:
        inbox.enqueue(connection, waiting)
        inbox.enqueue_feedback(connection, made.feedback)

    kill_when(settings, lambda: count(settings, "SELECT count(*) FROM lake_hours WHERE dataset = 'rewards'") > 0)
    left = count(settings, "SELECT count(*) FROM inbox_observations")
    stored = count(settings, "SELECT coalesce(sum(rows), 0) FROM lake_hours WHERE dataset = 'observations'")
    assert left + stored == len(waiting), "each row is in the inbox or in the lake, in one of them"

    assert start(settings).wait(PATIENCE_S) == 0
    assert materialise.stale_hours(settings) == []
    with transaction(settings) as connection:
        assert inbox.depth(connection) == 0
        assert [version.ref for version in store.versions(connection, POLICY, "draft")] == ["router-core@1.0.1"]
        assert audit.verify(connection).ok
    own = count(settings, "SELECT coalesce(sum(rows), 0) FROM lake_hours WHERE dataset = 'rewards'")
    assert own >= len(waiting)
    assert active(settings) == "1.0.0"
