"""Pictures as bytes: of the size that the figure says, of as many colours as asked, the same each time."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cogorch_dagster.figures import drawn, png, reduced, tidy


def figure() -> Any:
    from matplotlib.figure import Figure

    made = Figure(figsize=(4.0, 2.0), dpi=80, layout="constrained")
    axes = made.add_subplot()
    axes.imshow(np.arange(600.0).reshape(20, 30), cmap="viridis", aspect="auto")
    tidy(axes)
    return made


def colours(picture: bytes) -> int:
    with Image.open(BytesIO(picture)) as image:
        return len(image.convert("RGB").getcolors(100_000))


@pytest.mark.parametrize("most", [8, 32])
def test_a_palette_takes_a_part_of_the_bytes_and_keeps_the_size(most: int) -> None:
    whole, small = drawn(figure()), png(figure(), most)
    with Image.open(BytesIO(small)) as image:
        assert image.format == "PNG" and image.size == (320, 160)
    assert colours(small) <= most < colours(whole)
    assert len(small) < len(whole) / 2
    assert small == png(figure(), most)


def test_a_picture_is_scaled_and_becomes_webp() -> None:
    found = reduced(drawn(figure()), 8, form="webp", scale=0.5)
    with Image.open(BytesIO(found)) as image:
        assert image.format == "WEBP" and image.size == (160, 80)
    assert colours(found) <= 8


@pytest.mark.parametrize(("form", "head"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_other_formats(form: Any, head: bytes) -> None:
    assert drawn(figure(), form).startswith(head)


def test_pyplot_knows_nothing_of_it() -> None:
    from matplotlib import pyplot as plt

    png(figure(), 16)
    assert plt.get_fignums() == []


def test_lines_stay_to_the_left_and_below() -> None:
    axes = figure().axes[0]
    assert {side for side, spine in axes.spines.items() if spine.get_visible()} == {"left", "bottom"}
