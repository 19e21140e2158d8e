"""The fleet as others' environment: PettingZoo's own test, and the same figures as the environment itself."""

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from cogorch_dagster.fleet.parallel import ParallelFleet
from cogorch_dagster.fleet.parameters import default_parameters


def test_pettingzoo_finds_nothing_wrong() -> None:
    parallel_api_test(ParallelFleet(default_parameters().model_copy(update={"horizon": 30})), num_cycles=100)
    parallel_seed_test(lambda: ParallelFleet(default_parameters().model_copy(update={"horizon": 30})))


def test_rewards_are_shared_or_own_and_the_episode_is_cut_off() -> None:
    short = default_parameters().model_copy(update={"horizon": 3})
    shared, own = ParallelFleet(short), ParallelFleet(short, rewards="own")
    with pytest.raises(RuntimeError, match="call reset first"):
        shared.step({})
    for fleet in (shared, own):
        states, _ = fleet.reset(seed=4)
        assert {agent: state.shape for agent, state in states.items()} == {
            "policy": (32,), "consensus": (16,), "ethical": (24,), "resource": (20,)
        }  # fmt: skip
    for index in range(3):
        actions = {"policy": 0, "consensus": 0, "ethical": 0, "resource": np.full(4, 0.5, dtype=np.float32)}
        _, together, ended, cut, infos = shared.step(actions)
        _, apart, *_ = own.step(actions)
        assert len(set(together.values())) == 1
        assert len(set(apart.values())) == 4
        assert not any(ended.values())
        assert all(cut.values()) is (index == 2)
        assert 0 <= infos["policy"]["useful"] <= 1
    assert shared.agents == []
