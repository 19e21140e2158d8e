"""The chain from scored hours to causes, effects and insights, in a lane of its own so that it holds nothing up."""

import dagster as dg

from assets.causal_dataset import causal_dataset
from assets.causal_effects import causal_effects
from assets.causal_graph import causal_graph
from assets.insights import insights
from jobs.lanes import CAUSES

causes = dg.define_asset_job(
    "causes",
    selection=dg.AssetSelection.assets(causal_dataset, causal_graph, causal_effects, insights),
    description="Makes a data set of each component, finds what causes what, estimates effects with their refutations, "
    "and says in sentences what would help. Changes no policy. Safe to repeat.",
    tags=CAUSES,
)
