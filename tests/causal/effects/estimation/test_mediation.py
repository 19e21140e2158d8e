"""Direct and indirect effects with an interaction, against the truth of the model that drew the rows."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.mediation import mediation


def drawn(seed: int, rows: int = 500) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=rows)
    t = (rng.random(rows) < 1 / (1 + np.exp(-w))).astype(float)
    m = 1 + 0.5 * t + w + rng.normal(size=rows)
    return t + 0.6 * m + 0.4 * t * m + w + rng.normal(size=rows), t, m, w


# At t = 0 the mediator is 1 on average: direct 1 + .4; indirect .6 · .5; together .4 · .5.
TRUTH = {"direct": 1.4, "indirect": 0.3, "interaction": 0.2, "total": 1.9}


def test_every_part_is_covered_and_they_add_up() -> None:
    covered = dict.fromkeys(TRUTH, 0)
    for seed in range(100):
        found = mediation(*drawn(seed))
        parts = {
            "direct": found.direct.estimate,
            "indirect": found.indirect.estimate,
            "interaction": found.interaction,
            "total": found.total,
        }
        for name, part in parts.items():
            covered[name] += part.interval[0] <= TRUTH[name] <= part.interval[1]
        assert sum(parts[name].value for name in TRUTH if name != "total") == pytest.approx(parts["total"].value)
    assert min(covered.values()) >= 88


def test_without_interaction_the_total_is_that_of_regression_on_the_treatment() -> None:
    y, t, m, w = drawn(3)
    found = mediation(y, t, m, w, interaction=False)
    x = np.column_stack([t, np.ones(len(t)), w])
    assert found.total.value == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0][0], rel=1e-8)
    assert found.interaction.value == 0.0 and found.interaction.p == 1.0
