"""Whether a calibration still holds: what came after it is counted, late rows too, and held against it."""

from datetime import timedelta

from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.calibration.freshness import hours_read, new_rows, recent_drift
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.sources import dagster_runs
from cogorch_dagster.settings import Settings
from tests.agents_layer import BEGIN, observed

END = BEGIN + timedelta(hours=3)


def failing() -> FleetParameters:
    """The default fleet whose models fail in every fifth attempt."""
    models = tuple(each.model_copy(update={"failure_rate": 0.2}) for each in default_parameters().models)
    return default_parameters().model_copy(update={"models": models})


def test_what_a_calibration_has_not_read_is_new_also_when_it_comes_late(settings: Settings) -> None:
    assert new_rows(settings, None) == 0
    rows = observed(settings, hours=2)
    assert new_rows(settings, None) == rows
    found = calibrate(settings, BEGIN, END)
    assert hours_read(settings, found) == 2
    assert new_rows(settings, found) == 0
    late = observed(settings, hours=1, seed=1)
    assert new_rows(settings, found) == late, "of hours that it has read"
    assert new_rows(settings, found, now=BEGIN - timedelta(hours=5)) == 0


def test_runs_of_the_installation_are_no_requests_to_the_fleet(settings: Settings) -> None:
    rows = observed(settings, hours=1)
    facts = dagster_runs.RunFacts("1", "learning_loop", "SUCCESS", BEGIN, BEGIN + timedelta(seconds=9))
    own = dagster_runs.observation(facts)
    assert own is not None and append(settings, [own]).added == 1
    assert new_rows(settings, None) == rows
    found = calibrate(settings, BEGIN, END)
    assert found.rows == rows and new_rows(settings, found) == 0
    assert {model.name for model in found.parameters.models} == {"small", "medium", "large"}


def test_the_same_traffic_is_steady_and_other_traffic_is_not(settings: Settings) -> None:
    observed(settings, hours=3)
    found = calibrate(settings, BEGIN, END)
    same = recent_drift(settings, found, now=END)
    assert same.verdict == "steady" and same.compared >= 20
    assert recent_drift(settings, found, now=END + timedelta(days=1)).compared == 0, "nothing came in"
    observed(settings, failing(), hours=3, seed=1)
    moved = {(each.whose, each.what) for each in recent_drift(settings, found, now=END).moved}
    assert {("model small", "failure rate"), ("model medium", "failure rate")} <= moved
    assert "input tokens" not in {what for _, what in moved}
