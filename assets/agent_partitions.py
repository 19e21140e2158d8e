"""The agents as partitions: what each of them last learned can be seen, and its lineage followed, by itself."""

import dagster as dg

from assets.partitions import RANGE_END, RANGE_START

# In the order of the joint action; the engine's own list would bring NumPy into every code location.
AGENTS = ("policy", "consensus", "ethical", "resource")
BY_AGENT = dg.StaticPartitionsDefinition(list(AGENTS))
# The tags of a run that materialises all four: they are trained together.
ALL_AGENTS = {RANGE_START: AGENTS[0], RANGE_END: AGENTS[-1]}
