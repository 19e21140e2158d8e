"""The searches: hyperparameters and architectures of one agent, features of the routers' decisions
and what these are expected to earn.

In a lane of their own, one after the other, so that a search holds up neither the learning loop nor an activation. The
job `tuning` (`learning.py`) is another thing: it looks for a better version of a router's policy.
"""

from typing import Any

import dagster as dg

from assets.agent_partitions import BY_AGENT
from assets.architectures import architectures
from assets.engineered_features import engineered_features
from assets.reward_models import reward_models
from assets.tuned_hyperparameters import tuned_hyperparameters
from jobs.lanes import TUNING

hyperparameter_tuning = dg.define_asset_job(
    "hyperparameter_tuning",
    selection=dg.AssetSelection.assets(tuned_hyperparameters),
    partitions_def=BY_AGENT,
    description="Searches better hyperparameters of one agent with real training, confirms the winner on fresh seeds, "
    "and stores it as a draft where it is better. Activates nothing. Run again, it goes on where it stopped.",
    tags=TUNING,
)

architecture_search = dg.define_asset_job(
    "architecture_search",
    selection=dg.AssetSelection.assets(architectures),
    partitions_def=BY_AGENT,
    description="Searches the network of one agent by successive halving: many short trainings, of which the best are "
    "gone on with from where they were paused. Activates nothing.",
    tags=TUNING,
)

feature_engineering = dg.define_asset_job(
    "feature_engineering",
    selection=dg.AssetSelection.assets(engineered_features, reward_models),
    description="Synthesises and selects features of the routers' decisions, looks for leaks, measures the gain, and "
    "fits and registers what decisions are expected to earn.",
    tags=TUNING,
)


def config_of(asset: str, seed: int) -> dict[str, Any]:
    """The run configuration for a search with this seed: another one each time, or the same trials come again."""
    return {"ops": {asset: {"config": {"seed": seed}}}}
