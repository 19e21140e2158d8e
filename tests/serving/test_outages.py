"""The service ends, or PostgreSQL lets nobody in: agents run on and catch up, and nothing they told is lost."""

import contextlib
import dataclasses
from collections.abc import Iterator

import psycopg
import pytest

from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import acknowledgements, agent_returns
from cogorch_dagster.policies import ramps, store
from cogorch_dagster.serving import endless
from cogorch_dagster.settings import Settings
from tests.policies.test_canary import pace
from tests.service.processes import Service
from tests.serving.hyperparameters import into_force, rows
from tests.serving.running import Running, running_agents
from tests.serving.test_process import OPTIONS, of_service, token

ONE = dataclasses.replace(OPTIONS, agents=("consensus",))


@contextlib.contextmanager
def nobody_let_in(settings: Settings) -> Iterator[None]:
    """As when the server stops, for this test's database alone: every connection ends, and no new one begins."""
    name = settings.database
    with psycopg.connect(postgres.server_url(settings, "postgres"), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false'.encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true'.encode())


def steps_on(agents: Running, steps: int = 60) -> None:
    training = agents.began[0].training
    goal = training.steps + steps
    agents.until(lambda: training.steps >= goal)


def test_without_the_service_agents_run_on_and_catch_up(served: Service) -> None:
    settings = of_service(served)
    options = dataclasses.replace(ONE, name="alone", poll_interval_s=0.2)
    with running_agents(settings, token(served), options) as agents:
        agents.until(lambda: len(agents.told) == 1)
        served.kill()
        missed = into_force(settings, "consensus", learningRate=6e-4)
        newest = into_force(settings, "consensus", learningRate=5e-4)
        steps_on(agents)
        assert len(agents.told) == 1
        served.start()
        agents.until(lambda: agents.told_of(newest.version) is not None)
    assert agents.error is None and agents.served is not None
    assert agents.served.versions == {"agent-consensus": newest.version}
    assert agents.told_of(missed.version) is None
    assert [each.version for each in rows(settings, acknowledgements)][1:] == [newest.version]


def test_without_postgresql_agents_run_on_and_what_they_told_arrives_once(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endless, "WARM_UP", 20)
    settings = of_service(served)
    with running_agents(settings, token(served), dataclasses.replace(ONE, name="unheard")) as agents:
        agents.until(lambda: len(rows(settings, agent_returns)) >= 2)
        holder = psycopg.connect(postgres.server_url(settings, settings.database))
        holder.execute("LOCK TABLE acknowledgements IN ACCESS EXCLUSIVE MODE")
        changed = into_force(settings, "consensus", learningRate=7e-4)
        agents.until(lambda: agents.told_of(changed.version) is not None)
        # Taken over, and its acknowledgement is not written yet.
        with nobody_let_in(settings):
            before = agents.began[0].training.steps
            steps_on(agents)
        holder.close()
        agents.until(lambda: len(rows(settings, acknowledgements)) == 2)
        steps_on(agents)
    assert agents.error is None
    answers = rows(settings, acknowledgements)
    assert [(each.version, each.accepted) for each in answers][1:] == [(changed.version, True)]
    steps = [each.steps for each in rows(settings, agent_returns)]
    assert steps == sorted(set(steps)) and any(before <= each < before + 60 for each in steps), "nor is a window"


def test_an_agents_version_never_ramps(served: Service) -> None:
    settings = of_service(served)
    with transaction(settings) as connection:
        pace(connection)  # for every policy that ramps
        pace(connection, "its-own", appliesTo="agent-consensus")
    done = into_force(settings, "consensus", learningRate=6e-4)
    assert done.share == 1.0
    with transaction(settings) as connection:
        active = store.active(connection, "agent-consensus")
        assert active is not None and active.version == done.version
        assert ramps.ramps(connection) == []
