"""Pictures of a study, and how much each hyperparameter mattered."""

from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.importance import importances
from cogorch_dagster.tuning.objective import Measured
from cogorch_dagster.tuning.pictures import history, importance_figure, pareto_figure
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.trials import Trial, Trials
from tests.tuning.tiny import begun


def by_clip(plan: Any, params: Any, _: Any) -> list[Measured]:
    """Only `clip` counts; two other objectives go against it."""
    place = plan.space.unit(params)[plan.space.names.index("clip")]
    return [Measured(place, place, place**2, place / 10, 1, (place,))]


def test_the_hyperparameter_that_counts_is_the_most_important(settings: Settings) -> None:
    study = begun(settings, sampler="random")
    trials = Trials(settings, study)
    run(settings, study, 5, objective=by_clip)
    assert importances(trials) == {}
    run(settings, study, 60, objective=by_clip)
    found = importances(trials)
    trials.close()
    assert next(iter(found)) == "clip" and found["clip"] > 0.5
    assert sum(found.values()) == pytest.approx(1) and set(found) == set(study.plan.space.names)


def test_every_picture_is_a_small_png(settings: Settings) -> None:
    objectives = ("reward", "conflicts", "latency")
    found = run(settings, begun(settings, objectives=objectives, sampler="random"), 60, objective=by_clip)
    failed = Trial(60, "failed", {}, error="RuntimeError: bad luck")
    pictures = [
        history([*found.trials, failed]),
        history([failed]),
        importance_figure({f"parameter {n}": n / 45 for n in range(10)}),
        pareto_figure(found.trials, found.pareto, objectives),
    ]
    for picture in pictures:
        assert picture.startswith(b"\x89PNG") and len(picture) < 20_000
    assert len(set(pictures)) == 4


def test_nothing_to_draw() -> None:
    with pytest.raises(InvalidInput, match="no trial of the study has ended"):
        history([Trial(0, "running", {})])
    with pytest.raises(InvalidInput, match="too few trials"):
        importance_figure({})
    with pytest.raises(InvalidInput, match="needs two objectives"):
        pareto_figure([], [], ("reward",))
