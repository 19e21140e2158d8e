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
    config = {"tuned_hyperparameters": {"config": {**TINY, "episodes": 3, "trials": 3}}}
    first = run(settings, "hyperparameter_tuning", config, "ethical")
    assert first.success
    said = metadata(first, "tuned_hyperparameters")
    assert [row["trial"] for row in said["trials"]] == [0, 1, 2]
    assert all(row["state"] == "complete" and row["steps"] == 120 for row in said["trials"])
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


def test_features_of_a_router_are_built_checked_and_measured(settings: Settings) -> None:
    traffic(settings)
    result = run(settings, "feature_engineering", {"engineered_features": {"config": {"hours": 8}}})
    assert result.success
    said = metadata(result, "engineered_features")
    (row,) = said["feature_sets"]
    assert row["decisions"] > 100 and row["considered"] > 10
    assert checks(result)["no_leakage"].passed
