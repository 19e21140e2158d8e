"""Processes that are asked for intentions: whatever one does, the others are heard and the limit holds.

The processes here are real ones, but of a worker without torch; the agents' own are in `test_coordinator.py`.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.agents import store
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES
from cogorch_dagster.games.agent_process import AgentProcesses, AgentSource, stored_sources
from cogorch_dagster.games.intentions import Intention, Silence
from cogorch_dagster.settings import Settings
from tests.games.coordination import light, sources

STATES = {agent: np.zeros(size, dtype=np.float32) for agent, size in STATE_SIZES.items()}
LIMIT_S = 1.0


def started(**manners: str) -> AgentProcesses:
    commands = {agent: light(agent, manners.get(agent, "well")) for agent in AGENTS}
    return AgentProcesses(sources(), commands)


@pytest.fixture(scope="module")
def well() -> Iterator[AgentProcesses]:
    with started(policy="6") as found:
        assert found.wait_ready(30)
        yield found


def test_every_agent_is_heard(well: AgentProcesses) -> None:
    for _ in range(3):
        found = well.broadcast(STATES, limit_s=10)
        assert list(found) == list(AGENTS)
        assert all(isinstance(answer, Intention) for answer in found.values())
        assert [answer.action for answer in found.values()] == [6, 0, 0, (0.4, 0.5, 0.6, 0.7)]


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("raises", "its process ended with exit code 1"),
        ("hangs", "gave no answer within 1 s"),
        ("stops in a line", "gave no answer within 1 s"),
        ("says so", "ValueError: no"),
        ("nonsense", "answered nonsense: '<html>'"),
        ("impossible", "answered nonsense: action 99"),
        ("another question", "answered question 2, the last was 1"),
        ("floods", "answered nonsense: "),
    ],
)
def test_one_that_fails_is_reported_and_replaced_while_the_others_are_heard(manner: str, reason: str) -> None:
    with started(ethical=manner) as processes:
        assert processes.wait_ready(30)
        pid = processes.processes["ethical"].pid
        begun = time.monotonic()
        found = processes.broadcast(STATES, limit_s=LIMIT_S)
        assert time.monotonic() - begun < 10  # the limit, and no more than a busy machine adds
        assert isinstance(found["ethical"], Silence) and found["ethical"].reason.startswith(reason)
        assert all(isinstance(found[agent], Intention) for agent in AGENTS if agent != "ethical")
        assert processes.processes["ethical"].pid != pid
        assert not _alive(pid)
        assert processes.wait_ready(30)


@pytest.mark.parametrize(
    ("manner", "reason"),
    [("never ready", "its process is still loading the checkpoint"), ("exits", "its process ended with exit code 7")],
)
def test_one_that_does_not_start_is_reported(manner: str, reason: str) -> None:
    with started(policy=manner) as processes:
        found = processes.broadcast(STATES, limit_s=1.5)
        assert isinstance(found["policy"], Silence) and found["policy"].reason == reason
        assert not processes.wait_ready(0.2)


def test_one_that_is_loading_again_still_says_why(well: AgentProcesses) -> None:
    process = well.processes["consensus"]
    os.kill(process.pid, signal.SIGKILL)
    first = well.broadcast(STATES, limit_s=10)["consensus"]
    assert first == Silence("consensus", "its process was killed by signal 9")
    os.kill(process.pid, signal.SIGSTOP)  # so that it certainly is not ready yet
    second = well.broadcast(STATES, limit_s=LIMIT_S)["consensus"]
    assert isinstance(second, Silence)
    assert second.reason.endswith("; the process before it failed: its process was killed by signal 9")
    os.kill(process.pid, signal.SIGCONT)
    assert well.wait_ready(30)
    assert isinstance(well.broadcast(STATES, limit_s=10)["consensus"], Intention)
    assert process.failure is None


def test_processes_end_with_their_context() -> None:
    with started() as processes:
        pids = [process.pid for process in processes.processes.values()]
    assert not any(_alive(pid) for pid in pids)


def test_one_source_for_each_agent_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="checkpoints are given for policy; give one each for policy, consensus"):
        AgentProcesses([AgentSource("policy", str(tmp_path / "x"))])


def test_stored_checkpoints_are_found_for_every_agent(settings: Settings) -> None:
    from tests.agents.test_store import later

    with pytest.raises(Refused, match="agent policy has no checkpoint; `cogorch agents train` makes one") as raised:
        stored_sources(settings)
    assert raised.value.reason == "no_checkpoint"
    saved = [store.save(settings, later(number, agent)) for agent in AGENTS for number in (1, 2)]
    found = stored_sources(settings)
    assert [(each.agent, each.digest) for each in found] == [(each.agent, each.digest) for each in saved[1::2]]
    assert all(Path(each.path).is_file() for each in found)
    assert found[0].command()[-3:] == ["policy", found[0].path, found[0].digest]
    with pytest.raises(Refused, match="has no checkpoint for calibration sha256:other"):
        stored_sources(settings, "sha256:other")


def _alive(pid: int) -> bool:
    for _ in range(200):
        try:
            with Path(f"/proc/{pid}/stat").open() as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.01)
    return True
