"""Which changes of a router's document earn their place: knobs without effect drift, and a draft must not follow.

What is left out keeps the draft small, and leaves it to what logs can measure where nothing else is gained.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cogorch_dagster.agents.recommendation.draft_document import DraftDocument
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.simulation import Documents, documents_compared
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters

# What logs can measure is given up last.
LAST = "modelWeights"


def selected(
    draft: DraftDocument,
    active: dict[str, Any],
    documents: Callable[[dict[str, Any]], Documents],
    parameters: FleetParameters,
    *,
    seeds: Sequence[int],
    limits: Limits,
    weights: RewardWeights | None = None,
) -> DraftDocument:
    """The draft without the changes whose simulated gain, beside the other changes, is not sure; one stays in any case.

    Args:
        active: parameters that changes are taken back to.
        documents: what steers the fleet under given parameters of the policy.
        seeds: others than those that the result is reported on, since the choice flatters it on these.
    """
    for name in sorted(draft.changed, key=lambda each: (each == LAST, each)):
        if len(draft.changed) == 1:
            break
        without = {**draft.params, name: active[name]}
        gain = documents_compared(
            parameters, documents(without), documents(draft.params), seeds=seeds, limits=limits, weights=weights
        )["reward"].difference
        if gain.low > 0:
            continue
        why = f"{draft.params[name]:g} instead" if name != LAST else "other weights"
        said = f"{why} gains nothing sure in simulation: {gain.value:+.4f}, {gain.low:+.4f} to {gain.high:+.4f}"
        draft = replace(
            draft,
            params=without,
            changed=tuple(each for each in draft.changed if each != name),
            kept={**draft.kept, name: said},
        )
    return draft
