"""The picture of a proposal stays small enough for Dagster's metadata, however many arms there are."""

from io import BytesIO

import pytest
from PIL import Image

from cogorch_dagster.proposals.figure import proposal_figure


@pytest.mark.parametrize("arms", [2, 60])
def test_a_picture_under_20_kb(arms: int) -> None:
    evidence = {
        "overlap": {
            f"provider/a-rather-long-model-name-{arm}": {
                "weight_before": 1 / arms,
                "weight_after": 2 * arm / arms / (arms - 1),
            }
            for arm in range(arms)
        },
        "dr": {"estimate": 0.05, "ci95": [0.02, 0.08]},
        "snips": {"estimate": 0.04, "ci95": [0.01, 0.07]},
    }
    picture = proposal_figure(evidence)
    assert len(picture) < 20_000
    image = Image.open(BytesIO(picture))
    assert image.width > 500
    assert len(set(image.convert("RGB").getdata())) > 4
