"""What a search tries next: by Optuna's samplers, or by a plan of our own for grid, random and CMA-ES.

What the number of a trial alone determines (grid, random) is the same whoever runs it; whatever draws has a seed that
follows from the study's and the trial's number, so a study of one worker is the same every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.seeds import seed_of
from cogorch_dagster.tuning.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

SAMPLERS = ("tpe", "cma-es", "gp", "grid", "random")
# Of each number of a grid.
GRID_POINTS = 3
# Trials drawn at random before a model is asked.
FIRST_TRIALS = 8
# Of the unit cube, at the start of CMA-ES.
FIRST_SIGMA = 0.25
_LARGEST_GRID = 1_000_000


@dataclass(frozen=True)
class Proposal:
    """What a trial is to try: what Optuna holds for it, and what goes into its record besides."""

    internal: dict[str, Any]
    notes: dict[str, Any]


def check_sampler(name: str, space: Space, objectives: int) -> None:
    """Refuse a sampler that is unknown, or that cannot search this.

    Raises:
        InvalidInput: unknown, several objectives for CMA-ES, or a grid of too many cells.
    """
    if name not in SAMPLERS:
        raise InvalidInput(f"sampler {name!r} is unknown; there are {', '.join(SAMPLERS)}")
    if name == "cma-es" and objectives > 1:
        raise InvalidInput("cma-es searches for one objective; choose reward alone, or tpe, gp, grid or random")
    if name == "grid" and space.cells(GRID_POINTS) > _LARGEST_GRID:
        raise InvalidInput(f"a grid of {space.cells(GRID_POINTS)} cells is too large; vary fewer parameters")


def check_trials(name: str, space: Space, trials: int) -> None:
    """Refuse more trials than a grid has cells, the first trial apart; raises InvalidInput."""
    if name == "grid" and trials - 1 > space.cells(GRID_POINTS):
        raise InvalidInput(
            f"the grid has {space.cells(GRID_POINTS)} cells; ask for at most one trial more, not {trials}"
        )


def proposal(name: str, space: Space, seed: int, number: int, trials: Sequence["FrozenTrial"]) -> Proposal | None:
    """What trial `number` is to try; None: ask `optuna_sampler`.

    Args:
        trials: all that there are so far.
    """
    if name == "random":
        return Proposal(space.internal(space.drawn(seed_of(seed, "random", number))), {})
    if name == "grid":
        return Proposal(space.internal(_cell(space, seed, number - 1)), {})
    if name == "cma-es":
        return _cma_es(space, seed, number, trials)
    return None


def optuna_sampler(name: str, seed: int, number: int, before: "BaseSampler | None" = None) -> "BaseSampler":
    """The sampler of Optuna's for one trial.

    Args:
        before: the one of an earlier trial of the same study: TPE's is seeded anew instead, as it remembers which
            parameters the trials have in common, which costs a look at each of them.
    """
    from optuna import samplers

    own = seed_of(seed, name, number) % 2**32
    if name == "tpe" and isinstance(before, samplers.TPESampler):
        for state in (before._rng, before._random_sampler._rng):
            state.rng.seed(own)
        return before
    if name == "gp":
        return samplers.GPSampler(seed=own, n_startup_trials=FIRST_TRIALS)
    if name == "tpe":
        return samplers.TPESampler(seed=own, n_startup_trials=FIRST_TRIALS)
    return samplers.RandomSampler(seed=own)


def _cell(space: Space, seed: int, place: int) -> dict[str, Any]:
    order = np.random.default_rng(seed_of(seed, "grid", 0)).permutation(space.cells(GRID_POINTS))
    left, found = int(order[place % len(order)]), {}
    for dimension in space.dimensions:
        values = dimension.grid(GRID_POINTS)
        left, digit = divmod(left, len(values))
        found[dimension.name] = values[digit]
    return space.complete(found)


def _cma_es(space: Space, seed: int, number: int, trials: Sequence["FrozenTrial"]) -> Proposal:
    """From the distribution after all generations that are complete, each told again: nothing is pickled between them.

    Hansen (2016), "The CMA evolution strategy: a tutorial", in the unit cube from the first trial's place on. A trial
    that fails is replaced by another of its generation.
    """
    from cmaes import CMA
    from optuna.trial import TrialState

    start = np.asarray(space.unit(space.of_internal(trials[0].params)))
    # From a border nearly half of the draws would be outside.
    optimiser = CMA(np.clip(start, 0.1, 0.9), FIRST_SIGMA, bounds=np.tile([0.0, 1.0], (len(start), 1)), seed=0)
    generation = 0
    while True:
        done = [
            (np.asarray(each.user_attrs["place"]), -each.values[0])
            for each in trials
            if each.state == TrialState.COMPLETE and each.user_attrs.get("generation") == generation
        ]
        if len(done) < optimiser.population_size:
            break
        optimiser.tell(done[: optimiser.population_size])
        generation += 1
    optimiser.reseed_rng(seed_of(seed, "cma-es", number) % 2**32)
    place = optimiser.ask().tolist()
    return Proposal(space.internal(space.of_unit(place)), {"generation": generation, "place": place})
