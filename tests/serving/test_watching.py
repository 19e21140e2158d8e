"""A drop after a change takes it back: once, with its evidence, and never to and fro."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import acknowledgements, agent_returns
from cogorch_dagster.policies import audit, decisions, flags, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.serving import updates, watching
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import into_force, plant

POLICY = "agent-policy"


def earn(
    settings: Settings, level: float, count: int, *, process: str = "x", seconds: float = 0, seed: int = 0
) -> None:
    """Windows of a process around a level under the versions now in force; they begin `seconds` from now."""
    values = np.random.default_rng(seed).normal(level, 0.01, count)
    begin = datetime.now(UTC) + timedelta(seconds=seconds)
    with transaction(settings) as connection:
        active = {agent: store.active(connection, policy_of(agent)) for agent in AGENT_KINDS}
        found = [
            {
                "policy_id": version.policy_id,
                "version": version.version,
                "process": process,
                "steps": at,
                "measured_at": begin + timedelta(milliseconds=at),
                "value": float(value),
            }
            for at, value in enumerate(values)
            for version in active.values()
            if version is not None
        ]
        connection.execute(sa.insert(agent_returns), found)


def in_force(settings: Settings, policy_id: str = POLICY) -> str:
    with transaction(settings) as connection:
        active = store.active(connection, policy_id)
    assert active is not None
    return active.version


def test_a_drop_is_taken_back_once_with_its_evidence_and_stays_so(settings: Settings) -> None:
    plant(settings)
    earn(settings, 0.9, 30, seconds=-60)
    changed = into_force(settings, "policy", learningRate=6e-4)
    earn(settings, 0.7, 11)
    assert watching.step(settings) == []  # not enough windows, however bad they are
    earn(settings, 0.7, 9, seconds=1)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="a drop is taken back all the same")
    with ThreadPoolExecutor(3) as processes:
        found = [each for done in processes.map(lambda _: watching.step(settings), range(3)) for each in done]
    (back,) = found
    assert (back.change.version, back.change.previous) == (changed.version, "1.0.0")
    assert back.drop.difference == pytest.approx(-0.2, abs=0.02) and back.drop.bound is not None
    assert (back.drop.before, back.drop.after) == (30, 20) and back.drop.bound < -0.1
    assert in_force(settings) == "1.0.0"
    with transaction(settings) as connection:
        assert store.version(connection, POLICY, changed.version).status == "rolled_back"
        (evidence,) = audit.records(connection, event=watching.EVENT)
        assert evidence.actor == watching.RULE and evidence.subject == f"{POLICY}@{changed.version}"
        assert evidence.payload["windows_after"] == 20 and evidence.payload["difference"] == back.drop.difference
        activated = audit.records(connection, subject=POLICY, event="version.activated", limit=1)[0]
        assert activated.payload["decision_id"] == evidence.payload["decision_id"]
        assert audit.verify(connection).ok
    # However bad it goes on, a rollback is not rolled back; neither is a person's return to the worse version.
    earn(settings, 0.2, 40, seconds=2)
    assert watching.step(settings) == []
    with transaction(settings) as connection:
        again = decisions.rollback(connection, POLICY, changed.version, "ada", "I want it")
        activate(connection, again.decision_id, "ada")
    earn(settings, 0.1, 40, seconds=3)
    assert watching.step(settings) == []
    assert in_force(settings) == changed.version
    with transaction(settings) as connection:
        numbers = updates.statistics(connection, "policy")
    assert (numbers.rollbacks, numbers.automatic) == (2, 1)


def test_only_the_change_that_did_it_is_taken_back(settings: Settings) -> None:
    plant(settings)
    earn(settings, 0.9, 30, seconds=-90)
    good = into_force(settings, "policy", learningRate=6e-4)
    earn(settings, 0.9, 30, seconds=0)
    bad = into_force(settings, "ethical", clip=0.25)
    earn(settings, 0.8, 30, seconds=1)
    (back,) = watching.step(settings)
    assert back.change.policy_id == "agent-ethical" and back.change.version == bad.version
    assert in_force(settings) == good.version and in_force(settings, "agent-ethical") == "1.0.0"


def test_no_worse_refused_or_unheard_changes_stay(settings: Settings) -> None:
    plant(settings)
    earn(settings, 0.9, 40, seconds=-60)
    changed = into_force(settings, "policy", learningRate=6e-4)
    earn(settings, 0.895, 60, seed=1)
    # A process of its own level that only ever ran under the new version tells of no difference.
    earn(settings, 0.2, 60, process="y")
    assert watching.step(settings) == []
    refused = into_force(settings, "consensus", hidden=[32, 32])
    with transaction(settings) as connection:
        for process, accepted in (("x", False), ("y", False), ("z", True)):
            connection.execute(
                sa.insert(acknowledgements).values(
                    policy_id="agent-consensus",
                    version=refused.version,
                    process=process,
                    accepted=accepted,
                    reason=None if accepted else "it takes effect with the next training",
                    steps=3,
                )
            )
    assert watching.step(settings) == []
    assert (in_force(settings), in_force(settings, "agent-consensus")) == (changed.version, refused.version)
    with transaction(settings) as connection:
        newest, *_ = updates.history(connection, "consensus")
    assert newest.mostly_refused and newest.version == refused.version
    assert [(each.process, each.accepted) for each in newest.acknowledgements] == [
        ("x", False),
        ("y", False),
        ("z", True),
    ]
