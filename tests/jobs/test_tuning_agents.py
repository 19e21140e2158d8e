"""Searches through the real definitions: with real trainings, twice, and what the checks say of them."""

from typing import Any

import dagster as dg

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from tests.agents_layer import short_episodes
from tests.dagster_layer import definitions, failure, metadata, traffic

# One training is a few steps of two fleets.
TINY = {"episodes": 1, "fleets": 2, "trainings": 1, "fresh_seeds": 3}


def run(
    settings: Settings, job: str, config: dict[str, Any], partition: str | None = None
) -> dg.ExecuteInProcessResult:
    return (
        definitions(settings)
        .resolve_job_def(job)
        .execute_in_process(run_config={"ops": config}, partition_key=partition, raise_on_error=False)
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def seeded(settings: Settings) -> None:
    short_episodes(settings)
    with transaction(settings) as connection:
        seed(connection)


def test_a_search_trains_confirms_and_is_gone_on_with(settings: Settings) -> None:
    seeded(settings)
    config = {
        "tuned_hyperparameters": {"config": {**TINY, "episodes": 3, "trials": 3, "sampler": "random", "finalists": 0}}
    }
    first = run(settings, "hyperparameter_tuning", config, "ethical")
    assert first.success
    said = metadata(first, "tuned_hyperparameters")
    assert [row["trial"] for row in said["trials"]] == [0, 1, 2]
    assert all(row["state"] == "complete" and row["steps"] == 120 for row in said["trials"])
    assert "finalists" not in said
    assert said["in_force"] == "1.0.0" and said["verdict"] in ("better", "worse", "not shown")
    assert said["gain_low"] <= said["gain"] <= said["gain_high"]
    assert said["history"].startswith("![")
    found = checks(first)
    assert found["within_bounds"].passed
    assert found["better_on_fresh_seeds"].passed == (said["verdict"] == "better")
    with transaction(settings) as connection:
        drafts = store.versions(connection, "agent-ethical", "draft")
        (study,) = studies.listing(connection)
    assert bool(drafts) == (said["verdict"] == "better")
    assert study.result is not None

    again = metadata(run(settings, "hyperparameter_tuning", config, "ethical"), "tuned_hyperparameters")
    assert again["study"] == said["study"] and again["trials"] == said["trials"] and again["gain"] == said["gain"]


def test_the_best_trials_and_what_is_in_force_are_trained_further_to_say_who_wins(settings: Settings) -> None:
    seeded(settings)
    choice = {"finalists": 1, "finalist_trainings": 3}
    config = {"tuned_hyperparameters": {"config": {**TINY, **choice, "episodes": 3, "trials": 2, "propose": False}}}
    result = run(settings, "hyperparameter_tuning", config, "ethical")
    assert result.success
    said = metadata(result, "tuned_hyperparameters")
    first, other = said["finalists"]
    assert {first["trial"], other["trial"]} == {0, 1} and first["trainings"] == other["trainings"] == 2
    assert (first["state"], other["state"]) == ("won", "dropped") and first["mean"] >= other["mean"]
    assert first["low"] < first["mean"] < first["high"]
    # Only a winner that is not in force already has anything to show.
    assert ("verdict" in said) == (first["trial"] == 1)
    assert ("nothing found that beats what is in force" in said["outcome"]) == (first["trial"] == 0)
    with transaction(settings) as connection:
        (study,) = studies.listing(connection)
    assert (study.result is None) == (first["trial"] == 0)


def test_a_search_that_what_is_in_force_wins_has_nothing_to_confirm(settings: Settings) -> None:
    seeded(settings)
    result = run(
        settings, "hyperparameter_tuning", {"tuned_hyperparameters": {"config": {**TINY, "trials": 1}}}, "ethical"
    )
    assert result.success
    said = metadata(result, "tuned_hyperparameters")
    assert said["outcome"] == "1 of 1 trials complete; nothing found that beats what is in force"
    assert "verdict" not in said and said["trials"][0]["score"] is not None
    assert checks(result)["better_on_fresh_seeds"].description == "No study has a winner that was confirmed."
    with transaction(settings) as connection:
        (study,) = studies.listing(connection)
        assert study.result is None and store.versions(connection, "agent-ethical", "draft") == []


def test_an_unknown_sampler_ends_the_run_with_the_known_ones(settings: Settings) -> None:
    seeded(settings)
    config = {"tuned_hyperparameters": {"config": {**TINY, "sampler": "best"}}}
    result = run(settings, "hyperparameter_tuning", config, "ethical")
    assert not result.success
    assert "tpe" in failure(result)


def test_networks_are_halved_and_judged(settings: Settings) -> None:
    seeded(settings)
    config = {"architectures": {"config": {**TINY, "full_trainings": 3, "rungs": 3}}}
    result = run(settings, "architecture_search", config, "ethical")
    assert result.success
    said = metadata(result, "architectures")
    reached = [row["reached"] for row in said["rungs"]]
    assert reached[0] > reached[-1] >= 1, "many begin, few are trained to the end"
    assert set(said["architecture"]) == {"hidden", "activation", "dropout"}
    assert said["learning_curves"].startswith("![")


def test_features_and_expected_rewards_of_a_router_are_built_checked_and_measured(mlflow_database: Settings) -> None:
    settings = mlflow_database
    traffic(settings)
    hours = {"config": {"hours": 8}}
    result = run(settings, "feature_engineering", {"engineered_features": hours, "reward_models": hours})
    assert result.success
    said = metadata(result, "engineered_features")
    (row,) = said["feature_sets"]
    assert row["decisions"] > 100 and row["considered"] > 10
    (row,) = (said := metadata(result, "reward_models"))["reward_models"]
    # All of the traffic lies before the newest fifth of the hours: nothing judges the model yet.
    assert row["version"] == "reward-model-router-core@1" and row["outcome"] == "too few to compare"
    assert row["decisions"] > 800 and row["rmse"] <= row["rmse_by_arm"] * 1.01 and row["r2_low"] < row["r2"]
    assert said["calibration router-core"].startswith("![")
    found = checks(result)
    assert found["no_leakage"].passed and found["no_look_ahead"].passed
    assert found["rewards_calibrated"].passed and found["no_look_ahead"].metadata["versions"].value == row["version"]

    # Seconds later the hours are others, and the decisions the same.
    again = (
        definitions(settings)
        .resolve_job_def("feature_engineering")
        .execute_in_process(
            run_config={"ops": {"reward_models": hours}}, asset_selection=[dg.AssetKey("reward_models")]
        )
    )
    (repeated,) = metadata(again, "reward_models")["reward_models"]
    assert row["registered"] == "new" and repeated["registered"].startswith("unchanged since 20")
    assert repeated["version"] == row["version"] and "so there is no new version" in repeated["outcome"]
