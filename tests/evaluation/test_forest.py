"""The forest plot: a picture of every kind, whatever was refused."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.forest import forest_plot
from cogorch_dagster.evaluation.report import Report, evaluate_bandit


def report(n: int, slices: int) -> Report:
    rng = np.random.default_rng(1)
    action = rng.integers(0, 2, n)
    labels = np.array([f"a-tenant-with-a-rather-long-name-{number}" for number in rng.integers(0, slices, n)])
    log = LoggedBandit(action, np.full(n, 0.5), action + rng.random(n), ("a", "b"), slices={"tenant": labels})
    return evaluate_bandit(log, np.array([0.2, 0.8]))


@pytest.mark.parametrize(("n", "slices"), [(400, 3), (400, 60), (10, 1)])
def test_a_picture_whatever_was_answered(n: int, slices: int) -> None:
    found = report(n, slices)
    assert (found.overall.refusal is not None) == (n == 10)
    image = Image.open(BytesIO(forest_plot(found, "a title")))
    assert image.width > 800
    assert image.height < 3000
    colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    assert ((37, 99, 235) in colours) == (n == 400)
    assert b"<svg" in forest_plot(found, "a title", "svg")
