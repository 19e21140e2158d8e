"""The table of the rungs, and the picture of the learning curves."""

from io import BytesIO

import numpy as np
from PIL import Image

from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.report import RungRow, learning_curves, rung_rows
from cogorch_dagster.tuning.halving.rungs import Ladder

STEPS = Ladder((10, 30, 90), 3)


def records() -> list[Record]:
    return [
        Record(0, {}, "a", "paused", [0.1, 0.4, 0.5]),
        Record(1, {}, "a", "paused", [0.3]),
        Record(2, {}, "a", "failed", [0.2], error="training_diverged: no"),
        Record(3, {}, "a", "running", [0.4, 0.1]),
        Record(4, {}, "a", "failed", [], error="no"),
        Record(5, {}, "a", "running", []),
    ]


def test_the_table_counts_who_came_and_who_went_on() -> None:
    assert rung_rows(STEPS, records()) == [
        RungRow(0, 10, reached=4, promoted=3, failed=1, best=0.4, middle=0.25),
        RungRow(1, 30, reached=2, promoted=2, failed=1, best=0.4, middle=0.25),
        RungRow(2, 90, reached=1, promoted=0, failed=0, best=0.5, middle=0.5),
    ]
    assert [row.best for row in rung_rows(STEPS, [])] == [None] * 3


def test_the_picture_is_small_and_shows_the_curves() -> None:
    rng = np.random.default_rng(0)
    many = [Record(n, {}, "a", "paused", rng.random(1 + (n % 3 == 0) + (n % 9 == 0)).tolist()) for n in range(120)]
    pictures = [learning_curves(STEPS, found, label="return") for found in (many, records(), [])]
    assert all(len(each) < 20_000 for each in pictures)
    shapes = {Image.open(BytesIO(each)).size for each in pictures}
    assert len(shapes) == 1
    ink = [np.asarray(Image.open(BytesIO(each)).convert("L")) < 250 for each in pictures]
    assert ink[0].mean() > ink[1].mean() > ink[2].mean()
    assert pictures[0] == learning_curves(STEPS, many, label="return")
