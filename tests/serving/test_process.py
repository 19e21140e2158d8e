"""Running agents: versions arrive, are taken over or refused and acknowledged; nothing is lost when something ends."""

import dataclasses
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from cogorch_dagster.agents import checkpoints, store
from cogorch_dagster.agents.training import joint_checkpoints
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import acknowledgements, agent_returns
from cogorch_dagster.policies import decisions
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.serving import endless, kept, process
from cogorch_dagster.serving.beginning import begin
from cogorch_dagster.serving.loop import STARTED
from cogorch_dagster.serving.process import Options, Progress, _alone, serve
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, free_port, token_for
from tests.serving.hyperparameters import FLEET, document, into_force, rows, same, small_training
from tests.serving.running import running_agents

# Cheap steps: one on-policy agent, one with a replay.
AGENTS = ("policy", "consensus")
OPTIONS = Options(agents=AGENTS, fleets=2, poll_interval_s=3600.0)


def of_service(service: Service) -> Settings:
    return service.settings.model_copy(update={"service_port": service.port})


def token(service: Service) -> str:
    return token_for(service.settings, "read", name=uuid.uuid4().hex)


def test_a_version_is_taken_over_acknowledged_and_earns_under_its_own_name(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endless, "WARM_UP", 20)
    settings = of_service(served)
    options = dataclasses.replace(OPTIONS, name="follows")
    with running_agents(settings, token(served), options) as agents:
        agents.until(lambda: len(agents.told) == 2)
        assert {each.reason for each in agents.told} == {STARTED}
        agents.until(lambda: len(rows(settings, agent_returns)) >= 2)
        good = into_force(settings, "policy", learningRate=6e-4)
        agents.until(lambda: agents.told_of(good.version) is not None)
        refused = into_force(settings, "consensus", hidden=[16, 16])
        agents.until(lambda: agents.told_of(refused.version) is not None)
        count = len(rows(settings, agent_returns))
        agents.until(lambda: len(rows(settings, agent_returns)) > count + 2)
    assert agents.error is None and agents.served is not None
    answers = [each for each in rows(settings, acknowledgements) if each.reason != STARTED]
    assert [(each.policy_id, each.version, each.accepted) for each in answers] == [
        ("agent-policy", good.version, True),
        ("agent-consensus", refused.version, False),
    ]
    assert answers[0].acknowledged_at > good.activated_at
    assert answers[0].process.endswith("/follows") and "next training" in answers[1].reason
    earned = rows(settings, agent_returns)
    # Agents that had just begun earn more and more under any version: that is not recorded.
    assert min(each.steps for each in earned) - FLEET.horizon >= agents.began[0].settled_from > 0
    last = {each.policy_id: each.version for each in earned[-2:]}
    # What was refused never counts as being in force in this process.
    assert last == agents.served.versions == {"agent-policy": good.version, "agent-consensus": "1.0.0"}
    assert {each.version for each in earned if each.policy_id == "agent-consensus"} == {"1.0.0"}
    # A window holds whole episodes, and reports each agent once.
    assert len({(each.policy_id, each.measured_at) for each in earned}) == len(earned)
    with transaction(settings) as connection:
        back = decisions.rollback(connection, "agent-consensus", "1.0.0", "ada", "not for running agents")
        activate(connection, back.decision_id, "ada")


