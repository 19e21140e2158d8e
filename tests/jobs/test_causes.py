"""The chain through the real definitions: scored hours become a graph, effects, insights, and evidence of a draft."""

from dataclasses import replace

import dagster as dg

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.versions import building, datasets, store
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.proposals import router
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from tests.causal.samples import autoscaled
from tests.dagster_layer import metadata, recent_hours, run, traffic
from tests.evaluation.traffic import POLICY

CHAIN = {"causal_dataset", "causal_graph", "causal_effects", "insights"}
QUICK = {"ops": {"causal_graph": {"config": {"resamples": 40}}, "causal_dataset": {"config": {"components": []}}}}


def test_scored_hours_become_causes_and_their_word_goes_into_a_draft(settings: Settings) -> None:
    traffic(settings, count=6000)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(settings, "learning_loop", instance, hours=recent_hours()).success
        result = run(settings, "causes", instance, config=QUICK)
        assert result.success
        assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == CHAIN
        (row,) = metadata(result, "causal_dataset")["datasets"]
        assert (row["component"], row["outcome"]) == ("router:core", "kept") and row["rows"] >= 200
        said = metadata(result, "causal_graph")
        (version,) = said["versions"]
        assert version["outcome"] == "new" and version["edges"] > 3
        assert said["graph_of_router:core"].startswith("![what causes what in router:core](data:image/")
        edges = {each["edge"]: each for each in said["edges_of_router:core"]}
        assert edges["share:large -> latency_ms"]["coefficient"] > 20
        assert all(each.passed for each in result.get_asset_check_evaluations())
        effects = {(each["cause"], each["outcome"]): each for each in metadata(result, "causal_effects")["effects"]}
        large = effects["share:large", "latency_ms"]
        # An attempt by the large arm takes 80 ms, by the reference 8 ms, times exp(.3² / 2), the mean of their noise.
        assert large["claim"] == "causal" and large["low"] < 75.3 < large["high"]
        medium = effects["share:medium", "latency_ms"]
        assert medium["adjusted_for"] == "share:large" and medium["low"] < 17.8 < medium["high"]
        told = metadata(result, "insights")
        assert told["insights"][0]["claim"] == "causal"
        assert "share:large" in told["in_words"] and "95 %" in told["in_words"]

        again = run(settings, "causes", instance, config=QUICK)
        assert again.success
        (version,) = metadata(again, "causal_graph")["versions"]
        assert version["outcome"] == "the same as before"
        assert "0 of them new" in metadata(again, "causal_effects")["outcome"]

    # Another seed, or the draft of before would come back, which knows of no graph.
    found = router.propose(settings, POLICY, seed=1)
    assert isinstance(found, router.Proposal), found
    with transaction(settings) as connection:
        latest = store.latest(connection, "router:core")
    causal = found.evidence["causal"]
    assert latest is not None and causal["version"] == latest.digest
    assert {each["variable"] for each in causal["parameters"]} >= {"share:large"}
    assert causal["agreement"]["agrees"] is not None and causal["total"]["estimate"] > 0


def test_files_are_left_alone_and_given_knowledge_is_kept(settings: Settings) -> None:
    traffic(settings, count=3000)
    materialise.materialise_rewards(settings, materialise.stale_hours(settings))
    of_file = replace(autoscaled(60), scope="a.csv", since=None, until=None)
    quick = DiscoverySettings(resamples=10)
    building.build_and_keep(settings, of_file, discovery=quick)
    assert run(settings, "causes", config=QUICK).success
    known = Knowledge(forbidden=frozenset({("share:large", "quality")}))
    with transaction(settings) as connection:
        (stored,) = [each for each in datasets.latest(connection) if each.of_component]
    building.build_and_keep(settings, datasets.load(settings, stored.digest), knowledge=known, discovery=quick)
    result = run(settings, "causes", config=QUICK)
    assert result.success
    assert [row["component"] for row in metadata(result, "causal_graph")["versions"]] == ["router:core"]
    assert {row["component"] for row in metadata(result, "causal_effects")["effects"]} == {"router:core"}
    with transaction(settings) as connection:
        latest = store.latest(connection, "router:core")
    assert latest is not None and latest.given == known


def test_without_data_every_step_says_so(settings: Settings) -> None:
    result = run(settings, "causes")
    assert result.success
    assert metadata(result, "causal_dataset")["outcome"] == "no component has rewards"
    assert metadata(result, "causal_graph")["outcome"] == "no component has a data set"
    assert metadata(result, "insights")["in_words"] == "Nothing stands out."
