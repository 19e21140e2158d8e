"""The calibration as an asset: what it fits and says, what it keeps without data, and what its checks warn of."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from assets.fleet_calibration import FitConfig, calibration_fits
from cogorch_dagster.fleet.calibration import store
from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.agents_layer import BEGIN, HOURS, observed
from tests.dagster_layer import definitions, metadata, resource


def materialised(settings: Settings, config: dict[str, object] | None = None) -> dg.ExecuteInProcessResult:
    """The asset and its checks, without what follows."""
    return (
        definitions(settings)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            asset_selection=[dg.AssetKey("fleet_calibration")], run_config=config or {}, raise_on_error=False
        )
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_traffic_becomes_parameters_with_their_fits_and_origins(settings: Settings) -> None:
    rows = observed(settings)
    result = materialised(settings)
    assert result.success
    said = metadata(result, "fleet_calibration")
    assert said["dagster/row_count"] == rows and said["stored"]
    with transaction(settings) as connection:
        stored = store.latest(connection)
    assert stored is not None and (said["digest"], said["parameters_digest"]) == (
        stored.digest,
        stored.parameters.digest,
    )
    assert {row["distribution"] for row in said["fits"]} == {fit.name for fit in stored.fits}
    for name in ("distributions_1", "distributions_2"):
        assert said[name].startswith("![") and len(said[name]) < 20_200
    assert "distributions_3" not in said, "15 fits, 8 in a picture"
    origins = {row["parameter"]: row["from"] for row in said["parameters"]}
    # Tenants stand by their share, which is another at other times of the day.
    place = [tenant.name for tenant in stored.parameters.tenants].index("chat")
    assert "observations" in origins[f"tenants.{place}.input_tokens (chat)"]
    assert origins["models.0.startup_seconds (small)"].startswith("default")
    found = checks(result)
    assert not found["calibration_inputs"].passed
    assert f"{HOURS} hours with data of at least 24" in str(found["calibration_inputs"].description)
    assert {each.severity for each in found.values()} == {dg.AssetCheckSeverity.WARN}

    observed(settings, default_parameters().model_copy(update={"tenants": longer()}), seed=1)
    again = metadata(materialised(settings), "fleet_calibration")
    assert again["outcome"].endswith("drifted") and again["against_the_one_before"].startswith("drifted")
    assert ("tenant chat", "output tokens") in {(row["whose"], row["what"]) for row in again["moved"]}


def test_without_data_nothing_is_stored_and_the_defaults_are_named(settings: Settings) -> None:
    result = materialised(settings)
    assert result.success
    said = metadata(result, "fleet_calibration")
    assert "the documented defaults are used" in said["outcome"] and said["digest"] == "none"
    assert said["parameters_digest"] == default_parameters().digest
    with transaction(settings) as connection:
        assert store.latest(connection) is None
    found = checks(result)
    assert not found["calibration_inputs"].passed and "documented defaults" in str(
        found["calibration_inputs"].description
    )
    assert found["calibration_fits"].passed


@pytest.mark.parametrize(("most_poor", "passed"), [(1.0, True), (0.0, False)])
def test_a_poor_fit_is_a_warning(settings: Settings, most_poor: float, passed: bool) -> None:
    observed(settings, hours=2)
    found = calibrate(settings, BEGIN, BEGIN + timedelta(hours=9))
    poor = tuple(replace(each, verdict="poor", default=each.calibrated) for each in found.fits)
    with transaction(settings) as connection:
        store.save(connection, replace(found, fits=poor))
    check = calibration_fits(config=FitConfig(most_poor=most_poor), cogorch=resource(settings))
    assert isinstance(check, dg.AssetCheckResult)
    assert (check.passed, check.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert "work_ms" in str(check.description)


def longer() -> tuple[object, ...]:
    """The default tenants, of which the first writes four times as much."""
    first, *others = default_parameters().tenants
    lengths = first.output_tokens.model_copy(update={"mu": first.output_tokens.mu + 1.4})
    return (first.model_copy(update={"output_tokens": lengths}), *others)
