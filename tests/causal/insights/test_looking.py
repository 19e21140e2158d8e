"""Insights: right in size and order, in sentences that hold all numbers, kept once, with the cases of before."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import pytest
import sqlalchemy as sa

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.effects.effect import effect
from cogorch_dagster.causal.insights import effect_store, store
from cogorch_dagster.causal.insights.direction import better_of
from cogorch_dagster.causal.insights.estimating import estimate_effects
from cogorch_dagster.causal.insights.finding import insights_of
from cogorch_dagster.causal.insights.insight import Insight
from cogorch_dagster.causal.insights.looking import look
from cogorch_dagster.causal.insights.questions import questions
from cogorch_dagster.causal.insights.settable import settable
from cogorch_dagster.causal.insights.similar import similarity, with_similar
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.causal.samples import LARGE_ON_REWARD, QUEUE_ON_LATENCY, REPLICAS_ON_QUEUE, autoscaled, routed
from tests.evaluation.traffic import install

QUICK = DiscoverySettings(resamples=20)


@cache
def found() -> tuple[Insight, ...]:
    """Insights of the autoscaler, without a database."""
    version = building.build(autoscaled(800), settings=QUICK)
    documents = [
        effect_store.effect_document(effect(autoscaled(800), version.graph, cause, outcome, latents=version.latents))
        for cause, outcome in questions(version)
    ]
    return tuple(insights_of(version, documents, {"context:replicas": ("scaler", "minReplicas")}))


def of(cause: str, outcome: str) -> Insight:
    return next(each for each in found() if (each.cause, each.outcome) == (cause, outcome))


def test_only_what_may_cause_an_outcome_is_asked() -> None:
    version = building.build(autoscaled(800), settings=QUICK)
    asked = questions(version)
    assert asked[0][0] == "context:replicas"
    assert set(asked) == {
        (cause, outcome) for cause in ("load", "context:replicas", "queue_ms") for outcome in ("latency_ms", "reward")
    }
    assert better_of("latency_ms") == "lower" and better_of("reward") == "higher" and better_of("load") is None


def test_sizes_paths_and_what_would_help() -> None:
    insight = of("context:replicas", "latency_ms")
    truth = REPLICAS_ON_QUEUE * QUEUE_ON_LATENCY
    assert insight.claim == "causal" and insight.adjusted_for == ("load",) and insight.step == 1.0
    assert insight.interval[0] < truth < insight.interval[1]
    (path,) = insight.paths
    assert path.text == "context:replicas -> queue_ms -> latency_ms"
    assert path.contribution == pytest.approx(path.edges[0][2] * path.edges[1][2])
    advice = insight.recommendation
    assert advice is not None and advice.target > advice.present and advice.interval[1] < 0
    assert advice.change == pytest.approx(truth * (advice.target - advice.present), rel=0.15)
    assert (advice.policy, advice.parameter) == ("scaler", "minReplicas")
    two = {path.text: path.contribution for path in of("load", "latency_ms").paths}
    assert two["load -> queue_ms -> latency_ms"] > 0 > two["load -> context:replicas -> queue_ms -> latency_ms"]


def test_what_can_be_changed_comes_first_and_then_the_larger() -> None:
    advised = [each.recommendation is not None for each in found()]
    assert advised == sorted(advised, reverse=True) and advised[0]
    for some in (True, False):
        scores = [each.score for each, has in zip(found(), advised, strict=True) if has is some]
        assert scores == sorted(scores, reverse=True)


def test_the_sentence_holds_every_number() -> None:
    said = of("context:replicas", "latency_ms").sentence
    for part in (
        *(
            "1 replicas more of context:replicas lowers latency_ms by 1",
            "(95 %: ",
            "A causal claim: adjusted for load.",
        ),
        *("By way of context:replicas -> queue_ms -> latency_ms", "A hidden confounder would have to explain"),
        *(
            "Recommended: context:replicas from",
            "replicas, by way of minReplicas of scaler, which should lower latency_ms by",
        ),
        " ms (95 %: ",
    ):
        assert part in said


def test_the_reward_decides_which_way_a_lever_goes() -> None:
    """More of the large arm raises latency and, what counts more, the reward."""
    version = building.build(routed(800), settings=QUICK)
    documents = [
        effect_store.effect_document(effect(routed(800), version.graph, "share:large", outcome))
        for outcome in ("latency_ms", "reward")
    ]
    told = {each.outcome: each for each in insights_of(version, documents)}
    assert told["latency_ms"].effect > 0 and told["latency_ms"].recommendation is None
    advice = told["reward"].recommendation
    assert advice is not None and advice.target > advice.present
    assert advice.change == pytest.approx(LARGE_ON_REWARD * (advice.target - advice.present), rel=0.25)


def test_a_document_comes_back_as_the_insight() -> None:
    for each in found():
        assert Insight.of(each.document()).document() == each.document()


def test_similarity_is_1_for_the_same_and_0_for_the_opposite() -> None:
    insight = of("context:replicas", "latency_ms")
    assert similarity(insight, insight) == pytest.approx(1.0)
    assert similarity(insight, replace(insight, standardised=-insight.standardised)) == 0.0
    assert similarity(insight, replace(insight, outcome="reward")) == 0.0
    twice = similarity(insight, replace(insight, standardised=2 * insight.standardised))
    pathless = replace(insight, paths=())
    other = similarity(pathless, replace(pathless, cause="context:concurrency"))
    assert twice == pytest.approx(1 - 0.5 / 3) and other == pytest.approx(1 - 0.5 / 3)


def keep(settings: Settings, seed: int, scope: str) -> CausalVersion:
    version = building.build_and_keep(settings, autoscaled(800, seed, scope), discovery=QUICK).version
    assert estimate_effects(settings, version).added == 6
    return version


def test_kept_once_with_the_cases_of_before(settings: Settings) -> None:
    first = keep(settings, 0, "autoscaler:core")
    told = look(settings, first)
    assert len(told) == 6 and all(each.similar == () for each in told)
    assert look(settings, first) == told and estimate_effects(settings, first).added == 0
    second = look(settings, keep(settings, 1, "autoscaler:eu"))
    for each in second:
        assert each.similar[0].scope == "autoscaler:core"
        assert each.similar[0].ratio == pytest.approx(1.0, abs=0.35)
    with transaction(settings) as connection:
        assert [kept.insight.digest for kept in store.of_version(connection, first.digest)] == [e.digest for e in told]
        with pytest.raises(sa.exc.DBAPIError, match="immutable"):
            connection.execute(sa.text("UPDATE causal_insights SET rank = 7"))


def test_nothing_is_kept_until_every_effect_is_there(settings: Settings) -> None:
    version = building.build_and_keep(settings, autoscaled(800), discovery=QUICK).version
    cause, outcome = questions(version)[0]
    document = effect_store.effect_document(effect(autoscaled(800), version.graph, cause, outcome))
    with transaction(settings) as connection:
        effect_store.save(connection, version.digest, document)
    assert len(look(settings, version)) == 1
    estimate_effects(settings, version)
    assert len(look(settings, version)) == 6


def test_two_that_look_at_once_keep_one_set(settings: Settings) -> None:
    version = keep(settings, 0, "autoscaler:core")
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: look(settings, version), range(2))
    with transaction(settings) as connection:
        kept = store.of_version(connection, version.digest)
    assert [each.digest for each in one] == [each.digest for each in other] == [each.insight.digest for each in kept]


def test_a_version_that_a_clean_up_took_is_refused(settings: Settings) -> None:
    version = building.build_and_keep(settings, autoscaled(800), discovery=QUICK).version
    with transaction(settings) as connection:
        connection.execute(sa.text("DELETE FROM causal_versions"))
    for ask in (estimate_effects, look):
        with pytest.raises(Refused, match="is gone"):
            ask(settings, version)


def test_an_edge_in_doubt_is_named() -> None:
    version = building.build(autoscaled(800), settings=QUICK)
    shares = version.probabilities.directed.copy()
    i, j = version.graph.index("queue_ms"), version.graph.index("latency_ms")
    shares[i, j] = 0.6
    unsure = replace(version, probabilities=replace(version.probabilities, directed=shares))
    document = effect_store.effect_document(effect(autoscaled(800), version.graph, "load", "latency_ms"))
    (insight,) = insights_of(unsure, [document])
    assert insight.doubted == ("queue_ms -> latency_ms (60%)",)
    assert "Of the way itself less is sure: queue_ms -> latency_ms (60%)." in insight.sentence
    assert insights_of(version, [document])[0].doubted == ()


def test_cases_that_are_not_alike_are_left_out() -> None:
    insight = of("context:replicas", "latency_ms")
    unlike = replace(insight, cause="load", paths=(), standardised=insight.standardised * 30)
    at = autoscaled(20).since
    assert at is not None
    assert with_similar(insight, [store.Kept(unlike, at)]).similar == ()
    assert len(with_similar(insight, [store.Kept(insight, at)] * 5).similar) == 1


def test_the_parameter_that_sets_a_variable_is_found(settings: Settings) -> None:
    install(settings)
    version = building.build(routed(), settings=QUICK)
    with transaction(settings) as connection:
        assert settable(connection, version) == {
            "share:large": ("router-core", "modelWeights.large"),
            "share:medium": ("router-core", "modelWeights.medium"),
        }
        assert settable(connection, building.build(autoscaled(), settings=QUICK)) == {}
