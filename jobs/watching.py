"""The look for drift and incidents, beside learning: an incident must show while a long run learns."""

import dagster as dg

from assets.drift import drift
from jobs.lanes import WATCHING

watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.assets(drift),
    description="Looks for incidents and regime changes in the hours that are scored; opens and closes incidents.",
    tags=WATCHING,
)
