"""The code location as Dagster and a stranger meet it: it loads light, and everything in it is explained."""

import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from cogorch_dagster.definitions import build_defs, defs

ROOT = Path(__file__).parent.parent
HEAVY = ["torch", "dowhy", "causallearn", "numba", "mlflow", "featuretools", "sklearn", "optuna", "scipy"]
HEAVY += ["matplotlib", "pandas", "duckdb"]
ASSETS = {"observations", "rewards", "rollups", "rolling_stats", "policy_versions", "active_policy"}


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_a_fresh_interpreter_loads_no_heavy_package() -> None:
    code = (
        "import sys, json; from cogorch_dagster.definitions import defs; defs.get_repository_def().get_all_jobs(); "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(yaml.safe_load(done.stdout.splitlines()[-1]))
    assert "dagster" in loaded
    assert loaded & set(HEAVY) == set()
    assert "Warning" not in done.stderr


def test_every_asset_tells_a_stranger_what_it_is() -> None:
    for name, spec in specs().items():
        assert spec.description and len(spec.description) > 60, name
        assert spec.group_name in {"sources", "observe", "score", "learn", "act", "agents", "causes", "tuning"}, name
        assert spec.owners and spec.kinds, name
    assert set(specs()) >= ASSETS


def test_the_graph_is_the_chain_of_the_design() -> None:
    after = {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs().items()}
    assert after["rewards"] == {"observations"}
    assert after["rollups"] == {"rewards"}
    assert after["rolling_stats"] == {"rollups"}
    assert after["policy_versions"] == {"rolling_stats", "causal_graph"}
    assert after["active_policy"] == {"policy_versions"}
    assert after["causal_dataset"] == {"rewards"}
    assert after["causal_graph"] == {"causal_dataset"}
    assert after["causal_effects"] == {"causal_graph"}
    assert after["insights"] == {"causal_effects"}
    assert after["fleet_calibration"] == {"observations"}
    assert after["agent_checkpoints"] == {"fleet_calibration"}
    assert after["tuned_hyperparameters"] == after["architectures"] == {"fleet_calibration"}
    assert after["engineered_features"] == {"rewards"}
    assert after["reward_models"] == {"engineered_features"}
    assert after["coordination"] == {"agent_checkpoints"}
    assert after["recommendations"] == {"agent_checkpoints", "coordination"}


def test_hourly_assets_take_a_range_in_one_run() -> None:
    by_key = {
        key.to_user_string(): node
        for node in defs.assets or []
        if isinstance(node, dg.AssetsDefinition)
        for key in node.keys
    }
    for name in ("observations", "rewards", "rollups"):
        assert isinstance(by_key[name].partitions_def, dg.HourlyPartitionsDefinition)
        assert by_key[name].backfill_policy == dg.BackfillPolicy.single_run()
    for name in ("rolling_stats", "policy_versions", "active_policy"):
        assert by_key[name].partitions_def is None


def test_the_gate_is_a_blocking_check_on_the_candidates() -> None:
    checks = {spec.name: spec for check in defs.asset_checks or [] for spec in check.check_specs}
    assert checks["policy_approved"].blocking
    assert checks["policy_approved"].asset_key == dg.AssetKey("policy_versions")
    assert set(checks) == {
        *("policy_approved", "canaries_sound", "no_open_incident", "statistics_current"),
        *("no_duplicates", "schema_matches", "inbox_fresh"),
        *("calibration_fits", "calibration_inputs"),
        *("graph_acyclic", "graph_stable", "input_shift"),
        *("beats_static", "weights_finite", "inference_latency", "equilibrium_verified"),
        *("within_bounds", "better_on_fresh_seeds", "no_leakage"),
        *("rewards_calibrated", "no_look_ahead"),
    }
    assert {name for name, spec in checks.items() if spec.blocking} == {
        *("policy_approved", "beats_static", "weights_finite", "no_leakage")
    }


def test_everything_that_makes_it_run_alone_is_running_by_default() -> None:
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "new_or_stale_hours",
        "low_reward",
        "waiting_decisions",
        "falling_agents",
    }
    for sensor in repository.sensor_defs:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name
    assert {schedule.name for schedule in repository.schedule_defs} == {
        *("hourly_loop", "nightly_clean_up", "nightly_retraining", "causes_every_six_hours"),
        *("weekly_tuning", "weekly_architectures", "nightly_features"),
    }
    for schedule in repository.schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING, schedule.name


def test_light_jobs_run_in_one_process() -> None:
    jobs = ("learning_loop", "tuning", "review", "activation", "canary_step", "rollback")
    jobs += ("hyperparameter_tuning", "architecture_search", "feature_engineering")
    for job in (*jobs, "causes", "clean_up", "retraining"):
        assert defs.resolve_job_def(job).executor_def is dg.in_process_executor, job


def test_workspace_and_project_point_at_the_same_definitions() -> None:
    (entry,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert entry["python_module"]["module_name"] == project["module_name"] == "cogorch_dagster.definitions"


def test_an_override_must_name_a_resource() -> None:
    with pytest.raises(ValueError, match="no resource cogorhc; known: cogorch"):
        build_defs(resource_overrides={"cogorhc": object()})
