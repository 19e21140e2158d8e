"""A version never changes: not its bytes, not its row, not its answers when a newer one comes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sqlalchemy as sa

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.intervention import what_if
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions import building, datasets, soundness, store
from cogorch_dagster.causal.versions.comparison import compared
from cogorch_dagster.causal.versions.edges import edges
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.causal.samples import QUEUE_ON_LATENCY, REPLICAS_ON_QUEUE, autoscaled

QUICK = DiscoverySettings(resamples=40)
TRUE = {
    *("load -> context:replicas", "load -> queue_ms", "context:replicas -> queue_ms"),
    *("queue_ms -> latency_ms", "latency_ms -> reward"),
}


@cache
def version(seed: int = 0) -> CausalVersion:
    return building.build(autoscaled(seed=seed), settings=QUICK)


def test_the_graph_of_an_autoscaler_is_found_with_its_coefficients() -> None:
    assert {edge.text for edge in version().graph.edges()} == TRUE
    found = {each.text: each for each in edges(version())}
    queue = found["context:replicas -> queue_ms"]
    assert queue.coefficient == pytest.approx(REPLICAS_ON_QUEUE, abs=1.0) and queue.unit == "ms per replicas"
    assert found["queue_ms -> latency_ms"].coefficient == pytest.approx(QUEUE_ON_LATENCY, abs=0.1)
    assert all(each.joined > 0.9 and each.this_way > 0.9 for each in found.values())
    assert soundness.problems(version()) == []


def test_simpsons_reversal_is_seen_through() -> None:
    data = autoscaled()
    assert np.corrcoef(data.column("context:replicas"), data.column("latency_ms"))[0, 1] > 0.3
    (answer,) = what_if(version().model, shift={"context:replicas": 1.0}, outcomes=["latency_ms"])
    assert isinstance(answer, Answer)
    assert answer.interval[0] < REPLICAS_ON_QUEUE * QUEUE_ON_LATENCY < answer.interval[1] < 0


def test_the_same_inputs_give_the_same_bytes_and_others_do_not() -> None:
    again = building.build(autoscaled(), settings=QUICK)
    assert again.digest == version().digest and again.model.content == version().model.content
    assert building.build(autoscaled(), settings=QUICK, seed=1).digest != version().digest
    assert version(1).digest != version().digest


def test_a_version_comes_back_from_its_document_and_model() -> None:
    back = CausalVersion.of(version().document(), StructuralModel.of(version().model.content))
    assert back.digest == version().digest
    assert back.graph == version().graph and back.variables == version().variables
    assert back.picture() == version().picture()


def test_stored_once_and_never_changed(settings: Settings) -> None:
    built = building.build_and_keep(settings, autoscaled(), discovery=QUICK)
    assert built.added and built.comparison is None
    assert not building.build_and_keep(settings, autoscaled(), discovery=QUICK).added
    with pytest.raises(sa.exc.DBAPIError, match="immutable"), transaction(settings) as connection:
        connection.execute(sa.text("UPDATE causal_versions SET scope = 'other'"))
    old = what_if(built.version.model, {"context:replicas": 8.0})
    newer = building.build_and_keep(settings, autoscaled(seed=5), discovery=QUICK)
    assert newer.comparison is not None and newer.comparison.old == built.version.digest
    with transaction(settings) as connection:
        assert what_if(store.get(connection, built.version.digest).model, {"context:replicas": 8.0}) == old
        assert store.get(connection, built.version.digest[:20]).digest == built.version.digest
        latest = store.latest(connection, "autoscaler:core")
        assert latest is not None and latest.digest == newer.version.digest
        assert store.before(connection, newer.version.digest) is not None
        assert [row.version for row in store.listing(connection)] == [newer.version.digest, built.version.digest]
        assert store.scopes(connection) == ["autoscaler:core"] == list(store.components(connection))
    assert datasets.load(settings, built.version.dataset).digest == autoscaled().digest


def test_the_version_that_was_found_last_answers_also_when_it_was_found_before(settings: Settings) -> None:
    first = building.build_and_keep(settings, autoscaled(), discovery=QUICK)
    other = building.build_and_keep(settings, autoscaled(seed=5), discovery=QUICK)
    again = building.build_and_keep(settings, autoscaled(), discovery=QUICK)
    assert not again.added and again.version.digest == first.version.digest
    with transaction(settings) as connection:
        latest = store.latest(connection, "autoscaler:core")
        assert latest is not None and latest.digest == first.version.digest
        # The one that answers stays, whatever its age.
        assert store.prune(connection, 1) == 0
        assert {row.version: row.latest for row in store.listing(connection)} == {
            first.version.digest: True,
            other.version.digest: False,
        }


def test_what_was_found_otherwise_is_compared_with_a_word_of_caution(settings: Settings) -> None:
    first = building.build_and_keep(settings, autoscaled(), discovery=QUICK).version
    known = Knowledge(required=frozenset({("load", "reward")}))
    built = building.build_and_keep(settings, autoscaled(), knowledge=known, discovery=QUICK)
    assert built.version.given == known and first.given is None
    assert built.comparison is not None and not built.comparison.alike
    assert "other settings, knowledge or buckets" in built.comparison.verdict
    with transaction(settings) as connection:
        assert building.given_before(connection, "autoscaler:core") == known


def test_two_that_find_the_same_at_once_keep_one(settings: Settings) -> None:
    with ThreadPoolExecutor(2) as pool:
        built = list(pool.map(lambda _: building.build_and_keep(settings, autoscaled(), discovery=QUICK), range(2)))
    assert sorted(each.added for each in built) == [False, True]
    with transaction(settings) as connection:
        assert len(store.listing(connection)) == 1


def test_what_nobody_could_read_is_not_searched_for() -> None:
    wide = autoscaled(20)
    variables = tuple(replace(wide.variables[0], name=f"x{k}") for k in range(201))
    values = np.random.default_rng(0).standard_normal((20, 201))
    with pytest.raises(InvalidInput, match="has 201 variables"):
        building.build(replace(wide, variables=variables, values=values))


def test_what_is_not_there_or_ambiguous_is_said(settings: Settings) -> None:
    with transaction(settings) as connection:
        with pytest.raises(InvalidInput, match="no version has the digest"):
            store.get(connection, "sha256:" + "0" * 64)
        with pytest.raises(InvalidInput, match="is no digest"):
            store.get(connection, "latest")
        with pytest.raises(InvalidInput, match="keep is 0"):
            store.prune(connection, 0)
        assert store.latest(connection, "nobody") is None


def test_a_row_that_was_tampered_with_is_refused(settings: Settings) -> None:
    building.build_and_keep(settings, autoscaled(), discovery=QUICK)
    with transaction(settings) as connection:
        connection.execute(sa.text("ALTER TABLE causal_versions DISABLE TRIGGER USER"))
        connection.execute(sa.text("UPDATE causal_versions SET document = jsonb_set(document, '{rows}', '7')"))
    with pytest.raises(Refused, match="is not what was saved"), transaction(settings) as connection:
        store.latest(connection, "autoscaler:core")


def test_the_newest_versions_stay(settings: Settings) -> None:
    kept = [building.build_and_keep(settings, autoscaled(seed=k), discovery=QUICK).version for k in range(3)]
    with transaction(settings) as connection:
        assert store.prune(connection, 2) == 1
    assert datasets.prune(settings, newest=1) == 2  # a row and its file
    with transaction(settings) as connection:
        assert [row.version for row in store.listing(connection)] == [kept[2].digest, kept[1].digest]


def test_knowledge_that_is_required_is_in_the_graph_and_forbidden_edges_are_not() -> None:
    known = Knowledge(required=frozenset({("load", "reward")}), forbidden=frozenset({("context:replicas", "queue_ms")}))
    found = building.build(autoscaled(), knowledge=known, settings=QUICK)
    assert "load" in found.graph.parents("reward")
    assert "context:replicas" not in found.graph.parents("queue_ms")
    assert soundness.problems(found) == []
    broken = replace(version(), knowledge=known)
    assert sorted(soundness.problems(broken)) == [
        "context:replicas -> queue_ms is forbidden",
        "load -> reward is required and missing",
    ]


def test_knowledge_of_several_data_sets_may_name_what_one_of_them_lacks() -> None:
    data = [autoscaled(60), autoscaled(60).only(("load", "latency_ms"))]
    known = Knowledge(required=frozenset({("queue_ms", "latency_ms")}))
    assert [each and each.required for each in building.known_of(known, data)] == [known.required, frozenset()]
    with pytest.raises(InvalidInput, match="knowledge names latencyMs"):
        building.known_of(Knowledge(required=frozenset({("load", "latencyMs")})), data)
    assert building.known_of(None, data) == [None, None]


def test_a_suspected_hidden_cause_leaves_its_effect_unanswered() -> None:
    known = Knowledge(latents=frozenset({frozenset({"queue_ms", "latency_ms"})}))
    found = building.build(autoscaled(), knowledge=known, settings=QUICK)
    assert found.graph.kind == "pag" and found.algorithm == "guided_fci"
    (answer,) = what_if(found.model, {"queue_ms": 50.0}, outcomes=["latency_ms"])
    assert not isinstance(answer, Answer)
    assert answer.reason == "hidden_confounder"


def test_a_comparison_names_what_turned_came_and_went() -> None:
    same = compared(version(), version(1))
    assert same.stable and same.verdict == "the same edges"
    names = version().graph.names
    turned = [("context:replicas", "load"), ("load", "queue_ms"), ("queue_ms", "latency_ms"), ("latency_ms", "reward")]
    other = replace(version(), graph=Graph.from_edges(names, turned))
    found = compared(version(), other)
    assert not found.stable and found.distance == 2
    assert {(each.before, each.after) for each in found.changes} == {
        ("load -> context:replicas", "context:replicas -> load"),
        ("context:replicas -> queue_ms", None),
    }
    assert "2 of 10 pairs differ, 1 of them for sure" in found.verdict
