"""What a process reports arrives in order and once, whatever the database does meanwhile, and never holds it up."""

import time
from datetime import timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import acknowledgements, agent_returns
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.serving.returns import Earned
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import MOMENT, plant, rows

POLICY = "agent-policy"


def answer(steps: int, version: str = "1.0.0") -> Reload:
    return Reload(POLICY, version, steps % 2 == 0, None if steps % 2 == 0 else "no", steps)


def test_reports_survive_lost_connections_in_order_and_are_never_doubled(settings: Settings) -> None:
    plant(settings)
    with Reports(settings, "x") as reports:
        for steps in range(40):
            reports.acknowledge(answer(steps))
            if steps in (10, 25):
                assert reports.flush(20)
                end_connections(settings)
        reports.acknowledge(answer(99, version="7.7.7"))  # of a database that was restored
        reports.acknowledge(answer(40))
        assert reports.flush(20)
        assert reports.connected
        # An answer that was lost after it was written is written again by whoever waits for it.
        reports.acknowledge(answer(40))
        assert reports.flush(20)
    found = rows(settings, acknowledgements)
    assert [each.steps for each in found] == list(range(41))
    assert [each.accepted for each in found] == [steps % 2 == 0 for steps in range(41)]
    assert {each.process for each in found} == {"x"}


def test_a_database_that_is_held_up_holds_no_step_up(settings: Settings) -> None:
    plant(settings)
    with (
        psycopg.connect(postgres.server_url(settings, settings.database)) as holder,
        Reports(settings, "x") as reports,
    ):
        holder.execute("LOCK TABLE acknowledgements IN ACCESS EXCLUSIVE MODE")
        began = time.process_time()
        for steps in range(100):
            reports.acknowledge(answer(steps))
        assert time.process_time() - began < 0.5
        assert not reports.flush(0.2) and reports.waiting == 100
        holder.rollback()
        assert reports.flush(20)
    assert [each.steps for each in rows(settings, acknowledgements)] == list(range(100))


def test_a_window_is_reported_once_for_each_version_that_is_known(settings: Settings) -> None:
    plant(settings)
    versions = {POLICY: "1.0.0", "agent-ethical": "1.0.0", "agent-consensus": "9.9.9"}
    with Reports(settings, "x") as reports:
        for at in (0, 1, 1):
            reports.earned(Earned(0.5 + at, versions, at, MOMENT + timedelta(seconds=at)))
        reports.earned(Earned(0.5, {}, 5, MOMENT))
        assert reports.flush(20)
    found = [(each.policy_id, each.value, each.measured_at) for each in rows(settings, agent_returns)]
    assert sorted(found) == sorted(
        (policy, 0.5 + at, MOMENT + timedelta(seconds=at)) for at in (0, 1) for policy in (POLICY, "agent-ethical")
    )


def end_connections(settings: Settings) -> Any:
    with transaction(settings) as connection:
        ended = connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'cogorch-serving' AND datname = current_database()"
            )
        ).all()
    assert ended
    return ended
