"""Which parameters a new trial gets: at random, or by TPE (`parzen.py`) from what trials reached at one rung.

Which rung to learn from follows BOHB (Falkner et al. 2018, section 3.2): the highest with enough observations, as
scores of different rungs cannot be compared. What the parameters are is a matter of the search.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cogorch_dagster.tuning.cube import cube_of
from cogorch_dagster.tuning.halving.rungs import Ladder, Trial, ranked
from cogorch_dagster.tuning.parzen import next_place
from cogorch_dagster.tuning.seeds import seed_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Sampler = Literal["random", "tpe"]
Values = dict[str, Any]
# One of so many trials is drawn at random, whatever was learned: a low rung can mislead.
RANDOM_EACH = 4


def sample(
    distributions: "Mapping[str, BaseDistribution]",
    observations: Sequence[tuple[Values, float]],
    *,
    sampler: Sampler,
    seed: int,
    number: int,
) -> Values:
    """The values of a new trial.

    Args:
        distributions: of each parameter, Optuna's.
        observations: values of other trials and their scores, more is better.
        seed: of the study, 0 to 2**63 - 1.
        number: of the trial; with the seed and the observations it decides everything.
    """
    cube = cube_of(distributions)
    if sampler == "tpe" and len(observations) >= enough(distributions) and number % RANDOM_EACH != 0:
        places = cube.places([values for values, _ in observations])
        scores = np.array([[score] for _, score in observations])
        return cube.params(next_place(cube.choices, places, scores, seed_of(seed, "tpe", number)))
    return cube.params(np.random.default_rng(seed_of(seed, "trial", number)).random(len(distributions)))


def enough(distributions: Mapping[str, Any]) -> int:
    """Observations from which a rung is learned from: two more than parameters, so that good and bad ones differ."""
    return len(distributions) + 2


def learned_from(
    ladder: Ladder, trials: Collection[Trial], values: Mapping[int, Values], least: int
) -> list[tuple[Values, float]]:
    """Values and scores of the trials that reached the highest rung with at least `least` of them; none if none has.

    Args:
        values: by the number of the trial.
    """
    for rung in range(ladder.top, -1, -1):
        there = ranked(trials, rung)
        if len(there) >= least:
            there.sort(key=lambda trial: trial.number)
            return [(values[trial.number], trial.scores[rung]) for trial in there]
    return []
