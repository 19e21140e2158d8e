"""The loop from raw observations to a candidate, by the hour, and the shorter way when only a candidate is wanted."""

import dagster as dg

from assets.observations import observations
from assets.partitions import HOURLY
from assets.policy_versions import policy_versions
from assets.rewards import rewards
from assets.rolling_stats import rolling_stats
from assets.rollups import rollups
from jobs.lanes import LEARNING

learning_loop = dg.define_asset_job(
    "learning_loop",
    selection=dg.AssetSelection.assets(observations, rewards, rollups, rolling_stats, policy_versions),
    partitions_def=HOURLY,
    description="Drains the inbox, scores a range of hours, refreshes the statistics, proposes where the data allow. "
    "Activates nothing. Safe to repeat: hours that are current cost next to nothing.",
    tags=LEARNING,
)

tuning = dg.define_asset_job(
    "tuning",
    selection=dg.AssetSelection.assets(policy_versions),
    description="Looks for a better version now, from the hours that are scored already.",
    tags=LEARNING,
)
