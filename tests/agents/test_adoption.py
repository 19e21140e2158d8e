"""Other settings in the middle of a training: what was learnt stays bit for bit, and it is all of them or none."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from cogorch_dagster.agents import algorithms, checkpoints
from cogorch_dagster.agents.learner import Learner, Transition
from cogorch_dagster.agents.replay import Replay
from cogorch_dagster.agents.rollout import Rollout
from cogorch_dagster.errors import InvalidInput
from tests.agents import resuming

OFF_POLICY: dict[str, Any] = {
    "discount": 0.8,
    "return_steps": 2,
    "batch_size": 9,
    "train_every": 2,
    "gradient_steps": 2,
    "target_share": 0.3,
    "learning_start": 12,
}
# Of each algorithm: settings that a learner in training takes over, all of them other than in `resuming`.
HOT: dict[str, dict[str, Any]] = {
    "dqn": {
        **OFF_POLICY,
        "learning_rate": 0.02,
        "final_learning_rate": 0.004,
        "epsilon": 0.6,
        "final_epsilon": 0.3,
        "epsilon_steps": 50,
        "double": False,
        "priorities": {"alpha": 0.3},
    },
    "ddpg": {**OFF_POLICY, "actor_rate": 0.02, "critic_rate": 0.03, "noise": 0.3, "noise_theta": 0.4, "actor_every": 2},
    "a2c": {
        "learning_rate": 0.02,
        "gamma": 0.8,
        "rollout_steps": 6,
        "gae_decay": 0.7,
        "entropy_weight": 0.2,
        "value_weight": 1.5,
        "max_gradient_norm": 0.1,
    },
    "ppo": {
        "learning_rate": 0.02,
        "gamma": 0.8,
        "rollout_steps": 5,
        "gae_decay": 0.7,
        "epochs": 3,
        "minibatch": 7,
        "clip": 0.4,
        "entropy_weight": 0.2,
    },
}
KINDS = pytest.mark.parametrize("kind", algorithms.ALGORITHMS)


def made(kind: str, configuration: dict[str, Any]) -> Learner:
    return algorithms.learner(kind, configuration, states=5, actions=resuming.actions_of(kind), seed=11)


def trained(kind: str, steps: int) -> Learner:
    agent = resuming.learner(kind)
    resuming.train(agent, 0, steps)
    return agent


def state(agent: Learner) -> Any:
    """Every bit of a learner, without its settings."""
    return checkpoints.nested.encode(agent.parts())


@KINDS
def test_everything_but_the_settings_stays_bit_for_bit(kind: str) -> None:
    agent = trained(kind, 21)
    before, was = state(agent), algorithms.configuration_of(agent)
    agent.adopt(HOT[kind])
    structure, tensors = state(agent)
    if kind in ("a2c", "ppo"):  # A rollout that is open says by now how long it is.
        assert agent.parts()["rollout"].pop("steps") == resuming.CONFIGURATIONS[kind]["rollout_steps"]
        assert tensors == before[1]
    else:
        assert (structure, tensors) == before
    assert algorithms.configuration_of(agent) == algorithms.merged(was, HOT[kind])
    agent.adopt(was)
    assert state(agent) == before and algorithms.configuration_of(agent) == was


@KINDS
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_a_learner_that_adopts_before_its_first_step_is_one_that_was_made_so(kind: str, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(HOT[kind])), min_size=1))
    change = {name: HOT[kind][name] for name in names}
    agent, other = resuming.learner(kind), made(kind, {**resuming.CONFIGURATIONS[kind], **change})
    agent.adopt(change)
    for each in (agent, other):
        resuming.train(each, 0, 26)
    assert state(agent) == state(other)


@KINDS
@pytest.mark.parametrize("at", [0, 5, 18, 21])
def test_going_on_after_a_change_is_the_same_from_a_checkpoint(kind: str, at: int) -> None:
    """Also where the checkpoint holds an open rollout of the old length, or a window of the old number of steps."""
    agent = trained(kind, at)
    agent.adopt(HOT[kind])
    copy = made(kind, algorithms.configuration_of(agent))
    resuming.train(copy, 0, 3)  # something to be overwritten
    saved = checkpoints.Checkpoint(**{**vars(resuming.saved(agent)), "parts": agent.parts()})
    copy.restore(checkpoints.unpack(checkpoints.pack(saved)).parts)
    for each in (agent, copy):
        resuming.train(each, at, at + 23)
    assert state(agent) == state(copy)


@KINDS
def test_adopting_what_is_in_force_changes_nothing_and_anything_else_does(kind: str) -> None:
    plain, same, other = (trained(kind, 21) for _ in range(3))
    same.adopt(algorithms.configuration_of(same))
    other.adopt(HOT[kind])
    for each in (plain, same, other):
        resuming.train(each, 21, 45)
    assert state(plain) == state(same)
    assert state(plain) != state(other)


REFUSED = {
    "dqn": [
        ({"hidden": [8]}, r"hidden is \(16,\) and cannot become \(8,\) .* takes effect with the next training"),
        ({"activation": "tanh"}, "activation is 'relu' and cannot become 'tanh'"),
        ({"dropout": 0.1}, r"dropout is 0\.0 and cannot become 0\.1"),
        ({"capacity": 300}, "capacity is 200 and cannot become 300"),
        ({"priorities": None}, "priorities are .* cannot become None"),
        ({"return_steps": 101}, "steps must be a whole number from 1 to 100, got 101"),
        ({"discount": float("nan")}, "discount is nan"),
        ({"learning_rate": 2}, r"learning_rate must lie above 0 to 1, got 2\.0"),
        ({"priorities": {"alpha": 1.1}}, "alpha must lie from 0 to 1"),
        ({"seed": 3}, "has no setting seed"),
        ({"momentum": 3}, "has no setting momentum"),
    ],
    "ddpg": [
        ({"actor_hidden": [8], "critic_hidden": [8]}, "actor_hidden is .*; critic_hidden is"),
        ({"dropout": 0.1}, "dropout is"),
        ({"max_age": 9}, "max_age is None and cannot become 9"),
        ({"actor_rate": 0}, r"actor_rate must lie above 0 to 1, got 0\.0"),
        ({"return_steps": 0}, "steps must be a whole number from 1 to 100, got 0"),
    ],
    "a2c": [
        ({"shared": [8]}, "shared is"),
        ({"heads": [8]}, "heads is"),
        ({"activation": "silu"}, "activation is"),
        ({"optimiser": "rmsprop"}, "optimiser is 'adam' and cannot become 'rmsprop'"),
        ({"rollout_steps": 0}, "rollout_steps must be a whole number from 1 to 65536, got 0"),
    ],
    "ppo": [
        ({"embedding": [8]}, "embedding is"),
        ({"dropout": 0.1}, "dropout is"),
        ({"clip": 0}, r"clip must lie above 0 to 1, got 0\.0"),
        ({"epochs": 1.5}, "configuration of ppo: epochs"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "change", "message"), [(kind, *each) for kind, cases in REFUSED.items() for each in cases]
)
def test_what_cannot_be_taken_over_is_refused_with_all_that_came_with_it(
    kind: str, change: dict[str, Any], message: str
) -> None:
    agent = trained(kind, 21)
    before, was = state(agent), algorithms.configuration_of(agent)
    with pytest.raises(InvalidInput, match=message):
        agent.adopt({**HOT[kind], **change})
    assert state(agent) == before and algorithms.configuration_of(agent) == was


class Interrupted(BaseException):
    """As a KeyboardInterrupt would come, between two lines."""


def interrupted(action: Callable[[], None], line: int) -> bool:
    """Run it, and raise at its `line`-th line within the agents' package; whether it came so far."""
    lines = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        if "cogorch_dagster/agents" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == line:
                raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Interrupted:
        return True
    finally:
        sys.settrace(before)
    return False


