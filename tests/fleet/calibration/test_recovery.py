"""Known parameters are found again in the observations they generate, from defaults that are wrong."""

from datetime import timedelta

import pytest

from cogorch_dagster.fleet.calibration.calibration import Calibration, calibrate_table
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from tests.fleet.calibration.traffic import BEGIN, observations, wrong_defaults

SCALE, DAYS = 0.04, 3


@pytest.fixture(scope="module")
def truth() -> FleetParameters:
    return default_parameters()


@pytest.fixture(scope="module")
def found(truth: FleetParameters) -> Calibration:
    table = observations(truth, DAYS, seed=3, scale=SCALE, company=True)
    replicas = dict.fromkeys((each.name for each in truth.models), 1)
    return calibrate_table(table, BEGIN, BEGIN + timedelta(days=DAYS), base=wrong_defaults(), replicas=replicas)


def test_models(found: Calibration, truth: FleetParameters) -> None:
    for own, model in zip(truth.models, found.parameters.models, strict=True):
        assert model.name == own.name
        assert model.overhead_ms == pytest.approx(own.overhead_ms, rel=0.1)
        assert model.prefill_ms_per_token == pytest.approx(own.prefill_ms_per_token, rel=0.08)
        assert model.decode_ms_per_token == pytest.approx(own.decode_ms_per_token, rel=0.03)
        assert model.residual_sigma == pytest.approx(own.residual_sigma, rel=0.03)
        assert model.batch_slowdown == pytest.approx(own.batch_slowdown, rel=0.2)
        assert model.failure_rate == pytest.approx(own.failure_rate, abs=0.003)
        assert model.usd_per_million_input == pytest.approx(own.usd_per_million_input, rel=1e-6)
        assert model.usd_per_million_output == pytest.approx(own.usd_per_million_output, rel=1e-6)


def test_incidents(found: Calibration, truth: FleetParameters) -> None:
    for own, model in zip(truth.models, found.parameters.models, strict=True):
        assert model.degraded_failure_rate == pytest.approx(own.degraded_failure_rate, abs=0.1)
        assert model.degraded_slowdown == pytest.approx(own.degraded_slowdown, abs=0.3)
        # Some four in three days: their number is known to a factor, not to a percent.
        assert own.incidents_per_day / 3 < model.incidents_per_day < own.incidents_per_day * 3
        assert own.incident_minutes / 3 < model.incident_minutes < own.incident_minutes * 3


def test_tenants(found: Calibration, truth: FleetParameters) -> None:
    for own, tenant in zip(truth.tenants, found.parameters.tenants, strict=True):
        assert tenant.name == own.name
        assert tenant.requests_per_second == pytest.approx(own.requests_per_second * SCALE, rel=0.12)
        assert tenant.dispersion == pytest.approx(own.dispersion, rel=0.15)
        errors = [a - b for a, b in zip(tenant.hourly_shape, own.hourly_shape, strict=True)]
        assert sum(each**2 for each in errors) / 24 < 0.15**2
        for kind in ("input_tokens", "output_tokens"):
            assert getattr(tenant, kind).mu == pytest.approx(getattr(own, kind).mu, abs=0.04)
            assert getattr(tenant, kind).sigma == pytest.approx(getattr(own, kind).sigma, abs=0.03)
        if own.requests_per_second < 2:
            continue  # three requests a minute do not show doubling for 20 minutes
        assert own.bursts_per_day / 2 < tenant.bursts_per_day < own.bursts_per_day * 2
        assert own.burst_minutes / 2 < tenant.burst_minutes < own.burst_minutes * 2
        assert tenant.burst_factor == pytest.approx(own.burst_factor, rel=0.25)


def test_every_distribution_fits_and_is_nearer_than_the_default_on_held_out_data(found: Calibration) -> None:
    assert len(found.fits) == 15
    for fit in found.fits:
        assert fit.verdict == "good" and fit.calibrated.ks < 0.05, fit.name
        assert fit.held_out is not None and fit.held_out_default is not None
        assert fit.held_out.ks < 0.1 < fit.held_out_default.ks, fit.name
        assert fit.held_out.wasserstein < fit.held_out_default.wasserstein, fit.name
    assert found.warnings == ()


def test_every_value_says_where_it_comes_from(found: Calibration) -> None:
    origin = found.parameters.origin
    for place, model in enumerate(found.parameters.models):
        for field in type(model).model_fields:
            assert origin[f"models.{place}.{field}"], field
    for place, tenant in enumerate(found.parameters.tenants):
        for field in type(tenant).model_fields:
            assert origin[f"tenants.{place}.{field}"].startswith("observations"), field
    assert origin["models.0.slots"] == "default: observations do not show it"
    assert origin["models.0.decode_ms_per_token"].startswith("observations: ")


def test_without_replicas_the_slowdown_keeps_its_default(truth: FleetParameters) -> None:
    table = observations(truth, 0.2, scale=SCALE)
    found = calibrate_table(table, BEGIN, BEGIN + timedelta(days=1)).parameters
    assert [each.batch_slowdown for each in found.models] == [each.batch_slowdown for each in truth.models]
    assert "replicas of the models not given" in found.origin["models.1.batch_slowdown"]


def test_without_tokens_all_time_is_overhead(truth: FleetParameters) -> None:
    table = observations(truth, 0.3, scale=SCALE, tokens=False)
    found = calibrate_table(table, BEGIN, BEGIN + timedelta(days=1))
    model = found.parameters.models[0]
    assert (model.prefill_ms_per_token, model.decode_ms_per_token) == (0, 0)
    work = next(each.value for each in found.quantities if (each.whose, each.what) == ("model small", "work ms"))
    assert model.overhead_ms == pytest.approx(work, rel=0.1)
    assert found.parameters.models[0].usd_per_million_input == truth.models[0].usd_per_million_input
    assert found.parameters.tenants[0].input_tokens == truth.tenants[0].input_tokens
    assert found.parameters.origin["tenants.0.input_tokens"].startswith("default: 0 requests")