def test_the_next_process_goes_on_where_this_one_stopped_without_the_service(served: Service) -> None:
    settings = of_service(served)
    options = dataclasses.replace(OPTIONS, name="resumes", steps=30)
    with running_agents(settings, token(served), options) as first:
        first.until(lambda: first.served is not None)
    assert first.served is not None and first.served.steps == 30
    version = first.served.versions["agent-policy"]
    # The service is away; the last good versions are in the files of this name.
    away = settings.model_copy(update={"service_port": free_port()})
    with running_agents(away, "nobody", dataclasses.replace(options, fleets=None)) as second:
        second.until(lambda: second.served is not None)
    beginning, (one, two) = second.began[0], (first.began[0], second.served)
    assert beginning.sources == dict.fromkeys(AGENTS, "kept")
    assert two is not None and two.versions["agent-policy"] == version
    assert beginning.training.steps == 60 and beginning.training.configuration.fleets == 2
    # Sixty steps without a stop are the same, bit for bit.
    fresh = begin(settings, "nowhere", AGENTS, {a: document(a) for a in AGENTS}, fleets=2, seed=0, parameters=FLEET)
    straight = fresh.training
    straight.configuration = one.training.configuration
    for agent, learner in straight.learners.items():
        learner.adopt(straight.configuration.settings_of(agent))
    for _ in range(60):
        straight.advance()
    left = checkpoints.read(two.path).parts
    assert same(straight.parts()["learners"], left["learners"])
    assert same(straight.parts()["environment"], left["environment"])


def test_what_a_training_stored_since_goes_before_a_process_of_its_own(settings: Settings) -> None:
    trained = small_training(AGENTS, steps=12, fleets=3)
    trained.validate()
    stored = {agent: store.save(settings, each) for agent, each in joint_checkpoints.of_agents(trained).items()}
    path = kept.path_of(settings, "x")
    found = begin(settings, path, AGENTS, {}, fleets=None, seed=0, parameters=FLEET)
    assert set(found.sources.values()) == {"stored"} and found.training.configuration.fleets == 3
    assert same(found.training.parts()["learners"], trained.parts()["learners"])
    with kept.Keeper(path, 1e9, found.origins, found.settled_from) as keeper:
        keeper.keep(found.training, {"agent-policy": "1.0.7"})
    again = begin(settings, path, AGENTS, {}, fleets=None, seed=0, parameters=FLEET)
    assert set(again.sources.values()) == {"kept"} and again.versions == {"agent-policy": "1.0.7"}
    trained.advance()
    trained.validate()
    trained.best = {"steps": trained.steps, "parts": {agent: each.parts() for agent, each in trained.learners.items()}}
    store.save(settings, joint_checkpoints.of_agents(trained)["policy"])
    newer = begin(settings, path, AGENTS, {}, fleets=None, seed=0, parameters=FLEET)
    assert newer.sources == {"policy": "stored", "consensus": "kept"} and newer.versions == {}
    # In another number of fleets the weights go on and the memory begins empty, as far on as it was.
    other = begin(settings, "none", AGENTS, {}, fleets=5, seed=0, parameters=FLEET)
    parts = other.training.parts()["learners"]["policy"]
    was = trained.parts()["learners"]["policy"]
    assert same(parts["online"], was["online"]) and same(parts["optimizer"], was["optimizer"])
    assert parts["replay"]["seen"] == was["replay"]["seen"] and parts["replay"]["added"] == 0
    for _ in range(5):
        other.training.advance()
    assert stored["policy"].agent == "policy"


def test_returns_count_once_memories_are_full_and_go_on_counting_after_a_restart(settings: Settings) -> None:
    path = kept.path_of(settings, "x")
    longest = 200  # of the policy agent's replay, in steps
    new = begin(settings, path, AGENTS, {}, fleets=2, seed=0, parameters=FLEET)
    assert new.settled_from == endless.WARM_UP + longest
    for _ in range(3):
        new.training.advance()
    with kept.Keeper(path, 1e9, new.origins, new.settled_from) as keeper:
        keeper.keep(new.training, {})
    # Stopped before they had settled, they go on settling; in other fleets the memory begins empty.
    again = begin(settings, path, AGENTS, {}, fleets=None, seed=0, parameters=FLEET)
    assert (again.training.steps, again.settled_from) == (3, new.settled_from)
    other = begin(settings, path, AGENTS, {}, fleets=3, seed=0, parameters=FLEET)
    assert other.settled_from == 3 + longest
    alone = begin(settings, path, ("consensus",), {}, fleets=4, seed=0, parameters=FLEET)
    assert alone.settled_from == 3 + FLEET.horizon


