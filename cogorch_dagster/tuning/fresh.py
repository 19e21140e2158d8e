"""One training of a plan on a seed and on fleets of its own, for what comes after the search: finalists, confirmation.

All that is compared for one purpose meets the same seeds and the same fleets, place by place (common random numbers).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from cogorch_dagster.tuning.objective import Measured, measure
from cogorch_dagster.tuning.seeds import evaluation_seeds, seed_of
from cogorch_dagster.tuning.studies import Planned

Purpose = Literal["finalists", "confirmation"]


def fresh_seed(plan: Planned, purpose: Purpose, place: int) -> int:
    """The training seed: none of the search's, of another purpose's, or of a study against another version."""
    return seed_of(plan.seed, _against(plan, purpose), place)


def fresh_training(
    plan: Planned, params: Mapping[str, Any], purpose: Purpose, place: int, stop: Callable[[], bool] | None = None
) -> Measured:
    """Train and evaluate once; raises as `objective.measure`.

    Args:
        params: complete.
        place: the number of the training, from 0.
    """
    # Other fleets for every seed, so that what is said of the mean covers them too.
    seeds = evaluation_seeds(plan.seed, plan.budget, f"{_against(plan, purpose)} {place} evaluation")
    seed = fresh_seed(plan, purpose, place)
    return measure(plan.parameters, plan.agent, params, seed, plan.budget, seeds=seeds, stop=stop)


def _against(plan: Planned, purpose: Purpose) -> str:
    # What is in force may have won on the seeds of the version before it.
    return purpose if plan.version is None else f"{purpose} against {plan.version}"
