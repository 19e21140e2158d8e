"""A coordinated step with the agents' own processes: complete, reproducible, and never held up by one of them."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.agents import algorithms, checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES, AgentName
from cogorch_dagster.games.agent_process import AgentProcesses, AgentSource
from cogorch_dagster.games.coordination_result import CoordinationResult
from cogorch_dagster.games.coordinator import CoordinationSettings, Coordinator
from cogorch_dagster.games.discretisation import NO_OPERATION, named
from cogorch_dagster.games.safety import SafetyBounds
from tests.games.coordination import environment, light, sources

# The two kinds of actions each have a real agent; a process with torch costs seconds to start.
REAL: dict[AgentName, str] = {"policy": "dqn", "resource": "ddpg"}
NOTHING = named(NO_OPERATION)
QUICK = CoordinationSettings(limit_s=60, intentions_s=20, scenarios=2, horizon=2)


def checkpoint(agent: AgentName) -> Checkpoint:
    states, actions, algorithm = STATE_SIZES[agent], ACTION_COUNTS.get(agent, 4), REAL[agent]
    fresh = algorithms.learner(algorithm, {}, states=states, actions=actions, seed=5)
    return Checkpoint(
        agent=agent,
        algorithm=algorithm,
        configuration=algorithms.complete(algorithm, {}),
        calibration="sha256:c",
        states=states,
        actions=actions,
        steps=0,
        seed=5,
        metrics={},
        parts=fresh.parts(),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("agents")
    for agent in REAL:
        checkpoints.write(found / f"{agent}.safetensors", checkpoint(agent))
    return found


@pytest.fixture(scope="module")
def agents(folder: Path) -> Iterator[AgentProcesses]:
    commands = {agent: light(agent, "1") for agent in AGENTS if agent not in REAL}
    with AgentProcesses(sources(folder), commands) as found:
        assert found.wait_ready(120)
        yield found


@pytest.fixture(scope="module")
def fleets() -> FleetEnvironment:
    return environment(fleets=2)


@pytest.fixture(scope="module")
def result(agents: AgentProcesses, fleets: FleetEnvironment) -> CoordinationResult:
    return Coordinator(agents, QUICK).coordinate(fleets, 1, seed=4)


def cheap(**manners: str) -> AgentProcesses:
    found = AgentProcesses(sources(), {agent: light(agent, manners.get(agent, "well")) for agent in AGENTS})
    assert found.wait_ready(60)
    return found


def test_the_agents_say_what_their_checkpoints_say(
    result: CoordinationResult, fleets: FleetEnvironment, folder: Path
) -> None:
    said = {each.agent: each for each in result.intentions}
    assert list(said) == list(AGENTS)
    for agent in REAL:
        path = folder / f"{agent}.safetensors"
        wanted = Policy.of(checkpoints.read(path)).act(fleets.states[agent][1])
        assert np.allclose(said[agent].action, wanted, atol=1e-6)
        assert said[agent].checkpoint == checkpoints.digest(path.read_bytes())
    assert result.intended["consensus"] == "timeout_halved" and result.intended["resource"] == "intention"


def test_a_step_is_a_verified_equilibrium_and_an_action_that_can_be_played(
    result: CoordinationResult, fleets: FleetEnvironment
) -> None:
    assert result.equilibrium is not None
    assert result.equilibrium.verified and result.equilibrium.relative <= 1e-5
    assert result.degraded == () and result.scenarios == 2 and result.horizon == 2
    assert set(result.figures) == {"intended", "no operation", "played"}
    played, nothing = result.figures["played"], result.figures["no operation"]
    assert played.violations - nothing.violations <= QUICK.bounds.violations
    assert nothing.success - played.success <= QUICK.bounds.success
    if result.decided == "equilibrium":
        assert result.actions == result.equilibrium.actions and result.remark is None
    alone = fleets.branch(np.array([1]), seed=0)
    actions = {agent: np.array([index]) for agent, index in result.joint.items()}
    alone.step({**actions, "resource": np.array([result.resource])})
    assert alone.knobs.replicas[:, 0] == pytest.approx(result.resource[:3], abs=1e-6)
    assert sum(result.seconds[phase] for phase in ("intentions", "payoffs", "equilibrium", "settlement")) <= (
        result.seconds["total"] * 1.001
    )


def test_the_same_seed_decides_the_same_and_the_result_is_json(
    result: CoordinationResult, agents: AgentProcesses, fleets: FleetEnvironment
) -> None:
    again = Coordinator(agents, QUICK).coordinate(fleets, 1, seed=4)
    times = {"seconds": {}, "payoff_cpu_seconds": 0.0}
    assert replace(again, **times) == replace(result, **times)
    document = json.loads(json.dumps(result.document()))
    assert document["actions"] == result.actions and document["payoffs"] == result.payoffs
    assert result.digest.startswith("sha256:") and replace(result, seed=5).digest != result.digest


def test_an_agent_killed_in_the_middle_of_a_step_is_done_without_and_comes_back(
    agents: AgentProcesses, fleets: FleetEnvironment
) -> None:
    coordinator = Coordinator(agents, QUICK)
    assert agents.wait_ready(120)
    first = coordinator.coordinate(fleets, 0, seed=1)
    pid = agents.processes["policy"].pid
    os.kill(pid, signal.SIGSTOP)  # so that it is asked, and has not answered when it is killed
    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    killer.start()
    second = coordinator.coordinate(fleets, 0, seed=1)
    killer.join()
    assert second.seconds["total"] <= second.limit_s
    assert second.seconds["intentions"] >= 0.5
    (degraded,) = second.degraded
    assert (degraded.agent, degraded.reason) == ("policy", "its process was killed by signal 9")
    assert (degraded.instead, degraded.action) == ("last good action", first.intended["policy"])
    assert [each.agent for each in second.intentions] == ["consensus", "ethical", "resource"]
    assert second.equilibrium is not None and second.equilibrium.verified
    assert second.equilibrium.actions["policy"] == first.intended["policy"]
    assert agents.processes["policy"].pid != pid and agents.wait_ready(120)
    third = coordinator.coordinate(fleets, 0, seed=1)
    assert third.degraded == () and third.intentions == first.intentions


def test_an_agent_that_hangs_is_done_without_within_the_limit(fleets: FleetEnvironment) -> None:
    with cheap() as processes:
        coordinator = Coordinator(processes, replace(QUICK, limit_s=30, intentions_s=1))
        os.kill(processes.processes["ethical"].pid, signal.SIGSTOP)
        found = coordinator.coordinate(fleets, 0, seed=1)
    assert found.seconds["total"] <= found.limit_s
    (degraded,) = found.degraded
    assert (degraded.agent, degraded.reason) == ("ethical", "gave no answer within 1 s")
    assert (degraded.instead, degraded.action) == ("no operation", "none")
    assert found.actions["ethical"] == "none"
    assert found.equilibrium is not None and found.equilibrium.verified


def test_an_agent_whose_checkpoint_is_corrupt_is_done_without_and_the_reason_is_said(
    fleets: FleetEnvironment, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.safetensors"
    content = bytearray((folder / "policy.safetensors").read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    given = [AgentSource("policy", str(path)), *sources()[1:]]
    with AgentProcesses(given, {agent: light(agent) for agent in AGENTS if agent != "policy"}) as processes:
        found = Coordinator(processes, QUICK).coordinate(fleets, 0, seed=1)
    (degraded,) = found.degraded
    assert degraded.agent == "policy" and degraded.instead == "no operation"
    assert degraded.reason.startswith("its checkpoint cannot be used: it is damaged or cut off")
    assert found.seconds["total"] <= found.limit_s
    assert found.equilibrium is not None and found.equilibrium.verified


def test_a_last_good_action_is_used_only_while_it_is_recent(fleets: FleetEnvironment) -> None:
    with cheap(policy="4") as processes:
        coordinator = Coordinator(processes, replace(QUICK, recent=1))
        coordinator.coordinate(fleets, 0, seed=1)
        instead = []
        for _ in range(2):
            os.kill(processes.processes["policy"].pid, signal.SIGKILL)
            found = coordinator.coordinate(fleets, 0, seed=1)
            instead.append((found.degraded[0].instead, found.intended["policy"]))
            assert processes.wait_ready(60)
    assert instead == [("last good action", "cost_cap_up"), ("no operation", "none")]


def test_without_time_for_the_payoffs_nobody_acts(fleets: FleetEnvironment) -> None:
    with cheap() as processes:
        found = Coordinator(processes, CoordinationSettings(limit_s=0.001, intentions_s=0.001)).coordinate(
            fleets, 0, seed=1
        )
    assert found.decided == "no operation" and found.actions == NOTHING
    assert found.equilibrium is None and found.payoffs is None and found.figures == {}
    assert found.remark == "the step's limit of 0.001 s left no time for the payoffs"
    present = [*fleets.knobs.replicas[:, 0], fleets.knobs.concurrency[0]]
    assert found.resource == pytest.approx(present)
    assert found.document()["equilibrium"] is None


def test_a_veto_is_on_record_and_what_is_played_instead_has_no_objection(fleets: FleetEnvironment) -> None:
    bounds = SafetyBounds(violations=0, success=0, cost=0)
    with cheap(policy="8", consensus="1") as processes:
        strict = Coordinator(processes, replace(QUICK, bounds=bounds, common=0.0, epsilon=1.0))
        found = [strict.coordinate(fleets, 0, seed=seed) for seed in range(6)]
    vetoed = [each for each in found if each.vetoes]
    assert vetoed
    for each in vetoed:
        assert each.vetoes[0].actions != each.actions and each.vetoes[0].reasons
        assert each.decided in ("bargain", "no operation") and each.remark is not None
        assert "vetoed" in each.remark
    for each in found:
        played, nothing = each.figures["played"], each.figures["no operation"]
        assert played.violations <= nothing.violations
        assert played.success >= nothing.success
        assert played.cost <= nothing.cost


def test_conflicts_are_settled_with_everybody_s_utility_before_and_after(fleets: FleetEnvironment) -> None:
    # Relaxing queues against halving the timeout is a declared pair.
    with cheap(policy="9", consensus="1") as processes:
        found = Coordinator(processes, replace(QUICK, common=0.0, epsilon=0.0)).coordinate(fleets, 0, seed=2)
    declared = [each for each in found.conflicts if each.conflict.kind == "declared"]
    assert (declared[0].among, declared[0].conflict.agents) == ("intentions", ("policy", "consensus"))
    for each in found.conflicts:
        assert set(each.before) == set(each.after) == set(AGENTS)
        assert each.after == found.figures["played"].utilities
    assert declared[0].before == found.figures["intended"].utilities
    left = [each for each in found.conflicts if each.among == "equilibrium"]
    if left:
        assert found.decided != "equilibrium" and found.remark is not None
        nothing, played = found.figures["no operation"].utilities, found.figures["played"].utilities
        assert all(played[agent] >= nothing[agent] for agent in AGENTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit_s": 0}, "limit_s is 0"),
        ({"intentions_s": 11}, "intentions_s is 11"),
        ({"recent": -1}, "recent is -1 steps"),
        ({"common": 1.5}, "common is 1.5"),
    ],
)
def test_settings_out_of_their_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        CoordinationSettings(**change)


def test_a_fleet_that_is_not_there_is_refused(agents: AgentProcesses, fleets: FleetEnvironment) -> None:
    with pytest.raises(InvalidInput, match="there is no fleet 2; the environment has 0 to 1"):
        Coordinator(agents, QUICK).coordinate(fleets, 2, seed=0)
