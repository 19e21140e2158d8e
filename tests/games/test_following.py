"""An environment beside the one that is evaluated stands where that stands, or says that it does not."""

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.games.following import FollowedFleets

PARAMETERS = default_parameters().model_copy(update={"horizon": 5})


def test_it_goes_along_through_the_ends_of_episodes() -> None:
    own, followed = FleetEnvironment(PARAMETERS, 3, seed=8), FollowedFleets(PARAMETERS)
    followed.start(3, 8)
    rng = np.random.default_rng(0)
    for _ in range(12):
        beside = followed.at(own.states)
        assert np.array_equal(beside.state.backlog, own.state.backlog)
        actions = {agent: rng.integers(0, count, 3) for agent, count in ACTION_COUNTS.items()}
        actions["resource"] = rng.random((3, 4)).astype(np.float32)
        followed.step(actions)
        own.step(actions)


def test_other_fleets_are_refused() -> None:
    own, followed = FleetEnvironment(PARAMETERS, 3, seed=8), FollowedFleets(PARAMETERS)
    with pytest.raises(InvalidInput, match=r"call start\(fleets, seed\) before it acts"):
        followed.at(own.states)
    followed.start(3, 9)
    with pytest.raises(InvalidInput, match="the fleets are not those"):
        followed.at(own.states)
    followed.start(3, 8)
    own.step(passive(3) | {"policy": np.full(3, 5)})
    with pytest.raises(InvalidInput, match="the fleets are not those"):
        followed.at(own.states)