@KINDS
def test_wherever_it_is_interrupted_the_learner_is_as_it_was(kind: str) -> None:
    agent = trained(kind, 21)
    before, was = state(agent), algorithms.configuration_of(agent)
    line = 1
    while interrupted(lambda: agent.adopt(HOT[kind]), line):
        assert algorithms.configuration_of(agent) == was
        if kind in ("dqn", "ddpg"):
            assert (agent.replay.discount, agent.replay.steps) == (was["discount"], was["return_steps"])  # type: ignore[attr-defined]
        else:
            assert agent.rollout.next_steps == was["rollout_steps"]  # type: ignore[attr-defined]
        line += 1
        if line % 10 == 0:
            assert state(agent) == before
    assert line > 30
    assert algorithms.configuration_of(agent) == algorithms.merged(was, HOT[kind])


def test_an_open_rollout_is_learnt_from_at_its_own_length_and_the_next_has_the_other() -> None:
    for kind, length in (("a2c", 4), ("ppo", 8)):
        agent = made(kind, resuming.CONFIGURATIONS[kind])
        learnt: list[int] = []
        rows = torch.rand(6, 5)
        ends = torch.zeros(6, dtype=torch.bool)
        for step in range(1, 31):
            if step == 3:
                agent.adopt({"rollout_steps": 9})
            actions = agent.act(rows, explore=True)
            if agent.learn(Transition(rows, actions, torch.ones(6), rows, ends, ends)):
                learnt.append(step)
        assert learnt == [length, length + 9, *([22] if kind == "a2c" else [26])]


