"""The regression of the reward: what it learns, and that its document holds all of it."""

import json

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation import reward_model
from cogorch_dagster.evaluation.reward_model import RewardModel
from cogorch_dagster.evaluation.ridge import Draws, fit

ARMS, LABELS = ("a", "b"), ("x", "y")


def drawn(n: int, seed: int, noise: float = 0.05) -> Draws:
    """Arm b pays .3 more, label y .2; a step of .4 by the first feature, a slope of the second for arm a only."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    x[rng.random(n) < 0.2, 2] = np.nan
    arm, label = rng.integers(0, 2, n), rng.integers(0, 2, n)
    reward = truth(x, arm, label) + noise * rng.standard_normal(n)
    return Draws(arm, label, np.zeros(n, dtype=np.int64), reward, np.ones(n), x)


def truth(x: np.ndarray, arm: np.ndarray, label: np.ndarray) -> np.ndarray:
    # What is missing pays less.
    return 0.3 * arm + 0.2 * label + 0.4 * np.clip(x[:, 0], 0, 1) + 0.2 * (1 - arm) * x[:, 1] - 0.3 * np.isnan(x[:, 2])


def test_it_learns_steps_slopes_of_an_arm_labels_and_what_is_missing() -> None:
    model = fit(drawn(4000, 1), ARMS, LABELS)
    fresh = drawn(2000, 2, noise=0.0)
    expected = model.expected(fresh.features, fresh.label)[np.arange(2000), fresh.arm]
    assert np.sqrt(np.mean((expected - fresh.reward) ** 2)) < 0.08
    assert fresh.reward.std() > 0.3 and model.rows == 4000


def test_monotone_transformations_change_nothing() -> None:
    draws = drawn(1500, 3)
    turned = np.column_stack([np.exp(draws.features[:, 0]), 5 - 2 * draws.features[:, 1] ** 3, draws.features[:, 2]])
    other = Draws(draws.arm, draws.label, draws.attempt, draws.reward, draws.weight, turned)
    one, two = (fit(each, ARMS, LABELS).expected(each.features, each.label) for each in (draws, other))
    # The second is turned round, which moves its hinges: equal up to the ridge and to interpolation within quantiles.
    assert np.sqrt(np.mean((one - two) ** 2)) < 0.03


def test_the_document_holds_all_of_it() -> None:
    draws = drawn(800, 4)
    model = fit(draws, ARMS, LABELS, ("one", "two", "three"))
    again = reward_model.of(json.loads(json.dumps(model.document())))
    assert isinstance(again, RewardModel) and again.features == ("one", "two", "three")
    assert (again.expected(draws.features, draws.label) == model.expected(draws.features, draws.label)).all()
    assert again.document() == model.document()


def test_an_unknown_label_is_a_typical_one() -> None:
    draws = drawn(4000, 5)
    model = fit(draws, ARMS, LABELS)
    known = np.stack([model.expected(draws.features, np.full(4000, label)) for label in (0, 1)])
    assert np.abs(model.expected(draws.features) - known.mean(axis=0)).max() < 0.05


def test_noise_is_given_no_slope() -> None:
    draws = drawn(1000, 6)
    noise = Draws(
        draws.arm, draws.label, draws.attempt, np.random.default_rng(7).random(1000), draws.weight, draws.features
    )
    model = fit(noise, ARMS, LABELS)
    assert model.penalty >= 300 and model.expected(noise.features).std() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pickle"}, "format 'pickle'"),
        ({"means": [[[1.0]]]}, "no complete reward model"),
        ({"slopes": None}, "no complete reward model"),
        ({"anywhere": [[float("nan"), 1.0]]}, "not finite"),
    ],
)
def test_documents_that_are_no_model_are_refused(change: dict[str, object], message: str) -> None:
    document = fit(drawn(400, 8), ARMS, LABELS).document()
    with pytest.raises(InvalidInput, match=message):
        reward_model.of({**document, **change})


def test_features_must_fit() -> None:
    model = fit(drawn(400, 9), ARMS, LABELS)
    with pytest.raises(InvalidInput, match="needs \\(n, 3\\): x0, x1, x2"):
        model.expected(np.zeros((5, 2)))
    with pytest.raises(InvalidInput, match="2 names for 3 features"):
        fit(drawn(400, 9), ARMS, LABELS, ("one", "two"))
