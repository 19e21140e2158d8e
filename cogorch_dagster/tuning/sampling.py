"""What a search tries next: by a plan of our own for TPE, CMA-ES, grid and random, or by Optuna's sampler for GP.

What the number of a trial alone determines (grid, random) is the same whoever runs it; whatever draws has a seed that
follows from the study's and the trial's number, so a study of one worker is the same every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning import parzen
from cogorch_dagster.tuning.cube import cube_of
from cogorch_dagster.tuning.seeds import seed_of
from cogorch_dagster.tuning.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

SAMPLERS = ("tpe", "cma-es", "gp", "grid", "random")
# Of each number of a grid.
GRID_POINTS = 3
# Trials drawn at random before the GP is asked.
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
    if name == "tpe":
        return Proposal(space.internal(space.of_unit(_tpe(space, seed, number, trials).tolist())), {})
    return None


def optuna_sampler(name: str, seed: int, number: int) -> "BaseSampler":
    """The sampler of Optuna's for one trial of the GP.

    Raises:
        InvalidInput: what `proposal` proposes needs none.
    """
    from optuna import samplers

    if name != "gp":
        raise InvalidInput(f"sampler {name!r} is not one of Optuna's here; ask `proposal`")
    return samplers.GPSampler(seed=seed_of(seed, name, number) % 2**32, n_startup_trials=FIRST_TRIALS)


def _tpe(space: Space, seed: int, number: int, trials: Sequence["FrozenTrial"]) -> parzen.Floats:
    """By `parzen.py`: from the complete, the failed and the running trials."""
    cube = cube_of(space.distributions())
    if number < parzen.FIRST_TRIALS:
        return parzen.first_place(cube.choices, seed_of(seed, "tpe", 0), number)
    places = cube.places([each.params for each in trials])
    return parzen.next_place(cube.choices, places, _values(trials), seed_of(seed, "tpe", number))


def _values(trials: Sequence["FrozenTrial"]) -> parzen.Floats:
    """Of the objectives, [trials, objectives], more is better: -inf of a failed trial, NaN of one that has not ended.

    The reward comes first and is to be high; whatever else there is is to be low.
    """
    values = [each.values for each in trials]
    objectives = max((len(each) for each in values if each is not None), default=1)
    missing = {True: [-np.inf] * objectives, False: [np.nan] * objectives}
    found = np.array(
        [missing[each.state.is_finished()] if own is None else own for each, own in zip(trials, values, strict=True)]
    )
    return found * np.where(np.isfinite(found) & (np.arange(objectives) > 0), -1.0, 1.0)


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