def test_another_length_comes_at_once_where_no_rollout_is_open() -> None:
    rollout = Rollout(4, 5, torch.device("cpu"))
    rows, ends = torch.rand(6, 5), torch.zeros(6, dtype=torch.bool)
    step = Transition(rows, torch.zeros(6, dtype=torch.int64), torch.ones(6), rows, ends, ends)
    rollout.next_steps = 2
    assert [rollout.add(step), rollout.add(step)] == [False, True]
    assert "steps" not in rollout.parts()


def test_the_learning_rates_of_the_next_update_are_the_adopted_ones() -> None:
    agent = trained("ddpg", 21)
    agent.adopt({"actor_rate": 1e-30, "critic_rate": 1e-30})
    before = state(agent)[1]
    resuming.train(agent, 21, 24)
    after = state(agent)[1]
    moved = {name for name in before if "actor" in name or "critic" in name if before[name].data != after[name].data}
    assert moved and all("optimizer" in name or "target" in name for name in moved)


Steps = list[tuple[float, bool, bool]]  # reward, terminated, truncated


@st.composite
def histories(draw: st.DrawFn) -> tuple[Steps, list[tuple[int, float]]]:
    """Steps of one environment, and for each the number of steps and the discount that are in force when it comes."""
    length = draw(st.integers(1, 20))
    step = st.tuples(st.sampled_from([0.0, 1.0, -2.0]), st.booleans(), st.booleans())
    rare = step.map(lambda each: (each[0], each[1] and each[2], each[2] and not each[1]))
    terms = st.tuples(st.integers(1, 5), st.sampled_from([0.5, 0.25, 1.0]))
    lists = (draw(st.lists(each, min_size=length, max_size=length)) for each in (rare, terms))
    return next(lists), next(lists)


def expected(steps: Steps, terms: list[tuple[int, float]]) -> list[tuple[float, float, float, float]]:
    """State, return, next state and discount of the rows, by the definition; a row is made once n steps are there."""
    found, start = [], 0
    for now, (n, _) in enumerate(terms):
        while start + n <= now + 1:
            total, weight, at = 0.0, 1.0, start
            while True:
                reward, terminated, truncated = steps[at]
                total += weight * reward
                weight *= 0.0 if terminated else terms[at][1]
                if terminated or truncated or at == start + n - 1:
                    break
                at += 1
            found.append((float(start), total, float(at + 1), weight))
            start += 1
    return found


@given(histories())
@settings(max_examples=80, deadline=None)
def test_no_row_is_lost_and_each_step_counts_with_the_discount_it_came_with(
    history: tuple[Steps, list[tuple[int, float]]],
) -> None:
    steps, terms = history
    memory = Replay(capacity=50, states=1, dimensions=1, discount=0.9, generator=Generator(), steps=3)
    for at, ((reward, terminated, truncated), (n, discount)) in enumerate(zip(steps, terms, strict=True)):
        vars(memory).update(memory.adopted(discount=discount, steps=n, priorities=None))
        now = torch.tensor([[float(at)]])
        ends = torch.tensor([terminated]), torch.tensor([truncated])
        memory.add(Transition(now, torch.zeros(1, dtype=torch.int64), torch.tensor([reward]), now + 1, *ends))
    rows = memory.rows[: len(memory)].tolist()
    assert [(row[0], row[2], row[1], row[3]) for row in rows] == expected(steps, terms)


def test_another_exponent_counts_for_the_priorities_that_are_set_from_then_on() -> None:
    agent = trained("dqn", 30)
    replay = agent.replay  # type: ignore[attr-defined]
    before = replay.tree.values(torch.arange(len(replay))).clone()
    agent.adopt({"priorities": {"alpha": 1.0}})
    replay.prioritise(torch.tensor([3]), torch.tensor([0.25]))
    after = replay.tree.values(torch.arange(len(replay)))
    assert after[3].item() == pytest.approx(0.251)
    assert torch.equal(after[torch.arange(len(replay)) != 3], before[torch.arange(len(replay)) != 3])
    drawn = replay.sample(4000)
    # The weights are those of the probabilities as they are: (N P)^-beta, over the largest of the batch.
    beta = replay.priorities.beta_after(replay.seen)
    wanted = (after[drawn.indices[0]] * len(replay) / after.sum()) ** -beta
    assert torch.allclose(drawn.weights[0].double(), wanted / wanted.max(), rtol=1e-5)
