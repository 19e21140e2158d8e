"""The logit path: its points are quantal responses, its end is the equilibrium that theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.games import logit_path
from cogorch_dagster.games.derivatives import derivatives
from cogorch_dagster.games.payoffs import named_game
from cogorch_dagster.games.reduction import scaled
from tests.games import families, named

FOREVER = float("inf")


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 3, 5, 3)])
def test_random_games_without_pure_equilibria(family: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        kernel = derivatives(named_game(scaled(families.mixed_only(family, rng, *shape).payoffs)))
        walk = logit_path.follow(kernel, deadline=FOREVER)
        assert walk.gap < 1e-9
        assert kernel.gap(walk.x) == pytest.approx(walk.gap, abs=1e-12)


def test_the_limit_is_the_risk_dominant_equilibrium_of_a_stag_hunt() -> None:
    """McKelvey & Palfrey 1995, section 4: of two pure equilibria the path selects one, here not the efficient one."""
    hunt = named_game([[[4, 0], [3, 3]], [[4, 3], [0, 3]]])
    walk = logit_path.follow(derivatives(hunt), deadline=FOREVER)
    np.testing.assert_allclose(walk.x, [0, 1, 0, 1], atol=1e-12)
    trusting = np.array([0.95, 0.05, 0.95, 0.05])
    np.testing.assert_allclose(
        logit_path.follow(derivatives(hunt), deadline=FOREVER, start=trusting).x, [1, 0, 1, 0], atol=1e-12
    )


def test_the_residual_is_zero_at_a_quantal_response() -> None:
    """Found by iteration at a small λ, where it contracts; the derivative is that of differences."""
    kernel = derivatives(named.random_game(np.random.default_rng(6), 3, 2, 4))
    prior, precision = np.log(kernel.uniform()), 0.3
    x = kernel.uniform()
    for _ in range(500):
        x = np.concatenate(kernel.profile(np.exp(precision * kernel.at(x)[0] + prior)))
    residual, derivative = logit_path._system(kernel, prior, np.append(np.log(x), precision))
    np.testing.assert_allclose(residual, 0, atol=1e-12)
    for column in range(kernel.total + 1):
        step = np.zeros(kernel.total + 1)
        step[column] = 1e-6
        ahead, behind = (
            logit_path._system(kernel, prior, np.append(np.log(x), precision) + sign * step)[0] for sign in (1, -1)
        )
        np.testing.assert_allclose(derivative[:, column], (ahead - behind) / 2e-6, atol=1e-7)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_names_do_not_matter(seed: int, data: st.DataObject) -> None:
    """The path starts in the middle, whatever the order of players and actions: so it ends in the same place."""
    game = families.mixed_only("normal", np.random.default_rng(seed), 3, 2, 3)
    players = list(data.draw(st.permutations(range(3))))
    actions = [list(data.draw(st.permutations(range(game.shape[player])))) for player in players]
    other = families.relabelled(game, players, actions)
    first, second = (derivatives(named_game(scaled(one.payoffs))) for one in (game, other))
    here = first.profile(logit_path.follow(first, deadline=FOREVER).x)
    there = second.profile(logit_path.follow(second, deadline=FOREVER).x)
    for one, two in zip(families.relabelled_profile(here, players, actions), there, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_steps_and_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = derivatives(families.mixed_only("normal", np.random.default_rng(7), 3, 3, 3, 3))
    assert logit_path.follow(kernel, deadline=0.0).steps == 0
    monkeypatch.setattr(logit_path, "MOST_STEPS", 3)
    walk = logit_path.follow(kernel, deadline=FOREVER)
    assert walk.steps == 3
    assert np.isfinite(walk.x).all()
