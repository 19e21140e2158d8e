"""What a proposal promises is what fresh traffic then measures, though the weights were chosen for their promise."""

import numpy as np

from cogorch_dagster.evaluation.improvement import improvement
from cogorch_dagster.proposals.search import Objective, Region, best_weights
from tests.evaluation.simulation import Fleet, simulate

ACTIVE = np.array([0.4, 0.3, 0.2, 0.1])
N = 1000


def chosen(fleet: Fleet, n: int, rng: np.random.Generator) -> tuple[np.ndarray, object, object]:
    """The weights that one half chooses, the improvement by the other half, and by the half that chose."""
    log = simulate(fleet, ACTIVE, n, rng)
    half = rng.random(n) < 0.5
    search, independent = log.part(half).patterns(), log.part(~half).patterns()
    weights = best_weights(Objective(search, ACTIVE, 50), Region.around(ACTIVE, 0.5, 0.02), random_starts=2)
    return weights, improvement(independent, weights, ACTIVE, "dr"), improvement(search, weights, ACTIVE, "dr")


def test_the_measured_difference_falls_inside_the_interval() -> None:
    """150 fleets: propose, then measure before and after on fresh traffic of the same size. Nominally over 95 %."""
    rng = np.random.default_rng(21)
    inside, above, widths = 0, 0, []
    for _ in range(150):
        fleet = Fleet(failure=rng.uniform(0, 0.3, (2, 4)), pay=rng.uniform(0.3, 0.9, (2, 4)))
        weights, promise, _ = chosen(fleet, N, rng)
        before, after = (simulate(fleet, w, N, rng).reward.mean() for w in (ACTIVE, weights))
        inside += promise.ci95[0] <= after - before <= promise.ci95[1]
        above += after > before
        widths.append(promise.ci95[1] - promise.ci95[0])
    assert inside >= 0.9 * 150
    assert above >= 0.9 * 150
    # Not by being vague: the interval is narrow beside the reward's range.
    assert np.median(widths) < 0.15


def test_splitting_removes_the_winners_curse() -> None:
    """Equal arms, so that the truth is 0: the half that chose promises too much, the other half does not."""
    same = Fleet(failure=np.full((2, 4), 0.1), pay=np.full((2, 4), 0.6))
    rng = np.random.default_rng(22)
    honest, flattered = [], []
    for _ in range(120):
        weights, independent, own = chosen(same, 400, rng)
        truth = same.value(weights) - same.value(ACTIVE)
        honest.append(independent.value - truth)
        flattered.append(own.value - truth)
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest)) < 3.5 * error
    assert np.mean(flattered) > 3.5 * np.std(flattered) / np.sqrt(len(flattered))