def test_a_process_tells_where_it_is(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_VERSIONS_S", 0.0)
    away = settings.model_copy(update={"service_port": free_port()})
    options = dataclasses.replace(OPTIONS, name="tells", agents=("consensus",), steps=45)
    told: list[Progress] = []
    serve(
        away, "x", options, stop=lambda: False, progress=told.append, progress_every_s=0.0, parameters=FLEET
    )  # fmt: skip
    assert [each.steps for each in told] == list(range(1, 46))
    assert [each.reward is None for each in told] == [True] * 19 + [False] * 26
    assert told[-1].settled_from == endless.WARM_UP + FLEET.horizon and told[-1].versions == {}


def test_a_damaged_file_is_no_reason_not_to_begin(settings: Settings) -> None:
    path = Path(kept.path_of(settings, "x"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut off")
    found = begin(settings, str(path), ("consensus",), {}, fleets=None, seed=0, parameters=FLEET)
    assert found.sources == {"consensus": "new"} and found.training.configuration.fleets == 16


def test_new_agents_have_the_architecture_of_their_document(settings: Settings) -> None:
    sent = {"consensus": document("consensus", hidden=[16, 8], learningRate=9e-4)}
    found = begin(settings, "none", ("consensus",), sent, fleets=2, seed=0, parameters=FLEET)
    own = found.training.configuration.settings_of("consensus")
    assert (own["shared"], own["learning_rate"], own["anneal_steps"]) == ([16, 8], 9e-4, 0)


def test_divergence_refuses_the_version_and_goes_back_to_the_last_good_state(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of_service(served)
    options = dataclasses.replace(OPTIONS, name="diverges", agents=("consensus",))
    with running_agents(settings, token(served), options) as agents:
        agents.until(lambda: len(agents.told) == 1)
        training = agents.began[0].training
        good = agents.told[0].version
        rate = training.configuration.settings_of("consensus")["learning_rate"]
        broken = training.learners["consensus"]
        learn = broken.learn

        def diverging(transition):  # type: ignore[no-untyped-def]
            figures = learn(transition)
            now = training.configuration.settings_of("consensus")["learning_rate"]
            return {**figures, "loss": float("nan")} if now != rate else figures

        monkeypatch.setattr(broken, "learn", diverging)
        bad = into_force(settings, "consensus", learningRate=rate * 1.4)
        agents.until(lambda: any(not each.accepted for each in agents.told))
        steps = training.steps
        agents.until(lambda: training.steps > steps + 5)
        assert training.configuration.settings_of("consensus")["learning_rate"] == rate
    assert agents.error is None and agents.served is not None
    assert agents.served.versions == {"agent-consensus": good}
    answers = [(each.version, each.accepted) for each in rows(settings, acknowledgements)]
    assert answers == [(good, True), (bad.version, True), (bad.version, False)]
    assert "diverged" in rows(settings, acknowledgements)[-1].reason


def test_one_process_of_a_name_at_a_time(settings: Settings) -> None:
    away = settings.model_copy(update={"service_port": free_port()})
    with _alone(settings.home / "serving" / "twice"), running_agents(away, "x", Options(name="twice")) as agents:
        pass
    assert isinstance(agents.error, InvalidInput) and "--name" in str(agents.error)
    with pytest.raises(InvalidInput, match=r"name is '\.\./x'"):
        Options(name="../x")


def test_rows_refer_to_versions_that_exist(served: Service) -> None:
    with transaction(served.settings) as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(
            sa.insert(acknowledgements).values(
                policy_id="agent-policy", version="9.9.9", process="x", accepted=True, steps=0
            )
        )


def test_whoever_may_read_sees_updates_over_http(served: Service) -> None:
    secret = token(served)
    answer = served.get("/api/v1/agents/updates?agent=resource", secret)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [each["policy_id"] for each in found["history"]] == ["agent-resource"]
    assert found["pending"] == [] and found["statistics"]["acceptance"] is None
    assert served.get("/api/v1/agents/updates").status_code == 401
    unknown = served.get("/api/v1/agents/updates?agent=pilot", secret)
    assert unknown.status_code == 422 and "pilot" in unknown.json()["message"]
