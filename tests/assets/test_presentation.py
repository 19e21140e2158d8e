"""Tables and plots as metadata: typed, small, complete."""

import base64
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from assets.presentation import PLOT_LIMIT_BYTES, picture, plot, table


def test_columns_have_the_type_of_their_values() -> None:
    rows = [{"a": 1, "b": 0.5, "c": "x", "d": True, "e": None}, {"a": 2, "b": 1, "c": None, "d": False, "e": None}]
    found = table(rows, dict.fromkeys("abcde", "described"))
    assert {column.name: column.type for column in found.schema.columns} == {
        "a": "int",
        "b": "float",
        "c": "string",
        "d": "bool",
        "e": "string",
    }
    assert found.records[1].data == {"a": 2, "b": 1, "c": "", "d": False, "e": ""}


def test_a_missing_number_stays_missing_and_a_time_is_readable() -> None:
    rows = [{"n": 1, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}, {}]
    found = table(rows, {"n": "count", "at": "UTC"})
    assert [record.data for record in found.records] == [{"n": 1, "at": "2026-01-02 03:04:05"}, {"n": None, "at": ""}]


def test_a_table_is_cut_at_its_limit() -> None:
    assert len(table([{"n": n} for n in range(100)], {"n": "count"}, limit=7).records) == 7


def test_a_plot_is_a_small_picture_in_markdown() -> None:
    found = plot(lambda axes: axes.barh(range(10), np.linspace(0, 1, 10)), title="ten bars")
    head, _, data = str(found.value).partition("(data:image/png;base64,")
    assert head == "![ten bars]"
    assert len(str(found.value)) < PLOT_LIMIT_BYTES + 100
    with Image.open(BytesIO(base64.b64decode(data.removesuffix(")")))) as image:
        assert image.format == "PNG" and image.width > 400


def test_a_picture_that_is_too_large_says_so() -> None:
    noise = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)).save(noise, "PNG")
    with pytest.raises(ValueError, match=r"the plot 'noise' takes .* the limit is 20000; draw less"):
        picture(noise.getvalue(), "noise")
