"""The process of one agent: it loads a checkpoint and says, for each state it is asked about, what it would do.

    python -m cogorch_dagster.games.agent_worker AGENT CHECKPOINT [DIGEST]

Lines of JSON in and out; it ends when its input does, so that it never outlives who started it. Who asks is
`agent_process.py`, which trusts nothing that comes from here.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import CogorchError, InvalidInput, Refused
from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES, AgentName
from cogorch_dagster.games.intentions import NEARBY, NEARBY_SIGMA

Act = Callable[[NDArray[np.float32]], NDArray[Any]]


def loaded(agent: str, path: str, digest: str | None) -> tuple[Act, str]:
    """What an agent does as of a checkpoint's file, and the file's digest.

    Raises:
        InvalidInput: no such file, not a checkpoint, damaged, or parts that do not fit.
        Refused: `incompatible_checkpoint`: another checkpoint than asked for, or of another agent or shape.
    """
    from cogorch_dagster.agents import checkpoints
    from cogorch_dagster.lake import blobs

    try:
        content = blobs.read(path)
    except FileNotFoundError as error:
        raise InvalidInput(f"there is no checkpoint {path}") from error
    found = checkpoints.digest(content)
    if digest is not None and found != digest:
        raise Refused("incompatible_checkpoint", f"{path} holds {found}, not {digest}")
    checkpoint = checkpoints.unpack(content)
    name = _name(agent)
    wanted = (agent, STATE_SIZES[name], ACTION_COUNTS.get(name, len(RESOURCE_DIMENSIONS)))
    held = (checkpoint.agent, checkpoint.states, checkpoint.actions)
    if held != wanted:
        raise Refused("incompatible_checkpoint", f"{path} has agent, states and actions {held}; {wanted} are needed")
    import torch

    from cogorch_dagster.agents.inference import Policy

    torch.set_num_threads(1)
    return Policy.of(checkpoint).act, found


def answered(agent: str, act: Act, state: NDArray[np.float32]) -> dict[str, Any]:
    """Action and preference (see `Intention`) in a state [size]; the same for the same state."""
    noise = np.random.default_rng(0).standard_normal((NEARBY, len(state))) * NEARBY_SIGMA
    around = np.clip(state + noise, -1.0, 1.0).astype(np.float32)
    actions = act(np.vstack([state[None], around]))
    if actions.ndim == 2:
        return {"action": actions[0].tolist(), "preference": actions[1:].std(axis=0).tolist()}
    counts = np.bincount(actions[1:], minlength=ACTION_COUNTS[_name(agent)])
    return {"action": int(actions[0]), "preference": (counts / counts.sum()).tolist()}


def serve(agent: str, act: Act, source: IO[bytes], reply: Callable[[dict[str, Any]], None]) -> None:
    """Answer line by line until the input ends; what goes wrong with a question is its answer."""
    for line in source:
        number = None
        try:
            asked = json.loads(line)
            number = asked["id"]
            reply({"id": number, **answered(agent, act, np.array(asked["state"], dtype=np.float32))})
        except Exception as error:  # whatever it is, the coordinator is to hear of it
            reply({"id": number, "error": f"{type(error).__name__}: {error}"})


def _name(agent: str) -> AgentName:
    for name in AGENTS:
        if name == agent:
            return name
    raise InvalidInput(f"there is no agent {agent!r}; there are {', '.join(AGENTS)}")


def main(arguments: list[str]) -> int:
    agent, path, digest = arguments[0], arguments[1], arguments[2] if len(arguments) > 2 else None
    # What a library prints must not look like an answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def reply(found: dict[str, Any]) -> None:
        out.write(json.dumps(found).encode() + b"\n")
        out.flush()

    try:
        act, held = loaded(agent, path, digest)
    except CogorchError as error:
        reply({"error": f"its checkpoint cannot be used: {error}"})
        return error.exit_code
    reply({"ready": held})
    serve(agent, act, sys.stdin.buffer, reply)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
