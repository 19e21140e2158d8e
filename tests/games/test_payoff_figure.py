"""The picture of a coordinated step: small, and different where the step is."""

from dataclasses import replace
from io import BytesIO

import numpy as np

from cogorch_dagster.games.discretisation import named
from cogorch_dagster.games.payoff_figure import payoff_figure
from tests.games.coordination import random_game
from tests.games.test_store import RESULT

RED = (220, 38, 38)


def pixels(content: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)


def test_the_picture_is_small_and_shows_conflicts_in_red() -> None:
    fleet = random_game(3)
    content = payoff_figure(fleet, RESULT)
    assert content.startswith(b"\x89PNG") and len(content) < 20_000
    calm = payoff_figure(replace(fleet, conflicts=np.zeros_like(fleet.conflicts)), RESULT)
    red = [(np.abs(pixels(each) - RED).sum(axis=2) < 40).sum() for each in (content, calm)]
    assert red[0] > 500 > 10 * red[1]


def test_what_was_played_and_a_missing_equilibrium_show() -> None:
    fleet = random_game(3)
    base = payoff_figure(fleet, RESULT)
    assert payoff_figure(fleet, replace(RESULT, actions=named((3, 0, 0, 0)))) != base
    assert payoff_figure(fleet, replace(RESULT, equilibrium=None)) != base
