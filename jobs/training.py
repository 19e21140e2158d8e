"""The chain from observations to agents that were trained on them, and to what they recommend.

In a lane of its own, so that it holds up neither the learning loop nor an activation. When it starts by itself is in
`schedules.py` and `sensors/retraining.py`.
"""

from typing import Any

import dagster as dg

from assets.agent_checkpoints import agent_checkpoints
from assets.agent_partitions import BY_AGENT
from assets.coordination import coordination
from assets.fleet_calibration import fleet_calibration
from assets.recommendations import recommendations
from jobs.lanes import TRAINING

retraining = dg.define_asset_job(
    "retraining",
    selection=dg.AssetSelection.assets(fleet_calibration, agent_checkpoints, coordination, recommendations),
    partitions_def=BY_AGENT,
    description="Fits the simulated fleet to what was observed, trains the four agents in it, holds them against the "
    "static defaults, settles what they want in a game, and stores what they recommend as drafts. Activates nothing.",
    tags=TRAINING,
)


def config_of(seed: int) -> dict[str, Any]:
    """The run configuration for a training with this seed: another one each time, or the same agents come out."""
    return {"ops": {"agent_checkpoints": {"config": {"seed": seed}}}}
