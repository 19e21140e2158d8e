"""What TPE proposes for a study: from trials of any state, within the space, towards what is better."""

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.parzen import FIRST_TRIALS
from cogorch_dagster.tuning.sampling import optuna_sampler, proposal
from cogorch_dagster.tuning.space import Space
from tests.tuning.tiny import PPO, space

FEW = space(names=["learningRate", "epochs", "discount"])


def trial(own: Space, seed: int, values: list[float] | None, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    drawn = own.drawn(seed)
    return create_trial(
        state=state, params=own.internal(drawn), distributions=own.distributions(), values=values, user_attrs={}
    )


def proposed(trials: list[FrozenTrial], number: int, seed: int = 0) -> dict[str, float]:
    found = proposal("tpe", FEW, seed, number, trials)
    assert found is not None and found.notes == {}
    return FEW.of_internal(found.internal)


def test_first_trials_are_spread_and_the_same_whatever_was_found() -> None:
    some = [trial(FEW, seed, [float(seed)]) for seed in range(3)]
    first = [proposed(some, number) for number in range(1, FIRST_TRIALS)]
    assert first == [proposed([], number) for number in range(1, FIRST_TRIALS)]
    assert first != [proposed(some, number, seed=1) for number in range(1, FIRST_TRIALS)]
    rates = sorted(FEW.unit(each)[0] * FIRST_TRIALS for each in first)
    assert all(before < after for before, after in zip(map(int, rates), map(int, rates[1:]), strict=False))


def test_proposals_are_legal_and_follow_the_scores() -> None:
    trials = [trial(FEW, seed, [FEW.unit(FEW.drawn(seed))[0]]) for seed in range(20)]
    found = [proposed(trials, 20, seed) for seed in range(40)]
    assert all(isinstance(each["epochs"], int) and each["discount"] < 1 for each in found)
    assert all(each.keys() == PPO.keys() for each in found)
    assert np.median([FEW.unit(each)[0] for each in found]) > 0.7
    assert found[0] == proposed(trials, 20, 0) != proposed(trials, 21, 0)


def test_further_objectives_are_to_be_low_and_failures_worst() -> None:
    places = [FEW.unit(FEW.drawn(seed))[0] for seed in range(24)]
    # The reward says nothing; what is low beside it is good.
    low = [trial(FEW, seed, [1.0, place, place]) for seed, place in enumerate(places)]
    assert np.median([FEW.unit(proposed(low, 24, seed))[0] for seed in range(30)]) < 0.3
    # The higher the better, but the upper half fails or still runs.
    for state in (TrialState.FAIL, TrialState.RUNNING):
        trials = [
            trial(FEW, seed, [place]) if place < 0.5 else trial(FEW, seed, None, state)
            for seed, place in enumerate(places)
        ]
        found = np.array([FEW.unit(proposed(trials, 24, seed))[0] for seed in range(30)])
        assert 0.2 < np.median(found) < 0.55


def test_without_any_score_it_goes_on() -> None:
    for state in (TrialState.FAIL, TrialState.RUNNING):
        trials = [trial(FEW, seed, None, state) for seed in range(12)]
        assert len({str(proposed(trials, number)) for number in range(12, 20)}) == 8


def test_only_the_gp_is_optunas() -> None:
    assert proposal("gp", FEW, 0, 9, []) is None
    assert type(optuna_sampler("gp", 0, 9)).__name__ == "GPSampler"
    with pytest.raises(InvalidInput, match="'tpe' is not one of Optuna's"):
        optuna_sampler("tpe", 0, 9)
