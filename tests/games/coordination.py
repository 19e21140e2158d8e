"""Fleets, games and processes for the tests of coordination: small ones, made by hand, and cheap to start."""

import sys
from pathlib import Path

import numpy as np

from cogorch_dagster.fleet.conflicts import CONFLICTS
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.games.agent_process import AgentSource
from cogorch_dagster.games.discretisation import ACTIONS, NO_OPERATION, SHAPE, levels
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.payoffs import Game

PRESENT = np.array([0.4, 0.5, 0.6, 0.7])

# A process without torch that speaks the worker's language: argument 1 is the agent, 2 how it behaves.
LIGHT = """
import json, os, sys, time
agent, manner = sys.argv[1], sys.argv[2]
if manner == "exits":
    sys.exit(7)
if manner == "never ready":
    time.sleep(600)
print(json.dumps({"ready": "sha256:light"}), flush=True)
COUNTS = {"policy": 10, "consensus": 5, "ethical": 8}
for line in sys.stdin:
    number = json.loads(line)["id"]
    if agent == "resource":
        answer = {"id": number, "action": [0.4, 0.5, 0.6, 0.7], "preference": [0.0] * 4}
    else:
        preference = [0.0] * COUNTS[agent]
        action = int(manner) if manner.isdigit() else 0
        preference[action] = 1.0
        answer = {"id": number, "action": action, "preference": preference}
    text = json.dumps(answer)
    if manner == "raises":
        raise RuntimeError("broken")
    if manner == "hangs":
        time.sleep(600)
    if manner == "stops in a line":
        print(text[:9], end="", flush=True)
        time.sleep(600)
    if manner == "says so":
        text = json.dumps({"id": number, "error": "ValueError: no"})
    if manner == "nonsense":
        text = "<html>"
    if manner == "impossible":
        text = json.dumps({**answer, "action": 99})
    if manner == "another question":
        text = json.dumps({**answer, "id": number + 1})
    if manner == "floods":
        os.write(1, b"x" * 400_000)
    print(text, flush=True)
"""


def light(agent: AgentName, manner: str = "well") -> list[str]:
    return [sys.executable, "-S", "-c", LIGHT, agent, manner]


def sources(folder: Path | None = None) -> list[AgentSource]:
    """One of each agent; without a folder the files are not there, for light processes do not read them."""
    return [AgentSource(agent, f"{folder}/{agent}.safetensors") for agent in AGENTS]


def environment(fleets: int = 2, seed: int = 3) -> FleetEnvironment:
    return FleetEnvironment(default_parameters(), fleets, seed=seed)


def flat_game(**figures: np.ndarray) -> FleetGame:
    """A game in which everything is the same whatever is done, but for the figures given."""
    same = {
        "payoffs": np.full((len(AGENTS), *SHAPE), 0.5),
        "shared": np.full(SHAPE, 0.5),
        "violations": np.full(SHAPE, 0.2),
        "success": np.full(SHAPE, 0.9),
        "cost": np.full(SHAPE, 0.004),
        "conflicts": np.zeros((len(CONFLICTS), *SHAPE), dtype=np.bool_),
        **figures,
    }
    payoffs = same.pop("payoffs")
    return FleetGame(
        game=Game(payoffs, AGENTS, tuple(ACTIONS[agent] for agent in AGENTS)),
        levels=levels(PRESENT, PRESENT),
        standard_errors=np.zeros_like(payoffs),
        scenarios=1,
        horizon=1,
        seed=0,
        seconds=0.0,
        cpu_seconds=0.0,
        **same,
    )


def random_game(seed: int) -> FleetGame:
    """Random utilities around those of no operation, and random conflicts."""
    rng = np.random.default_rng(seed)
    conflicts = rng.random((len(CONFLICTS), *SHAPE)) < 0.03
    conflicts[(slice(None), *NO_OPERATION)] = False
    return flat_game(
        payoffs=0.5 + 0.1 * rng.standard_normal((len(AGENTS), *SHAPE)),
        shared=rng.random(SHAPE),
        violations=rng.random(SHAPE),
        success=rng.random(SHAPE),
        cost=0.01 * rng.random(SHAPE),
        conflicts=conflicts,
    )
